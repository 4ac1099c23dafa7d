"""The numbers of the house as people see them."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from supervisor.core.events import StartedJob
from supervisor.core.fleet import PoolPolicy, Worker
from supervisor.core.lifecycle import WorkerState
from supervisor.ports import Health, WorkerView
from supervisor.views import Moment, Tally, health, worker_view
from tests.support.clocks import START
from workers.messages import Metrics

NOW = Moment(1000.0, START)
POLICY = PoolPolicy(name="download", memory_soft=512)
METRICS = Metrics(10, 9, 1, 2.5, 77, 400.0, START)
IDLE = Worker(
    id="download-1",
    pool="download",
    state=WorkerState.IDLE,
    incarnation=3,
    crash_count=1,
    pid=123,
    spawned_at=400.0,
    consuming=True,
    memory=300,
    cpu=0.5,
)


def view(worker: Worker = IDLE, metrics: Metrics | None = METRICS) -> WorkerView:
    return worker_view(worker, POLICY, metrics, None, NOW)


def test_a_worker_is_shown_with_what_is_measured_and_what_it_says() -> None:
    shown = view()

    assert (shown.state, shown.pid, shown.restarts, shown.crash_count) == ("idle", 123, 2, 1)
    assert (shown.memory, shown.memory_limit, shown.cpu) == (300, 512, 50.0)
    assert (shown.start_time, shown.uptime) == (START - timedelta(seconds=600), 600.0)
    assert (shown.jobs_processed, shown.jobs_successful, shown.jobs_failed) == (10, 9, 1)
    assert (shown.average_processing_time, shown.last_activity) == (2.5, START)
    assert (shown.job, shown.jobs, shown.consuming) == (None, (), True)


def test_memory_that_was_not_measured_yet_is_what_the_worker_says() -> None:
    assert view(replace(IDLE, memory=0)).memory == 77


def test_the_jobs_in_hand_are_listed_the_first_one_first() -> None:
    jobs = (StartedJob("q", "a", 1, 0.0), StartedJob("q", "b", 1, 1.0))

    shown = view(replace(IDLE, jobs=jobs))

    assert (shown.job, shown.jobs) == ("a", ("a", "b"))


@pytest.mark.parametrize(("due", "left"), [(1008.0, 8.0), (990.0, 0.0)])
def test_a_worker_that_is_down_says_when_it_is_due(due: float, left: float) -> None:
    down = Worker(id="download-1", pool="download", state=WorkerState.RESTARTING, restart_at=due)

    shown = view(down, None)

    assert (shown.restart_in, shown.pid, shown.start_time, shown.uptime) == (left, None, None, 0.0)
    assert shown.jobs_processed == 0


@pytest.mark.parametrize(("ready_at", "shown"), [(None, 5), (941.0, 5), (940.0, 0)])
def test_crashes_in_a_row_are_shown_until_they_are_forgiven(
    ready_at: float | None, shown: int
) -> None:
    assert view(replace(IDLE, streak=5, ready_at=ready_at)).crashes_in_a_row == shown


def test_the_house_in_five_numbers() -> None:
    busy = msgspec.structs.replace(view(), state="processing", uptime=200.0)
    down = msgspec.structs.replace(view(metrics=None), state="crashed", uptime=0.0)

    assert health([view(), busy, down], Tally()) == Health(
        total_workers=3,
        active_workers=2,
        total_jobs=20,
        success_rate=0.9,
        average_uptime=800.0 / 3,
    )


def test_the_totals_do_not_fall_when_a_process_is_replaced() -> None:
    before = health([view()], Tally())
    after = health([view(metrics=None)], Tally().plus(METRICS))

    assert (after.total_jobs, after.success_rate) == (before.total_jobs, before.success_rate)


def test_a_house_that_has_not_worked_yet_is_successful() -> None:
    assert health([], Tally()) == Health(0, 0, 0, 1.0, 0.0)
