"""Jobs that take longer than the broker waits for an ack: parked, run once, never lost."""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping

import msgspec
import pytest

from consumers.topology import inflight
from supervisor.core.readiness import PARKING
from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.program import Program, document
from tests.support.rabbitmq import PrivateRabbit
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.journey, pytest.mark.rabbitmq, pytest.mark.timeout(120)]

LANES = ("toy_queue", "toy_queue.priority", "toy_queue_dlq")
PERSISTENT = {"delivery_mode": 2}
PATIENT = {"delay": "300ms", "max": "1s", "give_up": 100}
SOON = {"park_after": "1s", "reconnect": PATIENT}
LIMIT = 3.0  # seconds a broker waits for an ack here
PARKED = "long job parked"


@pytest.fixture
def impatient(any_rabbit: PrivateRabbit) -> Iterator[PrivateRabbit]:
    """A broker that takes back what is not acked in a few seconds, each known version in turn."""
    any_rabbit.start()
    _set_limit(any_rabbit, milliseconds=round(LIMIT * 1000), look_every=1000)
    yield any_rabbit
    any_rabbit.start()
    _set_limit(any_rabbit, milliseconds=1_800_000, look_every=60_000)


def test_jobs_longer_than_the_brokers_patience_run_once_and_are_active_all_the_time(
    impatient: PrivateRabbit, configured: Configured
) -> None:
    url = impatient.fresh_vhost()
    program = configured({"toy": {"concurrency": 3}}, url, park_after="1.2s").start()
    body = {"do": "sleep", "seconds": 2 * LIMIT}
    publisher.publish(url, "toy_queue", body | {"name": "known"}, message_id="j1", **PERSISTENT)
    publisher.publish(url, "toy_queue", body | {"name": "unknown"}, **PERSISTENT)
    publisher.publish(url, "toy_queue", body | {"name": "its twin"}, **PERSISTENT)

    program.wait_until(lambda: len(program.lines(PARKED)) == 3, "three jobs to be parked")
    assert program.count("active") == 3
    program.wait_until(lambda: program.count("active") < 3, "the first to end")
    states = program.ledger("SELECT state FROM jobs")  # in one look: they end in the same moment
    assert {state for (state,) in states} <= {"active", "completed"}
    program.wait_for_count("completed", 3)
    publisher.wait_until_empty(url, *LANES, _inflight(program))
    assert program.stop() == 0

    names = sorted(run.name for run in processors.runs(program.media))
    assert names == ["its twin", "known", "unknown"]
    assert publisher.depth(url, *LANES, _inflight(program)) == 0
    assert program.lines("broker away, waiting for it") == []
    assert "timed out" not in program.log


def test_a_parked_job_whose_worker_is_killed_is_blamed_and_runs_again(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, vhost_url, **SOON).start()
    _park(program, vhost_url, {"do": "wait", "gate": "open", "name": "long"})

    worker = program.worker("toy-1").pid
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    program.wait_until(lambda: len(_begun(program, "long")) == 2, "the job to run again")
    processors.open_gate(program.media, "open")
    program.wait_for_count("completed", 1)
    publisher.wait_until_empty(vhost_url, *LANES, _inflight(program))

    (row,) = program.ledger("SELECT crashes, attempts, seq FROM jobs")
    assert row[:2] == (1, 0)
    assert row[2] >= 2, "a parked copy and a delayed one, each with a number of its own"


def test_what_a_killed_coordinator_had_parked_waits_in_the_lane_of_a_pool_scaled_to_zero(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, vhost_url, **SOON).start()
    _park(program, vhost_url, {"do": "wait", "gate": "open", "name": "long"})
    program.crash()
    inflight_queue = _inflight(program)
    assert publisher.depth(vhost_url, inflight_queue) == 1

    _configure(program, vhost_url, instances=0)
    program.start()
    wait_until(
        lambda: publisher.depth(vhost_url, "toy_queue.priority") == 1,
        within=20,
        what="the job to be back in its lane",
    )
    assert program.stop() == 0
    _configure(program, vhost_url, instances=1)
    program.start()
    program.wait_until(lambda: len(_begun(program, "long")) == 2, "the job to run again")
    processors.open_gate(program.media, "open")
    program.wait_for_count("completed", 1)
    publisher.wait_until_empty(vhost_url, *LANES, inflight_queue)

    assert program.ledger("SELECT crashes, attempts FROM jobs") == [(0, 0)]


def test_parked_jobs_go_on_and_end_while_the_broker_is_killed_and_are_done_once(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    """Two end while it is away: the copy that tries one again is published by the next session."""
    url = rabbit.fresh_vhost()
    program = configured({"toy": {"concurrency": 3}}, url, **SOON).start()
    program.may_raise = True
    _park(program, url, {"do": "wait", "gate": "away", "name": "good"})
    bad = {"do": "wait and fail", "gate": "away", "times": 1, "name": "bad"}
    _park(program, url, bad, count=2)
    _park(program, url, {"do": "wait", "gate": "back", "name": "long"}, count=3)

    rabbit.write_definitions()
    rabbit.kill()
    program.wait_for_line("broker away, waiting for it")
    assert program.count("active") == 3
    processors.open_gate(program.media, "away")
    program.wait_for_count("completed", 1)
    assert _is_active(program, "long")
    rabbit.start()
    program.wait_for_count("completed", 2)
    program.wait_until_consuming()
    assert _is_active(program, "long")
    processors.open_gate(program.media, "back")
    program.wait_for_count("completed", 3)
    publisher.wait_until_empty(url, *LANES, _inflight(program))

    assert len(_begun(program, "good")) == len(_begun(program, "long")) == 1
    assert [run.attempt for run in _begun(program, "bad")] == [1, 2]


def test_a_running_job_whose_session_is_lost_is_adopted_and_blocks_nobody(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    """Its redelivery is parked at once, so the worker that got it is free for others."""
    url = rabbit.fresh_vhost()
    program = configured({"toy": {"instances": 3}}, url, park_after="60s").start()
    body = {"do": "wait", "gate": "open", "name": "known"}
    publisher.publish(url, "toy_queue", body, message_id="j1", **PERSISTENT)
    publisher.publish(url, "toy_queue", body | {"name": "unknown"}, **PERSISTENT)
    program.wait_until(lambda: len(processors.runs(program.media)) == 2, "both jobs to run")

    rabbit.ctl("close_all_connections", "--global", "for the test")
    program.wait_until(lambda: _parked_copies(program) == 2, "both jobs to be adopted")
    publisher.publish(url, "toy_queue", {"name": "third"}, **PERSISTENT)
    program.wait_for_count("completed", 1)
    assert program.count("active") == 2
    processors.open_gate(program.media, "open")
    program.wait_for_count("completed", 3)
    publisher.wait_until_empty(url, *LANES, _inflight(program))

    names = sorted(run.name for run in processors.runs(program.media))
    assert names == ["known", "third", "unknown"]


def test_a_second_coordinator_of_the_same_name_parks_nothing_and_says_so(
    vhost_url: str, configured: Configured
) -> None:
    first = configured({"toy": {}}, vhost_url, **SOON).start()
    _park(first, vhost_url, {"do": "wait", "gate": "open", "name": "long"})
    second = configured({"cut": {}}, vhost_url, **SOON)
    (second.folder / "state").mkdir()
    shutil.copy(first.folder / "state" / "node.id", second.folder / "state" / "node.id")
    second.start()

    line = second.wait_for_line("jobs cannot be parked")
    publisher.publish(vhost_url, "cut_queue", {"do": "sleep", "seconds": 2}, **PERSISTENT)
    second.wait_for_count("completed", 1)
    assert "another coordinator with this node id" in line["why"]
    (reason,) = second.status().conditions
    assert (reason.name, line["why"] in reason.why) == (PARKING, True)
    assert first.status().conditions == ()
    assert second.lines(PARKED) == []
    assert first.count("active") == 1

    processors.open_gate(first.media, "open")
    first.wait_for_count("completed", 1)
    assert len(_begun(first, "long")) == 1
    assert first.stop() == 0
    second.wait_until(lambda: not second.status().conditions, "it to be ready")


def test_the_jobs_of_a_node_that_never_returns_are_listed_and_adopted_by_command(
    vhost_url: str, configured: Configured
) -> None:
    lost = configured({"toy": {}}, vhost_url, **SOON).start()
    _park(lost, vhost_url, {"do": "wait", "gate": "open", "name": "long"})
    node = (lost.folder / "state" / "node.id").read_text().strip()
    other = configured({"toy": {}}, vhost_url, **SOON)
    refused = other.cli("adopt", node)
    lost.crash()

    seen = other.cli("doctor")
    adopted = other.cli("adopt", node)
    again = other.cli("adopt", node)
    healthy = other.cli("doctor")
    processors.open_gate(other.media, "open")
    other.start()
    other.wait_for_count("completed", 1)

    assert refused.returncode == 1
    assert "is alive" in refused.stderr
    assert f"adopt {node}" in seen.stdout
    assert adopted.returncode == 0
    assert "toy_queue.priority" in adopted.stdout
    assert "nothing" in again.stdout
    assert f"adopt {node}" not in healthy.stdout
    assert publisher.depth(vhost_url, *LANES, inflight(node)) == 0


def _set_limit(rabbit: PrivateRabbit, *, milliseconds: int, look_every: int) -> None:
    rabbit.ctl(
        "eval",
        f"application:set_env(rabbit, consumer_timeout, {milliseconds}), "
        f"application:set_env(rabbit, channel_tick_interval, {look_every}).",
    )


def _configure(program: Program, url: str, *, instances: int) -> None:
    pools = {"toy": {"instances": instances}}
    written = document(program.folder, broker=url, pools=pools, park_after="1s", reconnect=PATIENT)
    program.config.write_bytes(msgspec.yaml.encode(written))


def _park(program: Program, url: str, body: Mapping[str, object], *, count: int = 1) -> None:
    """Publish a job and wait until so many are parked.

    It has an id: a broker that is killed may have lost the ack of the original, and deliver it.
    """
    publisher.publish(url, "toy_queue", body, message_id=str(body["name"]), **PERSISTENT)
    program.wait_until(lambda: len(program.lines(PARKED)) >= count, "the job to be parked")


def _begun(program: Program, name: str) -> list[processors.Run]:
    return processors.runs(program.media, name=name)


def _is_active(program: Program, job_id: str) -> bool:
    return job_id in program.ids("active")


def _inflight(program: Program) -> str:
    return inflight((program.folder / "state" / "node.id").read_text().strip())


def _parked_copies(program: Program) -> int:
    """Return how many running jobs have a copy that is known to be stored."""
    query = "SELECT count(*) FROM jobs WHERE state = 'active' AND seq > 0 AND confirmed"
    return int(program.ledger(query)[0][0])
