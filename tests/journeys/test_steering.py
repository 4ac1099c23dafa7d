"""Jobs that people steer, on both drivers: run again, cancelled, removed, run now, more urgent."""

import json
import time

import pytest

from supervisor.client import Client
from supervisor.core.records import JobState
from tests.journeys.conftest import Configured
from tests.support import processors
from tests.support.program import Program
from tests.support.rabbitmq import PrivateRabbit

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

ONE_BY_ONE = {"concurrency": 1, "retry": {"attempts": 1}}


def state(program: Program, job: str) -> str:
    return program.job(job).state.value


def ran(program: Program) -> list[str]:
    return [run.name for run in processors.runs(program.media)]


@pytest.mark.invariant(15)
def test_what_waits_is_steered_and_runs_once_or_never(
    each_driver: str, configured: Configured
) -> None:
    program = configured({"toy": ONE_BY_ONE}, each_driver).start()
    (first,) = program.submit("toy", {"do": "wait", "gate": "open", "name": "first"})
    program.wait_for_state("active", first)
    names = ("cancelled", "removed", "hurried", "second")
    cancelled, removed, hurried, second = program.submit("toy", *({"name": n} for n in names))
    said = program.cli("publish", "toy", "--data", '{"name": "later"}', "--delay", "1h", "--json")
    later = str(json.loads(said.stdout)["id"])

    assert program.cli("cancel", cancelled).returncode == 0
    assert program.cli("remove", removed).returncode == 2  # nobody there to say that they are sure
    assert program.cli("remove", removed, "--yes").returncode == 0
    assert program.cli("priority", hurried, "critical").returncode == 0
    assert program.cli("promote", later).returncode == 0
    refused = program.cli("remove", first, "--yes")
    processors.open_gate(program.media, "open")
    program.wait_for_state("completed", first, second, hurried, later)

    assert "is running: cancel it first" in refused.stderr
    assert refused.returncode == 1
    assert ran(program)[:2] == ["first", "hurried"]
    assert sorted(ran(program)[2:]) == ["later", "second"]  # both are of the normal level
    assert state(program, cancelled) == "cancelled"
    assert state(program, removed) == "removed"
    again = program.cli("retry", cancelled)
    program.wait_for_state("completed", cancelled)
    assert again.returncode == 0
    assert ran(program)[-1] == "cancelled"
    assert program.stop() == 0


@pytest.mark.invariant(15)
def test_a_cancelled_run_ends_by_itself_or_with_its_process_and_never_comes_back(
    driver: str, configured: Configured
) -> None:
    pools = {
        "toy": ONE_BY_ONE,
        "deaf": {**ONE_BY_ONE, "processor": "tests.support.processors:deaf"},
    }
    program = configured(pools, driver, cancel_grace="0.5s").start()
    program.may_raise = True
    (asleep,) = program.submit("toy", {"do": "sleep", "seconds": 60, "name": "asleep"})
    (deaf,) = program.submit("deaf", {"name": "deaf"})
    program.wait_for_state("active", asleep, deaf)
    before = {name: program.worker(name).pid for name in ("toy-1", "deaf-1")}

    began = time.monotonic()
    ends = [program.cli("cancel", job, "--json") for job in (asleep, deaf)]
    took = time.monotonic() - began
    program.wait_until(lambda: program.worker("deaf-1").pid not in {None, before["deaf-1"]}, "life")
    (after,) = program.submit("deaf", {"name": "after", "quick": True})
    program.wait_for_state("completed", after)

    assert [json.loads(end.stdout)[0]["state"] for end in ends] == ["cancelled"] * 2
    assert took < 20.0
    assert program.worker("toy-1").pid == before["toy-1"]
    assert [program.job(job).crashes for job in (asleep, deaf)] == [0, 0]
    assert sorted(ran(program)) == ["after", "asleep", "deaf"]
    with Client(program.socket) as client:
        (incident,) = client.incidents("deaf-1", 5)
    assert (incident.cause, incident.jobs) == ("operator", (deaf,))
    assert program.stop() == 0


@pytest.mark.invariant(1)
@pytest.mark.rabbitmq
def test_jobs_are_taken_while_the_broker_is_away_and_outlive_a_kill(
    rabbit: PrivateRabbit, vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, vhost_url).start()
    program.wait_until_consuming()
    rabbit.stop()
    try:
        program.wait_until(lambda: not program.status().broker.connected, "the broker to be missed")
        said = program.cli("publish", "toy", "--data", '{"name": "kept"}', "--id", "kept")
        pending = state(program, "kept")
        program.crash()
        program.start(wait=False)
    finally:
        rabbit.start()
    program.wait_for_state("completed", "kept")

    assert said.returncode == 0
    assert "job kept is pending" in said.stdout
    assert pending == JobState.PENDING.value
    assert ran(program) == ["kept"]
    assert program.stop() == 0
