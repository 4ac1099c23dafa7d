"""Crashes, hangs and limits: who is blamed, and when the next process starts."""

import pytest

from supervisor.core.commands import (
    Announce,
    Blame,
    Cause,
    Drain,
    DumpAndKill,
    Kill,
    Record,
    Release,
    Spawn,
    Stall,
    Terminate,
)
from supervisor.core.events import (
    CancelIgnored,
    Garbled,
    JobStarted,
    Left,
)
from supervisor.core.fleet import RestartPolicy
from supervisor.core.lifecycle import WorkerState
from supervisor.core.records import Charge
from tests.unit.core.stories import (
    CLEAN,
    FAILED,
    KILLED,
    MISCONFIGURED,
    OUT_OF_MEMORY,
    QUEUE,
    SEGFAULT,
    UNKNOWN,
    a_job,
    a_story,
)

MB = 1_000_000
ME = "download-1"


def test_a_killed_worker_waits_five_seconds_and_its_job_is_blamed_first() -> None:
    story = a_story().up().starts("j1").exits(KILLED, at=10.0)

    assert story.state is WorkerState.CRASHED
    assert story.orders == (
        Blame(ME, (a_job("j1"),), KILLED, KILLED.words),
        Record(ME, "download", Cause.CRASH, KILLED.words, KILLED.words, 101, ("j1",)),
    )
    assert story.commands[-1] == Announce(
        "worker.crashed",
        ME,
        {
            "cause": "crash",
            "why": KILLED.words,
            "exit": KILLED.words,
            "jobs": "j1",
            "restart_in": 5.0,
        },
    )
    assert (story.worker.restart_at, story.worker.crash_count) == (15.0, 1)
    assert story.fleet.next_deadline() == 15.0
    assert story.tick(14.9).orders == ()
    story = story.tick(15.0)
    assert (story.state, story.orders) == (WorkerState.RESTARTING, (Spawn(ME, 2),))
    assert story.up().told == ("worker.restored",)
    assert (story.state, story.worker.restarts) == (WorkerState.IDLE, 1)


@pytest.mark.invariant(5)
def test_with_no_delay_the_replacement_is_ordered_in_the_same_step_after_the_blame() -> None:
    story = a_story(delay=0.0).up().starts("j1").exits(KILLED)

    assert [type(order) for order in story.orders] == [Blame, Record, Spawn]
    assert story.orders[-1] == Spawn(ME, 2)
    assert story.state is WorkerState.RESTARTING


def test_crashes_in_a_row_wait_longer_and_longer() -> None:
    story = a_story()
    delays = []
    for _ in range(8):
        story.spawned().exits(SEGFAULT)
        assert story.worker.restart_at is not None
        delays.append(story.worker.restart_at - story.now)
        story.tick(story.worker.restart_at)

    assert delays == [5.0, 5.0, 10.0, 20.0, 40.0, 80.0, 150.0, 150.0]
    assert story.worker.crash_count == 8


def test_a_start_that_fails_is_a_crash_without_a_process() -> None:
    story = a_story().spawn_failed("cannot fork")

    assert story.state is WorkerState.CRASHED
    assert story.orders == (Record(ME, "download", Cause.CRASH, "cannot fork"),)
    assert story.told == ("worker.crashed",)
    assert (story.worker.restart_at, story.worker.streak) == (5.0, 1)


def test_a_start_that_fails_while_stopping_leaves_the_worker_stopped() -> None:
    story = a_story().stop_worker().spawn_failed()

    assert story.state is WorkerState.STOPPED
    assert story.worker.restart_at is None


def test_a_failed_start_of_a_process_that_exists_is_not_believed() -> None:
    story = a_story().up().spawn_failed()

    assert story.state is WorkerState.IDLE


def test_a_process_that_dies_before_it_was_reported_is_dead_all_the_same() -> None:
    story = a_story().exits(FAILED)

    assert story.state is WorkerState.CRASHED


def test_an_unknown_exit_gives_the_jobs_back_and_is_no_crash() -> None:
    story = a_story().up().starts("j1", "j2").exits(UNKNOWN, at=1.0)

    assert story.orders[0] == Release(ME, (a_job("j1"), a_job("j2")), UNKNOWN.words)
    assert (story.worker.crash_count, story.worker.restart_at) == (0, 6.0)


def test_a_worker_that_says_goodbye_gives_its_jobs_back() -> None:
    story = a_story().up().starts("j1").tell(Left(ME, 1)).exits(CLEAN)

    assert story.orders[0] == Release(ME, (a_job("j1"),), CLEAN.words)
    assert story.state is WorkerState.CRASHED


def test_a_worker_that_cannot_work_is_failed_and_tried_again_late() -> None:
    story = a_story().spawned().exits(MISCONFIGURED, at=1.0)

    assert (story.state, story.told) == (WorkerState.FAILED, ("worker.failed",))
    assert story.tick(300.9).orders == ()
    assert story.tick(301.0).orders == (Spawn(ME, 2),)


def test_a_worker_that_left_in_order_stays_down_on_failure() -> None:
    story = a_story(restart=RestartPolicy.ON_FAILURE).up().exits(CLEAN)

    assert (story.state, story.told, story.orders) == (
        WorkerState.STOPPED,
        ("worker.stopped",),
        (),
    )
    assert story.fleet.next_deadline() is None


def test_a_silent_worker_is_dumped_killed_and_blamed() -> None:
    story = a_story().up().starts("j1", "j2")
    why = "no heartbeat for 30 s, allowed are 30 s"

    assert story.tick(29.9).orders == ()
    assert story.tick(30.0).orders == (
        Stall(ME, (a_job("j1"), a_job("j2")), "its worker has not beaten for 30 s"),
        DumpAndKill(ME, why),
    )
    assert (story.state, story.told) == (WorkerState.RESTARTING, ("worker.restarting",))
    assert story.tick(31.0).commands == ()
    story.exits(KILLED)
    assert story.orders == (
        Blame(ME, (a_job("j1"), a_job("j2")), KILLED, why),
        Record(ME, "download", Cause.HANG, why, KILLED.words, 101, ("j1", "j2")),
    )
    assert story.state is WorkerState.CRASHED


def test_jobs_of_a_silent_worker_are_stalled_and_that_is_told_once_of_each_silence() -> None:
    story = a_story(stalled_after=10.0).up().starts("j1")
    stalled = Stall(ME, (a_job("j1"),), "its worker has not beaten for 10 s")

    assert story.tick(9.9).orders == ()
    assert story.fleet.next_deadline() == 10.0
    assert story.tick(10.0).orders == (stalled,)
    assert story.tick(20.0).orders == ()
    assert story.beat(at=21.0).tick(30.9).orders == ()
    assert story.tick(31.0).orders == (stalled,)
    assert story.state is WorkerState.PROCESSING


def test_no_job_is_stalled_by_the_time_it_runs_nor_where_there_is_none() -> None:
    idle = a_story(stalled_after=10.0).up()
    busy = a_story(stalled_after=10.0).up().starts("j1")
    for second in range(0, 3_600, 5):
        assert busy.beat(at=float(second)).tick(second + 4.9).orders == ()

    assert idle.tick(15.0).orders == ()


def test_a_worker_that_beats_is_never_hung_however_long_its_job_takes() -> None:
    story = a_story(timeout=10_000.0).up().starts("j1")
    for second in range(0, 3_600, 5):
        assert story.beat(at=float(second)).tick(second + 4.9).orders == ()

    assert story.state is WorkerState.PROCESSING


def test_a_job_over_its_timeout_is_blamed_and_the_other_given_back() -> None:
    story = a_story(timeout=60.0).up().starts("j1")
    story.tell(JobStarted(ME, 1, QUEUE, "j2"), at=50.0).beat(at=65.0).tick(65.0)
    why = "job j1 ran for 65 s, allowed are 60 s"

    assert story.orders == (DumpAndKill(ME, why),)
    story = story.exits(KILLED)
    assert story.orders[:2] == (
        Blame(ME, (a_job("j1"),), KILLED, why, Charge.TIMEOUT),
        Release(ME, (a_job("j2", started_at=50.0),), why),
    )
    assert (story.worker.restart_at, story.worker.streak) == (70.0, 0)


def test_a_cancelled_job_that_goes_on_costs_its_process() -> None:
    story = a_story().up().starts("j1")

    assert story.tell(CancelIgnored(ME, 1, QUEUE, "j9")).commands == ()
    story.tell(CancelIgnored(ME, 1, QUEUE, "j1"))
    why = "job j1 was cancelled and did not stop"
    assert story.orders == (DumpAndKill(ME, why),)
    assert story.exits(KILLED).orders[0] == Release(ME, (a_job("j1"),), why)  # by wish: no blame


def test_above_the_soft_limit_a_worker_finishes_its_job_and_is_replaced_at_once() -> None:
    story = a_story(memory_soft=512 * MB, stop_grace=30.0).up().starts("j1")
    why = "uses 600 MB, allowed are 512 MB"

    assert story.uses(memory=600 * MB).orders == (Drain(ME, why),)
    assert story.state is WorkerState.RESTARTING
    assert story.uses(memory=610 * MB).commands == ()
    assert story.beat(at=500.0).tick(500.0).orders == ()  # the job may take its time
    assert story.ends("j1", at=501.0).worker.kill_at == 531.0
    story.exits(CLEAN)
    assert story.orders == (
        Record(ME, "download", Cause.MEMORY, why, CLEAN.words, 101),
        Spawn(ME, 2),
    )
    assert (story.worker.streak, story.worker.crash_count) == (0, 0)


def test_a_job_claimed_before_the_drain_was_heard_of_may_take_its_time_too() -> None:
    story = a_story(memory_soft=MB).up().uses(memory=2 * MB)

    assert story.worker.kill_at == 30.0
    assert story.starts("j1").worker.kill_at is None


def test_above_the_hard_limit_a_worker_is_killed_in_the_middle_of_its_job() -> None:
    story = a_story(memory_soft=512 * MB, memory_hard=768 * MB).up().starts("j1")

    story.uses(memory=600 * MB).uses(memory=900 * MB)

    assert story.orders == (Kill(ME, "uses 900 MB, allowed are 768 MB"),)
    blame, record, *_ = story.exits(KILLED).orders
    assert isinstance(blame, Blame)
    assert blame.charge is Charge.MEMORY
    assert isinstance(record, Record)
    assert record.cause is Cause.MEMORY


def test_a_kill_by_the_kernel_for_want_of_memory_is_told_from_other_crashes() -> None:
    story = a_story().up().starts("j1", "j2").exits(OUT_OF_MEMORY)

    assert story.orders == (
        Blame(ME, (a_job("j1"), a_job("j2")), OUT_OF_MEMORY, OUT_OF_MEMORY.words, Charge.MEMORY),
        Record(ME, "download", Cause.MEMORY, OUT_OF_MEMORY.words, OUT_OF_MEMORY.words, 101,
               ("j1", "j2")),
    )  # fmt: skip
    assert (story.state, story.worker.crash_count) == (WorkerState.CRASHED, 1)


def test_a_worker_that_is_busy_for_a_whole_window_is_replaced() -> None:
    story = a_story(max_cpu=1.5, cpu_window=10.0).up()

    assert story.uses(cpu=1.8, at=0.0).orders == ()
    assert story.uses(cpu=1.8, at=10.0).orders == (
        Drain(ME, "used more than 150% of a processor for 10 s, now 180%"),
    )


def test_a_critical_error_replaces_the_worker_at_once() -> None:
    story = a_story().up().starts("j1").complains()
    why = "Unable to reconnect to RabbitMQ"

    assert (story.state, story.told) == (WorkerState.ERROR, ("worker.error",))
    assert story.orders == (Terminate(ME, 5.0, why),)
    assert story.complains().commands == ()
    story = story.exits(CLEAN)
    assert story.orders == (
        Release(ME, (a_job("j1"),), why),
        Record(ME, "download", Cause.ERROR, why, CLEAN.words, 101, ("j1",)),
        Spawn(ME, 2),
    )


def test_a_draining_worker_that_complains_is_ended_at_once() -> None:
    story = a_story().up().starts("j1").restart_worker().complains()

    assert isinstance(story.orders[0], Terminate)
    assert story.state is WorkerState.RESTARTING


def test_a_worker_that_cannot_be_understood_any_more_is_killed_and_blamed() -> None:
    why = "a frame of 1,000,000,000 bytes is over the limit"
    story = a_story().up().starts("j1").tell(Garbled(ME, 1, why, is_final=True), at=10.0)
    said = f"it cannot be understood any more: {why}"
    killing = story.orders

    dead = story.exits(KILLED, at=11.0)

    assert killing == (Kill(ME, said),)
    assert dead.orders[0] == Blame(ME, (a_job("j1"),), KILLED, said)
    assert (story.worker.crash_count, story.worker.unreadable) == (1, 1)


def test_a_message_that_makes_no_sense_is_counted_and_nothing_else() -> None:
    story = a_story().up()
    before = story.worker

    story.tell(Garbled(ME, 1, "not JSON", is_final=False))

    assert (story.commands, story.state, story.worker.unreadable) == ((), before.state, 1)
