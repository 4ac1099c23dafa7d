"""When a process has to go, and who is to blame for a dead one."""

import pytest

from supervisor.core import health
from supervisor.core.commands import Cause
from supervisor.core.events import Exit
from supervisor.core.fleet import Condemned, Ending
from supervisor.core.lifecycle import WorkerState
from tests.unit.core.stories import (
    CLEAN,
    FAILED,
    KILLED,
    SEGFAULT,
    TERMINATED,
    UNKNOWN,
    a_job,
    a_worker,
    plain_policy,
)

MB = 1_000_000
ONE, TWO = a_job("j1"), a_job("j2", started_at=50.0)


def condemned(cause: Cause, ending: Ending = Ending.DRAIN) -> Condemned:
    return Condemned(cause, f"because of {cause.value}", ending)


# --- in time ---


def test_a_worker_that_beats_in_time_is_fine() -> None:
    assert health.overdue(a_worker(last_beat=10.0), plain_policy(), 39.9) is None


def test_silence_is_a_hang_and_says_how_long() -> None:
    assert health.overdue(a_worker(last_beat=10.0), plain_policy(), 41.0) == Condemned(
        Cause.HANG, "no heartbeat for 31 s, allowed are 30 s", Ending.DUMP_AND_KILL
    )


def test_a_worker_that_does_not_become_ready_is_hung() -> None:
    worker = a_worker(WorkerState.STARTING, spawned_at=5.0, ready_at=None, last_beat=None)

    assert health.overdue(worker, plain_policy(), 34.9) is None
    assert health.overdue(worker, plain_policy(), 35.0) == Condemned(
        Cause.HANG, "not ready after 30 s, allowed are 30 s", Ending.DUMP_AND_KILL
    )


def test_a_starting_worker_need_not_beat() -> None:
    worker = a_worker(WorkerState.STARTING, spawned_at=50.0, ready_at=None, last_beat=1.0)

    assert health.overdue(worker, plain_policy(), 60.0) is None


def test_a_job_has_a_margin_beyond_its_timeout_to_stop_itself() -> None:
    policy = plain_policy(timeout=100.0, timeout_margin=5.0)
    worker = a_worker(WorkerState.PROCESSING, jobs=(ONE,), last_beat=100.0)

    assert health.overdue(worker, policy, 104.9) is None
    assert health.overdue(worker, policy, 105.0) == Condemned(
        Cause.TIMEOUT, "job j1 ran for 105 s, allowed are 100 s", Ending.DUMP_AND_KILL, ONE
    )


def test_a_hang_explains_more_than_the_timeout_it_causes() -> None:
    policy = plain_policy(timeout=20.0)
    worker = a_worker(WorkerState.PROCESSING, jobs=(ONE,), last_beat=0.0)

    verdict = health.overdue(worker, policy, 60.0)

    assert verdict is not None
    assert verdict.cause is Cause.HANG


def test_a_drain_that_takes_too_long_becomes_harder_and_keeps_its_cause() -> None:
    draining = condemned(Cause.OPERATOR)
    worker = a_worker(WorkerState.RESTARTING, condemned=draining, kill_at=40.0, last_beat=39.0)

    assert health.overdue(worker, plain_policy(), 40.0) == Condemned(
        Cause.OPERATOR, "because of operator; still there 30 s later", Ending.TERMINATE
    )


@pytest.mark.parametrize("ending", [Ending.TERMINATE, Ending.KILL, Ending.DUMP_AND_KILL])
def test_a_process_that_is_being_ended_is_left_to_the_shell(ending: Ending) -> None:
    worker = a_worker(WorkerState.RESTARTING, condemned=condemned(Cause.HANG, ending), kill_at=1.0)

    assert health.overdue(worker, plain_policy(), 900.0) is None


def test_a_draining_worker_can_still_hang() -> None:
    draining = condemned(Cause.MEMORY)
    worker = a_worker(WorkerState.RESTARTING, condemned=draining, jobs=(ONE,))

    verdict = health.overdue(worker, plain_policy(), 30.0)

    assert verdict is not None
    assert verdict.cause is Cause.HANG


def test_a_worker_without_a_process_is_never_late_with_anything_but_its_start() -> None:
    waiting = a_worker(WorkerState.CRASHED, pid=None, restart_at=3.0)

    assert health.overdue(waiting, plain_policy(), 900.0) is None


def test_a_cancelled_job_that_goes_on_is_ended_with_its_process() -> None:
    assert health.ignored_cancel(ONE) == Condemned(
        Cause.OPERATOR, "job j1 was cancelled and did not stop", Ending.DUMP_AND_KILL
    )


# --- in size ---


@pytest.mark.parametrize(
    ("megabytes", "verdict"),
    [
        (512, None),
        (513, Condemned(Cause.MEMORY, "uses 513 MB, allowed are 512 MB", Ending.DRAIN)),
        (768, Condemned(Cause.MEMORY, "uses 768 MB, allowed are 512 MB", Ending.DRAIN)),
        (1769, Condemned(Cause.MEMORY, "uses 1,769 MB, allowed are 768 MB", Ending.KILL)),
    ],
)
def test_memory_has_a_soft_and_a_hard_limit(megabytes: int, verdict: Condemned | None) -> None:
    policy = plain_policy(memory_soft=512 * MB, memory_hard=768 * MB)

    assert health.weigh(a_worker(memory=megabytes * MB), policy, 0.0) == verdict


def test_without_limits_any_size_will_do() -> None:
    worker = a_worker(memory=10**15, cpu=64.0)

    assert health.weigh(worker, plain_policy(), 1e9) is None


def test_a_processor_may_be_busy_but_not_for_a_whole_window() -> None:
    policy = plain_policy(max_cpu=0.5, cpu_window=60.0)
    busy = health.with_measures(a_worker(), policy, memory=0, cpu=0.9, now=10.0)
    busier = health.with_measures(busy, policy, memory=0, cpu=1.25, now=70.0)

    assert health.weigh(busy, policy, 69.9) is None
    assert health.weigh(busier, policy, 70.0) == Condemned(
        Cause.CPU, "used more than 50% of a processor for 60 s, now 125%", Ending.DRAIN
    )


def test_a_calm_moment_begins_a_new_window() -> None:
    policy = plain_policy(max_cpu=0.5)
    worker = a_worker()
    for now, cpu in ((0.0, 0.9), (50.0, 0.5), (55.0, 0.9)):
        worker = health.with_measures(worker, policy, memory=0, cpu=cpu, now=now)

    assert worker.cpu_high_since == 55.0
    assert health.weigh(worker, policy, 100.0) is None


def test_without_a_limit_no_window_is_kept() -> None:
    worker = health.with_measures(a_worker(), plain_policy(), memory=7, cpu=9.0, now=1.0)

    assert (worker.memory, worker.cpu, worker.cpu_high_since) == (7, 9.0, None)


# --- blame ---


@pytest.mark.parametrize("exit_", [KILLED, SEGFAULT, FAILED, CLEAN])
def test_a_process_that_died_by_itself_blames_every_started_job(exit_: Exit) -> None:
    death = health.autopsy(a_worker(jobs=(ONE, TWO)), exit_)

    assert (death.cause, death.why) == (Cause.CRASH, exit_.words)
    assert (death.blamed, death.spared) == ((ONE, TWO), ())


@pytest.mark.parametrize("exit_", [UNKNOWN, TERMINATED, Exit(None, 2, "SIGINT")])
def test_nobody_is_blamed_for_an_unknown_exit_or_a_signal_from_outside(exit_: Exit) -> None:
    death = health.autopsy(a_worker(jobs=(ONE, TWO)), exit_)

    assert (death.cause, death.blamed, death.spared) == (Cause.CRASH, (), (ONE, TWO))


def test_a_process_that_gave_its_jobs_back_and_left_in_order_blames_nobody() -> None:
    leaving = a_worker(jobs=(ONE,), has_left=True)

    assert health.autopsy(leaving, CLEAN).spared == (ONE,)
    assert health.autopsy(leaving, CLEAN).is_orderly
    assert health.autopsy(leaving, SEGFAULT).blamed == (ONE,)


def test_an_unknown_exit_is_no_crash() -> None:
    assert not health.autopsy(a_worker(), UNKNOWN).is_crash
    assert health.autopsy(a_worker(), TERMINATED).is_crash


@pytest.mark.parametrize("exit_", [KILLED, UNKNOWN])
@pytest.mark.parametrize(
    "verdict",
    [condemned(Cause.HANG, Ending.DUMP_AND_KILL), condemned(Cause.MEMORY, Ending.KILL)],
)
def test_a_hang_and_the_hard_memory_limit_blame_every_started_job(
    verdict: Condemned, exit_: Exit
) -> None:
    death = health.autopsy(a_worker(jobs=(ONE, TWO), condemned=verdict), exit_)

    assert (death.cause, death.blamed, death.spared) == (verdict.cause, (ONE, TWO), ())
    assert death.is_crash


def test_a_timeout_blames_its_job_only() -> None:
    verdict = Condemned(Cause.TIMEOUT, "too long", Ending.DUMP_AND_KILL, ONE)

    death = health.autopsy(a_worker(jobs=(ONE, TWO), condemned=verdict), KILLED)

    assert (death.cause, death.blamed, death.spared) == (Cause.TIMEOUT, (ONE,), (TWO,))
    assert not death.is_planned


@pytest.mark.invariant(6)
def test_a_job_that_ended_before_its_process_was_dead_is_not_blamed() -> None:
    verdict = Condemned(Cause.TIMEOUT, "too long", Ending.DUMP_AND_KILL, ONE)

    death = health.autopsy(a_worker(jobs=(TWO,), condemned=verdict), KILLED)

    assert (death.blamed, death.spared) == ((), (TWO,))


@pytest.mark.parametrize("exit_", [CLEAN, KILLED, TERMINATED, UNKNOWN])
@pytest.mark.parametrize(
    "cause", [Cause.OPERATOR, Cause.RELOAD, Cause.LIFETIME, Cause.CPU, Cause.ERROR, Cause.STOP]
)
def test_what_is_done_on_purpose_blames_nobody(cause: Cause, exit_: Exit) -> None:
    verdict = condemned(cause, Ending.TERMINATE)

    death = health.autopsy(a_worker(jobs=(ONE, TWO), condemned=verdict), exit_)

    assert (death.cause, death.blamed, death.spared) == (cause, (), (ONE, TWO))
    assert death.is_planned


@pytest.mark.parametrize("ending", [Ending.DRAIN, Ending.TERMINATE])
def test_the_soft_memory_limit_blames_nobody(ending: Ending) -> None:
    worker = a_worker(jobs=(ONE,), condemned=condemned(Cause.MEMORY, ending))

    death = health.autopsy(worker, CLEAN)

    assert (death.blamed, death.spared, death.is_planned) == ((), (ONE,), True)


@pytest.mark.parametrize("exit_", [KILLED, SEGFAULT, FAILED])
def test_a_process_that_crashes_while_it_drains_died_by_itself(exit_: Exit) -> None:
    worker = a_worker(jobs=(ONE,), condemned=condemned(Cause.STOP))

    death = health.autopsy(worker, exit_)

    assert (death.cause, death.why) == (Cause.CRASH, f"{exit_.words}, while draining")
    assert (death.blamed, death.is_crash) == ((ONE,), True)


@pytest.mark.parametrize("exit_", [CLEAN, TERMINATED, UNKNOWN])
def test_a_process_that_leaves_while_it_drains_did_as_it_was_told(exit_: Exit) -> None:
    worker = a_worker(jobs=(ONE,), condemned=condemned(Cause.STOP))

    death = health.autopsy(worker, exit_)

    assert (death.cause, death.blamed, death.is_planned) == (Cause.STOP, (), True)
