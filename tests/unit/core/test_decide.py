"""An ordinary life of a worker, told event by event, and news that concerns nobody."""

import pytest

from supervisor.core.commands import (
    Announce,
)
from supervisor.core.decide import decide
from supervisor.core.events import (
    Beaten,
    Event,
    Exited,
    JobStarted,
    Ready,
    Spawned,
    Ticked,
)
from supervisor.core.lifecycle import WorkerState
from tests.unit.core.stories import (
    FAILED,
    KILLED,
    QUEUE,
    a_job,
    a_story,
)

MB = 1_000_000
ME = "download-1"


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
