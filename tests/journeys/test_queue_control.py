"""Queues as operators steer them, with the whole program, over each driver."""

import os
import signal
from typing import TypeVar

import pytest

from supervisor.client import Client
from supervisor.core.records import JobState
from supervisor.desks.queues import (
    Cleaned,
    CleanOrder,
    Drained,
    HouseStats,
    Pause,
    PauseOrder,
    QueueCard,
    QueueMetrics,
    QueueStats,
    Retried,
    RetryOrder,
    WorkerStats,
)
from supervisor.ports import Health, Order
from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.program import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

T = TypeVar("T")

POOLS = {"toy": {"retry": {"attempts": 1}}, "other": {}}


def test_a_paused_pool_stays_so_through_a_kill_and_goes_on_where_it_was(
    configured: Configured, driver: str
) -> None:
    program = configured(POOLS, broker=driver).start()
    (running,) = program.submit("toy", {"do": "wait", "gate": "open", "name": "running"})
    program.wait_until(lambda: processors.runs(program.media), "the job to run")

    said = program.cli("pause", "toy", "--why", "the site asked us to")
    waiting, elsewhere = program.submit("toy", {"name": "later"})[0], program.submit("other", {})[0]
    program.wait_for_state("completed", elsewhere)
    processors.open_gate(program.media, "open")
    program.wait_for_state("completed", running)
    ready = [each for each in program.status().conditions if not each.is_wanted]
    program.crash()
    program.start()
    held = program.worker("toy-1").holds
    another = program.submit("other", {})[0]
    program.wait_for_state("completed", another)
    before = [run.name for run in processors.runs(program.media)]
    table = program.cli("status").stdout
    _ask(program, "resume", Pause)
    program.wait_for_state("completed", waiting)

    assert (said.returncode, said.stdout) == (0, "toy: toy_queue is paused: the site asked us to\n")
    assert ready == []
    assert held == {"operator": "the site asked us to"}
    assert "later" not in before
    assert "paused" in table
    assert "the site asked us to" in " ".join(table.split())


def test_a_drain_removes_what_waits_wherever_it_is_and_nothing_that_runs(
    configured: Configured, each_driver: str
) -> None:
    driver = each_driver
    program = configured(POOLS, broker=driver).start()
    (running,) = program.submit("toy", {"do": "wait", "gate": "open", "name": "running"})
    program.wait_until(lambda: processors.runs(program.media), "the job to run")
    waiting = program.submit("toy", *({"name": f"waiting-{n}"} for n in range(5)))
    refused = program.cli("drain", "toy")
    late = _delayed(program, 4.0, {"name": "late"})
    foreign = 0
    if driver != "embedded":
        foreign = 3
        publisher.publish(driver, "toy_queue", *([{"name": "foreign"}] * foreign))

    drained = _ask(program, "drain", Drained)
    still = program.job(late).state
    everything = _ask(program, "drain?delayed=true", Drained)
    (after,) = program.submit("toy", {"name": "after"})
    processors.open_gate(program.media, "open")
    program.wait_for_state("completed", running, after)
    if driver != "embedded":  # its copy is on its way: nobody can stop it, but it is not run
        program.wait_for_line("claim dropped", job=late, why="removed")

    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert (drained.jobs, drained.messages) == (5, 5 + foreign)
    assert {program.job(each).state for each in waiting} == {JobState.REMOVED}
    assert (still, program.job(late).state) == (JobState.DELAYED, JobState.REMOVED)
    assert (everything.jobs, everything.messages) == (1, int(driver == "embedded"))
    assert {run.name for run in processors.runs(program.media)} == {"running", "after"}


def test_failed_jobs_run_again_at_a_rate_and_finished_ones_go_for_good(
    configured: Configured, driver: str
) -> None:
    program = configured(POOLS, broker=driver).start()
    program.may_raise = True
    failing = program.submit("toy", *({"do": "fail", "times": 1, "name": f"{n}"} for n in range(4)))
    program.wait_for_state("failed", *failing)
    stats, metrics = _ask(program, "stats", QueueStats), _ask(program, "metrics", QueueMetrics)

    processors.open_gate(program.media, "open")
    retried = _ask(program, "retry-failed", Retried, RetryOrder(rate=10.0, limit=3))
    program.wait_until(lambda: len(processors.runs(program.media)) == 7, "three to run again")
    program.wait_for_count("failed", 4)
    again = [run.at for run in processors.runs(program.media)[4:]]
    cleaned = program.cli("clean", "toy", "--state", "failed", "--older", "0s", "--yes")
    gone = _ask(program, "clean", Cleaned, CleanOrder(JobState.FAILED, age=0))

    assert (stats.failed, stats.waiting, metrics.queue_name) == (4, 0, "toy_queue")
    assert (retried.jobs, round(retried.seconds, 3)) == (3, 0.2)
    assert again[2] - again[0] >= 0.15
    assert cleaned.stdout == "toy_queue: 4 failed jobs are gone for good\n"
    assert gone.jobs == 0
    assert program.ledger("SELECT count(*) FROM attempts") == [(0,)]


def test_what_a_queue_holds_is_shown_in_the_shapes_that_others_know(
    configured: Configured, driver: str
) -> None:
    program = configured({"toy": {"concurrency": 3}}, broker=driver).start()
    program.submit("toy", *({"do": "wait", "gate": "open", "name": f"{n}"} for n in range(3)))
    program.wait_until(lambda: len(processors.runs(program.media)) == 3, "three jobs to run")
    paused = _ask(program, "pause", Pause, PauseOrder())
    program.submit("toy", {}, {})
    _delayed(program, 600.0, {})

    card = _ask(program, "", QueueCard)
    metrics = _ask(program, "metrics", QueueMetrics)
    with Client(program.socket) as client:
        house = client.ask("GET", "/api/stats", HouseStats)
        worker = client.ask("GET", "/api/workers/toy-1/stats", WorkerStats)
        health = client.ask("GET", "/api/health", Health)
    shown = program.cli("queues", "toy").stdout
    _ask(program, "resume", Pause)
    processors.open_gate(program.media, "open")
    program.wait_for_count("completed", 5)

    assert (paused.paused, paused.why) == (True, "paused by an operator")
    assert metrics == QueueMetrics("toy_queue", 2, 3, 0, 0, 1, paused=1, total=6)
    assert {state: number for state, number in card.states.items() if number} == {
        "waiting": 2,
        "active": 3,
        "delayed": 1,
    }
    assert card.oldest is not None
    assert card.oldest < 30
    assert worker == WorkerStats(running=True, active_jobs=3, max_concurrency=3, worker_id="toy-1")
    assert (house.worker.is_running, house.jobs.pending, house.queue.waiting) == (True, 3, 2)
    assert (house.connections.ledger, house.connections.broker) == (True, True)
    assert (health.total_workers, health.active_workers) == (1, 1)
    assert "paused by an operator" in shown


def test_the_jobs_of_a_worker_that_is_silent_are_stalled_before_it_is_replaced(
    configured: Configured,
) -> None:
    pools = {"toy": {"stalled_after": "1s"}}
    beat = {"interval": "200ms", "timeout": "3s"}
    program = configured(pools, heartbeat=beat).start()
    (job,) = program.submit("toy", {"do": "wait", "gate": "open", "name": "running"})
    program.wait_until(lambda: processors.runs(program.media), "the job to run")
    pid = program.worker("toy-1").pid
    assert pid is not None

    os.kill(pid, signal.SIGSTOP)
    stalled = program.wait_for_line("job stalled", job=job, worker="toy-1")
    os.kill(pid, signal.SIGCONT)
    processors.open_gate(program.media, "open")
    program.wait_for_state("completed", job)

    assert "not beaten for 1" in stalled["why"]
    assert len(program.lines("job stalled")) == 1
    assert program.worker("toy-1").restarts == 0


def _ask(program: Program, what: str, kind: type[T], body: object = None) -> T:
    path, _, query = what.partition("?")
    name, _, value = query.partition("=")
    is_question = path in {"", "stats", "metrics"}
    with Client(program.socket) as client:
        return client.ask(
            "GET" if is_question else "POST",
            f"/api/queues/toy/{path}".rstrip("/"),
            kind,
            query={name: value} if query else None,
            body=body,
        )


def _delayed(program: Program, seconds: float, data: dict[str, object]) -> str:
    with Client(program.socket) as client:
        return client.submit(Order(pool="toy", data=data, delay=seconds)).id
