"""What follows a death: at once, later, or never."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.commands import Cause
from supervisor.core.events import Exit
from supervisor.core.fleet import Death, PoolPolicy, RestartPolicy
from supervisor.core.lifecycle import Signal, WorkerState
from supervisor.core.restart import Plan, crash_delay, plan
from tests.unit.core.stories import (
    CLEAN,
    FAILED,
    KILLED,
    MISCONFIGURED,
    UNKNOWN,
    a_job,
    a_worker,
    plain_policy,
)

PLANNED = [Cause.MEMORY, Cause.CPU, Cause.LIFETIME, Cause.OPERATOR, Cause.RELOAD, Cause.ERROR]
RESTARTS = list(RestartPolicy)


def a_crash(exit_: Exit = KILLED, *, jobs: int = 0) -> Death:
    return Death(
        Cause.CRASH,
        exit_.words,
        exit_,
        is_planned=False,
        blamed=tuple(a_job(f"j{n}") for n in range(jobs)),
    )


def test_a_first_crash_waits_exactly_the_first_delay() -> None:
    answer = plan(a_worker(), plain_policy(), a_crash(), now=1.0, roll=0.7)

    assert answer == Plan(Signal.DIE, 5.0, streak=1)


@pytest.mark.parametrize(
    ("streak", "roll", "delay"),
    [(1, 0.9, 5.0), (2, 0.0, 5.0), (2, 0.5, 7.5), (3, 0.0, 10.0), (9, 0.0, 150.0)],
)
def test_further_crashes_wait_longer_half_of_it_by_chance(
    streak: int, roll: float, delay: float
) -> None:
    assert crash_delay(plain_policy(), streak=streak, roll=roll) == delay


@given(streak=st.integers(1, 10_000), roll=st.floats(0, 1, exclude_max=True))
def test_no_delay_is_above_the_cap_or_below_the_first(streak: int, roll: float) -> None:
    assert 5.0 <= crash_delay(plain_policy(), streak=streak, roll=roll) <= 300.0


def test_the_first_delay_is_never_above_the_cap() -> None:
    assert crash_delay(plain_policy(delay=500.0), streak=1, roll=0.0) == 300.0


def test_a_delay_of_nothing_stays_nothing() -> None:
    assert crash_delay(plain_policy(delay=0.0), streak=7, roll=0.9) == 0.0


def test_a_crash_that_one_job_is_to_blame_for_is_not_counted() -> None:
    worker = a_worker(streak=3)

    assert plan(worker, plain_policy(), a_crash(jobs=1), now=1.0, roll=0.5) == Plan(
        Signal.DIE, 5.0, streak=3
    )


def test_a_crash_with_two_started_jobs_is_counted() -> None:
    worker = a_worker(streak=1)

    assert plan(worker, plain_policy(), a_crash(jobs=2), now=1.0, roll=0.0).streak == 2


def test_a_lost_exit_status_is_not_counted() -> None:
    worker = a_worker(streak=3)

    assert plan(worker, plain_policy(), a_crash(UNKNOWN), now=1.0, roll=0.5) == Plan(
        Signal.DIE, 5.0, streak=3
    )


def test_a_worker_that_was_ready_long_enough_is_forgiven() -> None:
    worker = a_worker(streak=5, ready_at=100.0, last_beat=159.0)

    assert plan(worker, plain_policy(), a_crash(), now=160.0, roll=0.5).streak == 1


def test_a_worker_that_was_not_ready_long_enough_is_not_forgiven() -> None:
    worker = a_worker(streak=5, ready_at=100.0, last_beat=159.0)

    assert plan(worker, plain_policy(), a_crash(), now=159.9, roll=0.5).streak == 6


def test_a_worker_that_was_never_ready_is_not_forgiven() -> None:
    worker = a_worker(WorkerState.STARTING, streak=2, ready_at=None, last_beat=None)

    assert plan(worker, plain_policy(), a_crash(), now=900.0, roll=0.5).streak == 3


def test_the_silence_before_a_hang_is_noticed_is_no_healthy_life() -> None:
    worker = a_worker(WorkerState.RESTARTING, streak=1, ready_at=0.0, last_beat=40.0)
    hang = Death(Cause.HANG, "no heartbeat", KILLED, is_planned=False)

    assert plan(worker, plain_policy(), hang, now=71.0, roll=0.0).streak == 2


@pytest.mark.parametrize("cause", PLANNED)
@pytest.mark.parametrize("restart", RESTARTS)
def test_a_planned_replacement_starts_at_once(cause: Cause, restart: RestartPolicy) -> None:
    worker = a_worker(WorkerState.RESTARTING, streak=2, has_worked=True)
    death = Death(cause, "as planned", CLEAN, is_planned=True)

    answer = plan(worker, plain_policy(restart=restart), death, now=1.0, roll=0.5)

    assert answer == Plan(Signal.ORDER, 0.0, streak=2)


def test_a_worker_above_its_memory_limit_before_its_first_job_waits_as_if_it_had_crashed() -> None:
    worker = a_worker(WorkerState.RESTARTING, has_worked=False)
    death = Death(Cause.MEMORY, "too big", CLEAN, is_planned=True)

    assert plan(worker, plain_policy(), death, now=1.0, roll=0.0) == Plan(Signal.DIE, 5.0, streak=1)


@pytest.mark.parametrize("restart", RESTARTS)
@pytest.mark.parametrize("exit_", [KILLED, FAILED, UNKNOWN])
def test_every_policy_restarts_after_a_failure(restart: RestartPolicy, exit_: Exit) -> None:
    policy = plain_policy(restart=restart)

    assert plan(a_worker(), policy, a_crash(exit_), now=1.0, roll=0.0).signal is Signal.DIE


@pytest.mark.parametrize(
    ("restart", "signal"),
    [
        (RestartPolicy.ALWAYS, Signal.DIE),
        (RestartPolicy.ON_FAILURE, Signal.END),
        (RestartPolicy.UNLESS_STOPPED, Signal.DIE),
    ],
)
def test_only_on_failure_leaves_a_worker_down_that_left_in_order(
    restart: RestartPolicy, signal: Signal
) -> None:
    policy = plain_policy(restart=restart)

    assert plan(a_worker(), policy, a_crash(CLEAN), now=1.0, roll=0.0).signal is signal


def test_leaving_in_order_with_a_job_in_hand_is_a_failure() -> None:
    policy = plain_policy(restart=RestartPolicy.ON_FAILURE)

    assert plan(a_worker(), policy, a_crash(CLEAN, jobs=1), now=1.0, roll=0.0).signal is Signal.DIE


@pytest.mark.parametrize("restart", RESTARTS)
def test_a_process_that_cannot_work_is_tried_again_at_the_longest_delay(
    restart: RestartPolicy,
) -> None:
    worker = a_worker(WorkerState.STARTING, streak=1)
    policy = plain_policy(restart=restart)

    assert plan(worker, policy, a_crash(MISCONFIGURED), now=1.0, roll=0.5) == Plan(
        Signal.GIVE_UP, 300.0, streak=1
    )


def test_code_78_with_a_job_in_hand_is_the_jobs_doing() -> None:
    answer = plan(a_worker(), plain_policy(), a_crash(MISCONFIGURED, jobs=1), now=1.0, roll=0.5)

    assert answer.signal is Signal.DIE


@pytest.mark.parametrize("exit_", [CLEAN, KILLED, FAILED, MISCONFIGURED, UNKNOWN])
@pytest.mark.parametrize("restart", RESTARTS)
def test_a_worker_that_was_to_stop_stays_down_however_it_ended(
    exit_: Exit, restart: RestartPolicy
) -> None:
    worker = a_worker(WorkerState.STOPPING)
    policy: PoolPolicy = plain_policy(restart=restart)

    answer = plan(worker, policy, a_crash(exit_, jobs=2), now=1.0, roll=0.5)

    assert answer == Plan(Signal.END, None, streak=0)
