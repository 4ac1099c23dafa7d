"""Whole lives of a worker, told event by event."""

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
    Terminate,
)
from supervisor.core.decide import decide
from supervisor.core.events import (
    Beaten,
    CancelIgnored,
    Event,
    Exited,
    JobStarted,
    Ready,
    Spawned,
    Ticked,
)
from supervisor.core.fleet import RestartPolicy
from supervisor.core.lifecycle import WorkerState
from tests.unit.core.stories import (
    CLEAN,
    FAILED,
    KILLED,
    MISCONFIGURED,
    QUEUE,
    SEGFAULT,
    UNKNOWN,
    a_job,
    a_story,
)

MB = 1_000_000
ME = "download-1"


# --- an ordinary life ---


def test_a_worker_starts_becomes_ready_works_and_rests() -> None:
    story = a_story()

    assert story.state is WorkerState.STARTING
    assert story.spawned().state is WorkerState.STARTING
    assert story.ready().state is WorkerState.IDLE
    assert story.commands == (Announce("worker.ready", ME, {"pid": 101}),)
    assert story.starts("j1").state is WorkerState.PROCESSING
    assert story.starts("j2").worker.jobs == (a_job("j1"), a_job("j2"))
    assert story.ends("j1").state is WorkerState.PROCESSING
    assert story.ends("j2").state is WorkerState.IDLE
    assert story.worker.has_worked


def test_a_heartbeat_says_whether_it_consumes_and_why_not() -> None:
    story = a_story().up()

    story.tell(Beaten(ME, 1, consuming=False, why="connection refused"), at=4.0)

    assert (story.worker.last_beat, story.worker.consuming) == (4.0, False)
    assert story.worker.broker == "connection refused"


def test_a_job_started_before_its_worker_was_ready_counts() -> None:
    story = a_story().spawned().starts("j1")

    assert story.state is WorkerState.STARTING
    assert story.ready().state is WorkerState.PROCESSING


def test_a_job_that_starts_again_begins_anew() -> None:
    story = a_story().up().starts("j1")

    story.tell(JobStarted(ME, 1, QUEUE, "j1", 2), at=9.0)

    assert story.worker.jobs == (a_job("j1", started_at=9.0, attempt=2),)


def test_the_end_of_a_job_that_is_not_in_hand_changes_nothing() -> None:
    story = a_story().up()

    assert story.ends("j9").state is WorkerState.IDLE


# --- crashes ---


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


# --- limits ---


def test_a_silent_worker_is_dumped_killed_and_blamed() -> None:
    story = a_story().up().starts("j1", "j2")
    why = "no heartbeat for 30 s, allowed are 30 s"

    assert story.tick(29.9).orders == ()
    assert story.tick(30.0).orders == (DumpAndKill(ME, why),)
    assert (story.state, story.told) == (WorkerState.RESTARTING, ("worker.restarting",))
    assert story.tick(31.0).commands == ()
    story.exits(KILLED)
    assert story.orders == (
        Blame(ME, (a_job("j1"), a_job("j2")), KILLED, why),
        Record(ME, "download", Cause.HANG, why, KILLED.words, 101, ("j1", "j2")),
    )
    assert story.state is WorkerState.CRASHED


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
        Blame(ME, (a_job("j1"),), KILLED, why),
        Release(ME, (a_job("j2", started_at=50.0),), why),
    )
    assert (story.worker.restart_at, story.worker.streak) == (70.0, 0)


def test_a_cancelled_job_that_goes_on_costs_its_process() -> None:
    story = a_story().up().starts("j1")

    assert story.tell(CancelIgnored(ME, 1, QUEUE, "j9")).commands == ()
    story.tell(CancelIgnored(ME, 1, QUEUE, "j1"))
    assert story.orders == (DumpAndKill(ME, "job j1 was cancelled and did not stop"),)


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


def test_above_the_hard_limit_a_worker_is_killed_in_the_middle_of_its_job() -> None:
    story = a_story(memory_soft=512 * MB, memory_hard=768 * MB).up().starts("j1")

    story.uses(memory=600 * MB).uses(memory=900 * MB)

    assert story.orders == (Kill(ME, "uses 900 MB, allowed are 768 MB"),)
    assert isinstance(story.exits(KILLED).orders[0], Blame)


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


# --- operators ---


def test_an_operators_restart_drains_then_terminates_then_starts_at_once() -> None:
    story = a_story().up().starts("j1").restart_worker("new processor")

    assert story.orders == (Drain(ME, "new processor"),)
    assert story.beat(at=29.0).tick(30.0).orders == (
        Terminate(ME, 5.0, "new processor; still there 30 s later"),
    )
    story.exits(KILLED)
    assert [type(order) for order in story.orders] == [Release, Record, Spawn]


def test_an_operators_restart_starts_a_worker_that_is_down() -> None:
    crashed = a_story().spawned().exits(FAILED)
    failed = a_story().spawned().exits(MISCONFIGURED)
    stopped = a_story().up().stop_worker().exits(CLEAN)

    for story in (crashed, failed, stopped):
        assert story.restart_worker().orders == (Spawn(ME, 2),)
        assert (story.worker.streak, story.worker.restart_at) == (0, None)


def test_a_worker_that_is_on_its_way_up_needs_no_restart() -> None:
    assert a_story().restart_worker().commands == ()


def test_an_operators_stop_lasts() -> None:
    story = a_story().up().stop_worker()

    assert (story.state, story.told) == (WorkerState.STOPPING, ("worker.stopping",))
    assert story.orders == (Drain(ME, "stopped by an operator"),)
    story = story.exits(CLEAN)
    assert (story.state, story.orders) == (WorkerState.STOPPED, ())
    assert story.tick(9_999.0).commands == ()
    assert story.stop_worker().commands == ()


def test_a_second_stop_stops_now() -> None:
    story = a_story().up().starts("j1").stop_worker().stop_worker()

    assert story.orders == (Terminate(ME, 5.0, "stopped at once by an operator"),)
    assert story.exits(KILLED).orders == (
        Release(ME, (a_job("j1"),), "stopped at once by an operator"),
    )


def test_a_stop_hurries_a_drain_that_was_patient() -> None:
    story = a_story(memory_soft=MB).up().starts("j1").uses(memory=2 * MB)

    assert story.worker.kill_at is None
    story = story.stop_worker()
    assert (story.state, story.commands) == (WorkerState.STOPPING, ())
    assert story.worker.kill_at == 30.0


def test_a_stop_does_not_give_a_drain_more_time() -> None:
    story = a_story().up().restart_worker()
    story.now = 20.0

    assert story.stop_worker().worker.kill_at == 30.0


def test_a_stop_does_not_soften_a_kill() -> None:
    story = a_story().up().starts("j1").tick(30.0).stop_worker()

    assert (story.state, story.commands) == (WorkerState.STOPPING, ())
    assert isinstance(story.exits(KILLED).orders[0], Blame)
    assert story.state is WorkerState.STOPPED


def test_a_worker_stopped_before_its_process_appears_is_ended_when_it_does() -> None:
    story = a_story().stop_worker()

    assert (story.state, story.orders) == (WorkerState.STOPPING, ())
    assert story.spawned().orders == (Terminate(ME, 5.0, "stopped by an operator"),)
    assert story.exits(CLEAN).state is WorkerState.STOPPED


def test_a_stop_taken_back_before_the_process_appears_never_was() -> None:
    story = a_story().stop_worker().restart_worker()

    assert story.state is WorkerState.RESTARTING
    assert story.up().state is WorkerState.IDLE


def test_a_stop_taken_back_becomes_a_restart() -> None:
    story = a_story().up().stop_worker().restart_worker("on second thoughts")

    assert (story.state, story.commands) == (WorkerState.RESTARTING, ())
    story.exits(CLEAN)
    assert story.orders == (
        Record(ME, "download", Cause.OPERATOR, "on second thoughts", CLEAN.words, 101),
        Spawn(ME, 2),
    )


def test_taking_back_a_stop_does_not_hide_why_a_worker_is_killed() -> None:
    story = a_story().up().stop_worker().tick(30.0).restart_worker("on second thoughts")

    story.exits(KILLED)

    assert story.worker.state is WorkerState.CRASHED
    assert story.orders[0] == Record(
        ME, "download", Cause.HANG, "no heartbeat for 30 s, allowed are 30 s", KILLED.words, 101
    )


def test_stopping_a_worker_that_waits_cancels_its_restart() -> None:
    story = a_story().spawned().exits(FAILED).stop_worker()

    assert (story.state, story.told) == (WorkerState.STOPPED, ("worker.stopped",))
    assert story.fleet.next_deadline() is None


# --- news that concerns nobody ---


@pytest.mark.parametrize(
    "event",
    [
        Spawned(ME, 1, 7),
        Ready(ME, 1),
        Beaten(ME, 1, consuming=True),
        JobStarted(ME, 1, QUEUE, "j1"),
        Exited(ME, 1, KILLED),
    ],
)
def test_news_of_an_earlier_process_is_ignored(event: Event) -> None:
    story = a_story().up().exits(FAILED).tick(5.0).up()

    assert decide(story.fleet, event, 6.0, 0.0) == (story.fleet, ())


@pytest.mark.parametrize("event", [Ready("gone-1", 1), Exited("gone-1", 1, KILLED)])
def test_news_of_an_unknown_worker_is_ignored(event: Event) -> None:
    story = a_story().up()

    assert decide(story.fleet, event, 6.0, 0.0) == (story.fleet, ())


def test_what_is_said_twice_is_heard_once() -> None:
    story = a_story().up()
    before = story.worker

    assert story.ready(at=3.0).commands == ()
    assert story.tell(Spawned(ME, 1, 999)).commands == ()
    assert story.worker == before


def test_a_dead_worker_says_nothing() -> None:
    story = a_story().up().exits(FAILED)
    before = story.worker

    story.starts("j1").ready().uses(memory=1).exits(FAILED)

    assert story.worker == before


def test_a_process_that_was_not_reported_yet_says_nothing() -> None:
    story = a_story().ready().starts("j1")

    assert (story.state, story.worker.jobs) == (WorkerState.STARTING, ())


def test_time_alone_changes_nothing() -> None:
    story = a_story().up()

    assert decide(story.fleet, Ticked(), 1.0, 0.0) == (story.fleet, ())
