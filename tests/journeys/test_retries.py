"""Jobs that fail: tried again by policy, or never, and in the end recorded as they came."""

import itertools
import json
import time

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.program import Program
from tests.support.receiver import Receiver

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

DELAY = 1.0  # seconds between two attempts
LATE = 3.0  # seconds that a loaded machine may add
PATIENT = {
    "concurrency": 5,
    "retry": {"attempts": 3, "backoff": "fixed", "delay": f"{DELAY}s", "jitter": "none"},
}
USER = "user123"


def test_what_fails_is_tried_again_by_policy_and_what_is_refused_is_not(
    driver: str, configured: Configured, receiver: Receiver
) -> None:
    program = configured({"toy": PATIENT}, driver, webhook=receiver.url).start()
    program.may_raise = True

    twice, never, rejected, later, quiet = program.submit(
        "toy",
        {"do": "fail", "times": 2, "name": "twice", "from": USER},
        {"do": "fail", "times": 9, "name": "never", "from": USER},
        {"do": "reject", "name": "rejected", "from": USER},
        {"do": "later", "after": 2.0, "name": "later", "from": USER},
        {"do": "reject", "name": "quiet", "from": USER, "noreply": True},
    )
    program.wait_for_state("completed", twice, later)
    program.wait_for_state("failed", never, rejected, quiet)
    told = [json.loads(receiver.requests.get(timeout=20).body) for _ in range(4)]

    assert _attempts(program, "twice") == [1, 2, 3]
    assert _attempts(program, "never") == [1, 2, 3]
    assert _attempts(program, "rejected") == [1]
    assert _attempts(program, "later") == [1, 2]
    assert all(DELAY <= pause < DELAY + LATE for pause in _pauses(program, "twice"))
    assert 2.0 <= _pauses(program, "later")[0] < 2.0 + LATE
    assert program.job(twice).attempts == 2
    assert [run.error for run in program.job(never).history] == [
        f"ValueError: attempt {n} fails" for n in (1, 2, 3)
    ]
    error = program.job(rejected).error
    assert error is not None
    assert (error.code, error.message) == ("unwanted", "never again")
    events = {notice["job"]["id"]: notice["event"] for notice in told}
    assert events == {
        twice: "job.completed",
        later: "job.completed",
        never: "job.failed",
        rejected: "job.failed",
    }
    assert receiver.received() == []


@pytest.mark.invariant(8)
@pytest.mark.rabbitmq
def test_a_dead_letter_is_byte_for_byte_what_came_with_our_words_in_headers(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": PATIENT}, vhost_url).start()
    body = ' {"do":"reject",  "name":"bytes", "größe": 1.0e0, "from": "user123"}\n'.encode()

    publisher.publish(
        vhost_url,
        "toy_queue",
        body,
        message_id="bytes-1",
        content_type="application/json",
        headers={"x-mine": 7},
    )
    program.wait_for_state("failed", "bytes-1")
    publisher.wait_until_empty(vhost_url, "toy_queue", "toy_queue_dlq")

    kept, properties = program.ledger("SELECT body, properties FROM jobs WHERE id = 'bytes-1'")[0]
    told = json.loads(properties)
    assert kept == body
    assert told["content_type"] == "application/json"
    assert told["headers"]["x-mine"] == 7
    assert told["headers"]["x-job-error"] == "never again"
    assert told["headers"]["x-job-error-code"] == "unwanted"
    assert told["headers"]["x-job-attempts"] == 1


@pytest.mark.rabbitmq
def test_the_publisher_may_ask_for_a_delay_an_urgency_and_an_id_of_its_own(
    any_vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, any_vhost_url).start()
    first = {"do": "wait", "gate": "open", "name": "first"}
    publisher.publish(any_vhost_url, "toy_queue", first)
    program.wait_until(lambda: processors.runs(program.media), "the first job to run")

    publisher.publish(any_vhost_url, "toy_queue", {"name": "urgent"}, priority=9)
    publisher.publish(any_vhost_url, "toy_queue", {"name": "same"}, message_id="same")
    publisher.publish(any_vhost_url, "toy_queue", {"name": "same"}, message_id="same")
    late = {"name": "late"}
    publisher.publish(any_vhost_url, "toy_queue", late, headers={"x-delay": int(DELAY * 1000)})
    opened = time.time()  # noqa: TID251 - compared with what another process noted
    processors.open_gate(program.media, "open")
    program.wait_for_count("completed", 4)
    publisher.wait_until_empty(any_vhost_url, "toy_queue", "toy_queue.priority")
    assert program.stop() == 0

    runs = {run.name: run.at for run in processors.runs(program.media)}
    assert sorted(runs) == ["first", "late", "same", "urgent"]
    assert len(processors.runs(program.media)) == 4
    assert DELAY <= runs["late"] - opened < DELAY + LATE
    urgent = program.ledger("SELECT priority FROM jobs WHERE CAST(body AS TEXT) LIKE '%urgent%'")
    assert urgent == [(1,)]


def _attempts(program: Program, name: str) -> list[int]:
    return [run.attempt for run in processors.runs(program.media, name=name)]


def _pauses(program: Program, name: str) -> list[float]:
    """Return the seconds between the runs of a job."""
    times = [run.at for run in processors.runs(program.media, name=name)]
    return [later - earlier for earlier, later in itertools.pairwise(times)]
