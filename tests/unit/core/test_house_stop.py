"""The whole house stops: drained the first time, at once the second."""

import pytest

from supervisor.core.commands import Blame, Drain, Finished, Record, Release, Spawn, Terminate
from supervisor.core.decide import decide
from supervisor.core.events import Event, StopAsked, StopNowAsked
from supervisor.core.fleet import PoolPolicy, Stopping, initial
from supervisor.core.lifecycle import WorkerState
from tests.unit.core.stories import CLEAN, FAILED, KILLED, SEGFAULT, Story, a_job, a_story

ME = "download-1"


def two_workers() -> tuple[Story, Story]:
    """The same fleet seen from its two workers; the second story is told after the first."""
    fleet, _ = initial([PoolPolicy(name="download", instances=2)], now=0.0)
    return Story(fleet), Story(fleet, worker_id="download-2")


def test_a_stop_drains_and_is_finished_when_the_last_process_is_dead() -> None:
    story = a_story().up().starts("j1").tell(StopAsked())

    assert story.orders == (Drain(ME, "the supervisor stops"),)
    assert (story.state, story.fleet.stopping) == (WorkerState.STOPPING, Stopping.DRAINING)
    assert story.ends("j1").orders == ()
    assert story.exits(CLEAN).orders == (Finished(),)
    assert story.told == ("worker.stopped",)


def test_the_house_is_finished_only_when_all_are_down_and_says_so_once() -> None:
    first, second = two_workers()
    first.up()
    second.fleet = first.fleet
    second.up().tell(StopAsked())
    assert [type(order) for order in second.orders] == [Drain, Drain]

    first.fleet = second.fleet
    assert first.exits(CLEAN).orders == ()
    second.fleet = first.fleet
    assert second.exits(CLEAN).orders == (Finished(),)
    assert second.tell(StopAsked()).orders == ()
    assert second.tick(99.0).orders == ()


def test_an_empty_house_is_finished_at_once() -> None:
    story = a_story().spawned().exits(FAILED).tell(StopAsked())

    assert story.orders == (Finished(),)
    assert story.state is WorkerState.STOPPED
    assert story.tick(9_999.0).commands == ()


def test_a_house_without_pools_is_finished_at_once() -> None:
    fleet, _ = initial([], now=0.0)

    assert decide(fleet, StopAsked(), 0.0, 0.0)[1] == (Finished(),)


@pytest.mark.parametrize("again", [StopAsked(), StopNowAsked()])
def test_a_second_stop_ends_every_process_now_and_blames_none(again: Event) -> None:
    story = a_story().up().starts("j1").tell(StopAsked()).tell(again)

    assert story.orders == (Terminate(ME, 5.0, "the supervisor stops now"),)
    assert story.exits(KILLED).orders == (
        Release(ME, (a_job("j1"),), "the supervisor stops now"),
        Finished(),
    )


def test_a_stop_now_does_not_drain_first() -> None:
    story = a_story().up().tell(StopNowAsked())

    assert story.orders == (Terminate(ME, 5.0, "the supervisor stops now"),)
    assert story.tell(StopNowAsked()).orders == ()


def test_a_stop_never_becomes_softer() -> None:
    story = a_story().up().tell(StopNowAsked()).tell(StopAsked())

    assert (story.fleet.stopping, story.orders) == (Stopping.NOW, ())


def test_a_drain_that_takes_too_long_is_ended() -> None:
    story = a_story(stop_grace=10.0).up().starts("j1").tell(StopAsked())

    assert story.tick(10.0).orders == (
        Terminate(ME, 5.0, "the supervisor stops; still there 10 s later"),
    )
    assert isinstance(story.exits(KILLED).orders[0], Release)


def test_a_crash_in_a_drain_is_recorded_and_blamed_but_nobody_starts() -> None:
    story = a_story(delay=0.0).up().starts("j1").tell(StopAsked()).exits(SEGFAULT)

    assert [type(order) for order in story.orders] == [Blame, Record, Finished]
    assert (story.state, story.worker.crash_count) == (WorkerState.STOPPED, 1)


def test_a_worker_that_was_being_replaced_is_not_replaced_any_more() -> None:
    story = a_story().up().restart_worker().tell(StopAsked()).exits(CLEAN)

    assert not any(isinstance(order, Spawn) for order in story.orders)
    assert story.state is WorkerState.STOPPED


def test_a_process_on_its_way_is_waited_for_and_ended() -> None:
    story = a_story().tell(StopAsked())

    assert story.orders == ()
    assert story.tell(StopAsked()).orders == ()
    assert story.spawned().orders == (Terminate(ME, 5.0, "the supervisor stops now"),)
    assert story.exits(CLEAN).orders == (Finished(),)


def test_operators_are_not_heard_any_more() -> None:
    story = a_story().up().tell(StopAsked())

    assert story.restart_worker().commands == ()
    assert story.stop_worker().commands == ()
