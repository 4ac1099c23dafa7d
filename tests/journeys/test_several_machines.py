"""Two supervisors on one PostgreSQL ledger: they know of each other's jobs, and it may fail."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from supervisor.client import Client
from supervisor.core.records import JobFilter, JobState
from tests.journeys.conftest import Configured
from tests.support import hasty, processors, publisher
from tests.support.ledgers import postgres, postgres_url
from tests.support.postgresql import PASSWORD, PrivatePostgres
from tests.support.program import Program
from tests.support.rabbitmq import PrivateRabbit
from tests.support.waiting import wait_until

__all__ = ["postgres", "postgres_url"]

pytestmark = [
    *(pytest.mark.journey, pytest.mark.rabbitmq, pytest.mark.postgres),
    pytest.mark.timeout(150),
]


def test_two_machines_share_a_ledger_and_go_on_when_its_server_was_away(
    rabbit: PrivateRabbit, postgres: PrivatePostgres, postgres_url: str, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    first, second = (configured({"toy": {}}, url, ledger=postgres_url).start() for _ in range(2))
    publisher.publish(url, "toy_queue", {"do": "wait", "gate": "open", "name": "long"},
                      message_id="long-1")  # fmt: skip
    first.wait_until(lambda: len(_runs(first, second)) == 1, "the long job to run")
    postgres.kill()
    for number in range(6):
        job = {"name": f"meanwhile {number}"}
        publisher.publish(url, "toy_queue", job, message_id=f"meanwhile-{number}")
    for program in (first, second):
        _wait_until_held(program)
        processors.open_gate(program.media, "open")
    postgres.start()
    everything = {"long-1", *(f"meanwhile-{number}" for number in range(6))}
    second.wait_until(lambda: _done(second) == everything, "all of them to be done")

    ran = sorted(run.name for run in _runs(first, second))
    assert ran == ["long", *(f"meanwhile {n}" for n in range(6))]
    assert {program.job("long-1").state.value for program in (first, second)} == {"completed"}
    assert {first.stop(), second.stop()} == {0}
    assert PASSWORD not in first.log + second.log


def test_a_job_runs_on_one_machine_at_a_time_also_when_that_was_away_for_a_moment(
    rabbit: PrivateRabbit, postgres_url: str, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    first = configured({"toy": {}}, url, ledger=postgres_url).start()
    job = {"do": "wait", "gate": "open", "name": "long"}
    publisher.publish(url, "toy_queue", job, message_id="long-1")
    first.wait_until(lambda: len(processors.runs(first.media)) == 1, "it to run here")
    second = configured({"toy": {}}, url, ledger=postgres_url)
    second.module = (hasty.HERE,)
    second.start()
    publisher.publish(url, "toy_queue", job, message_id="long-1")
    wait_until(lambda: publisher.depth(url, "toy_queue") == 0, within=20, what="it to be taken")
    assert processors.runs(second.media) == []

    first.crash()
    for program in (first, second):
        processors.open_gate(program.media, "open")
    assert processors.runs(second.media) == []  # the first may be back in a moment, and is
    first.start()
    second.wait_until(lambda: _done(second) == {"long-1"}, "it to be done", 60)

    assert len(_runs(first, second)) == 2
    assert {first.stop(), second.stop()} == {0}


@pytest.mark.invariant(15)
def test_a_job_is_cancelled_from_any_machine_also_when_the_one_that_runs_it_is_killed(
    rabbit: PrivateRabbit, postgres_url: str, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    pools, more = {"toy": {"concurrency": 2}}, {"ledger": postgres_url, "cancel_grace": "0.2s"}
    first = configured(pools, url, **more).start()
    for name in ("heard", "orphan"):
        job = {"do": "sleep", "seconds": 600, "name": name}
        publisher.publish(url, "toy_queue", job, message_id=name)
    first.wait_until(lambda: len(processors.runs(first.media)) == 2, "both to run here")
    second = configured(pools, url, **more).start()

    heard = second.cli("cancel", "heard", "--json")
    assert [job["state"] for job in json.loads(heard.stdout)] == ["cancelled"]
    with ThreadPoolExecutor(1) as aside:
        os.kill(first.status().pid, signal.SIGKILL)  # its parent would have it give jobs back
        first.wait()
        asked = aside.submit(second.cli, "cancel", "orphan", "--json")
        second.wait_for_line("another machine is to cancel a job", job="orphan")
        first.start()
        orphan = asked.result()

    assert [job["state"] for job in json.loads(orphan.stdout)] == ["cancelled"]
    wait_until(lambda: publisher.depth(url, "toy_queue") == 0, within=20, what="it to be dropped")
    assert sorted(run.name for run in _runs(first, second)) == ["heard", "orphan"]
    assert {first.stop(), second.stop()} == {0}
    assert publisher.depth(url, "toy_queue") == 0


def _runs(*programs: Program) -> list[processors.Run]:
    return [run for program in programs for run in processors.runs(program.media)]


def _done(program: Program) -> set[str]:
    with Client(program.socket) as client:
        return {job.id for job in client.jobs(JobFilter(state=JobState.COMPLETED, limit=100))}


def _wait_until_held(program: Program) -> None:
    def is_held() -> bool:
        said = [each.sentence for each in program.status().conditions]
        return any("see whether the server runs" in sentence for sentence in said)

    program.wait_until(is_held, "the workers to be held")
