"""Operators stop and restart workers, and change their minds."""

from supervisor.core.commands import (
    Blame,
    Cause,
    Drain,
    Record,
    Release,
    Spawn,
    Terminate,
)
from supervisor.core.lifecycle import WorkerState
from tests.unit.core.stories import (
    CLEAN,
    FAILED,
    KILLED,
    MISCONFIGURED,
    a_job,
    a_story,
)

MB = 1_000_000
ME = "download-1"


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
