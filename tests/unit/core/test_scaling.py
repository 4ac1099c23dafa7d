"""A pool gets more workers or fewer while it runs."""

from supervisor.core.commands import Cause, Drain, Spawn, Terminate
from supervisor.core.decide import decide
from supervisor.core.events import ScaleAsked, Spawned, StopAsked
from supervisor.core.fleet import PoolPolicy, initial
from supervisor.core.lifecycle import WorkerState
from tests.unit.core.stories import CLEAN, KILLED, Story, a_story

WHY = "scaled by an operator"


def scaled(story: Story, instances: int, *, is_patient: bool = True) -> Story:
    return story.tell(ScaleAsked("download", instances, WHY, is_patient))


def test_new_workers_are_started_and_shown_beside_those_of_their_pool() -> None:
    fleet, _ = initial([PoolPolicy(name="download"), PoolPolicy(name="cutter")], now=0.0)

    fleet, commands = decide(fleet, ScaleAsked("download", 3, WHY), 0.0, 0.0)

    assert commands == (Spawn("download-2", 1), Spawn("download-3", 1))
    assert list(fleet.workers) == ["download-1", "download-2", "download-3", "cutter-1"]
    assert fleet.policies["download"].instances == 3


def test_the_highest_workers_leave_when_their_jobs_are_done_however_long_that_takes() -> None:
    story = a_story(instances=2)
    story.worker_id = "download-2"
    story.up().starts("j1")

    assert scaled(story, 1).orders == (Drain("download-2", WHY),)
    assert story.beat(at=999.0).orders == ()
    assert story.tick(1000.0).orders == ()
    story.ends("j1", at=1000.0).exits(CLEAN)
    assert list(story.fleet.workers) == ["download-1"]
    assert "download-2" not in story.tick(9999.0).fleet.workers


def test_a_worker_with_empty_hands_that_does_not_leave_is_ended() -> None:
    story = scaled(a_story().up(), 0)

    assert story.beat(at=29.0).tick(30.0).orders == (
        Terminate("download-1", 5.0, f"{WHY}; still there 30 s later"),
    )


def test_an_impatient_end_gives_jobs_the_grace_of_a_stop() -> None:
    story = scaled(a_story().up().starts("j1"), 0, is_patient=False)

    assert story.orders == (Drain("download-1", WHY),)
    (terminate,) = story.beat(at=29.0).tick(30.0).orders
    assert isinstance(terminate, Terminate)
    story.exits(KILLED)
    assert not story.fleet.workers


def test_the_patience_ends_with_the_house() -> None:
    story = scaled(a_story().up().starts("j1"), 0).tell(StopAsked())

    (terminate,) = story.beat(at=29.0).tick(30.0).orders
    assert isinstance(terminate, Terminate)


def test_a_worker_that_leaves_and_is_wanted_again_goes_on_with_a_fresh_process() -> None:
    story = scaled(a_story().up().starts("j1"), 0)
    assert story.state is WorkerState.STOPPING

    assert scaled(story, 1).orders == ()
    assert story.ends("j1").exits(CLEAN).orders[-1] == Spawn("download-1", 2)


def test_a_slot_that_comes_again_goes_on_counting_its_processes() -> None:
    story = scaled(a_story().up(), 0).exits(CLEAN)

    assert scaled(story, 1).orders == (Spawn("download-1", 2),)
    late = Spawned("download-1", 1, 77)
    assert story.tell(late).worker.pid is None


def test_a_slot_that_is_down_is_gone_at_once() -> None:
    story = scaled(a_story().spawned().exits(KILLED), 0)

    assert not story.fleet.workers


def test_a_start_under_way_is_ended_when_it_appears() -> None:
    story = scaled(a_story(), 0)

    (terminate,) = story.spawned().orders
    assert isinstance(terminate, Terminate)
    story.exits(KILLED)
    assert not story.fleet.workers


def test_a_worker_that_leaves_is_not_restarted() -> None:
    story = scaled(a_story().up(), 0).restart_worker()

    assert story.exits(CLEAN).orders == ()


def test_a_worker_that_an_operator_stopped_stays_down() -> None:
    story = a_story(instances=2).up().stop_worker().exits(CLEAN)

    assert scaled(story, 3).orders == (Spawn("download-3", 1),)
    assert story.state is WorkerState.STOPPED


def test_a_house_that_stops_is_not_scaled_nor_is_a_pool_that_is_not_there() -> None:
    story = a_story().up()
    fleet = story.fleet

    assert story.tell(ScaleAsked("nobody", 3, WHY)).commands == ()
    assert story.fleet == fleet
    assert scaled(story.tell(StopAsked()), 3).commands == ()


def test_a_worker_that_leaves_is_no_incident() -> None:
    story = scaled(a_story().up(), 0)

    story.exits(CLEAN)

    assert story.orders == ()
    assert story.told == ("worker.stopped",)
    assert Cause.SCALE.value == "scale"
