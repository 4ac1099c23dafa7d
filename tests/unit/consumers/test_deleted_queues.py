"""Runs that end after their queue was deleted: nothing would come again, and nothing is lost."""

import pytest

from consumers.desk import Condemn, Later, Move, Verdict
from consumers.errors import BrokerError
from consumers.outcome import Failure
from consumers.refusals import PAUSE
from tests.support.clocks import settle
from tests.support.long_jobs import BROKEN, DELETED, GONE, Bench, bench
from tests.support.sessions import QUEUES

__all__ = ["bench"]


@pytest.mark.invariant(1)
async def test_the_copy_that_follows_a_run_is_published_by_the_next_session_if_its_queue_is_gone(
    bench: Bench,
) -> None:
    """Nothing would come again; if something does, it is known to be stale."""
    await bench.begin()
    await bench.next_session(DELETED)
    await bench.end(BROKEN)

    assert bench.diary[-4:] == [
        "noted retrying",
        "unsettled",
        f"published to {QUEUES.priority}",
        "parked 1, ack owed",
    ]
    (copy,) = bench.broker.published
    assert copy.delay == 4.0


@pytest.mark.invariant(1)
@pytest.mark.parametrize(
    ("verdict", "queue"),
    [
        (Later("j1", 4.0, 3, attempts=1, why="its worker died"), QUEUES.priority),
        (
            Move("j1", "roomy", "roomy_queue.priority", 3, attempts=1, why="memory"),
            "roomy_queue.priority",
        ),
        (Condemn("j1", Failure("its worker died"), attempts=1), QUEUES.dead),
    ],
)
async def test_a_copy_that_was_ordered_before_its_queue_was_deleted_is_left_to_the_next_session(
    bench: Bench, verdict: Verdict, queue: str
) -> None:
    bench.desk.verdict = verdict
    bench.desk.open.clear()
    await bench.begin()
    await bench.next_session(DELETED)

    bench.desk.open.set()
    await settle()

    assert f"published to {queue}" in bench.diary
    confirmed = [] if isinstance(verdict, Condemn) else ["parked 3, ack owed"]
    assert bench.diary[bench.diary.index(f"published to {queue}") + 1 :] == confirmed


async def test_of_a_run_whose_session_was_lost_in_another_way_the_original_is_waited_for(
    bench: Bench,
) -> None:
    """With a copy beside it, an original without an id would pass for another job."""
    await bench.begin()
    await bench.next_session()
    await bench.end(BROKEN)

    assert bench.diary[-2:] == ["noted retrying", "unsettled"]
    with pytest.raises(BrokerError):
        bench.work[0].result()


@pytest.mark.invariant(1)
async def test_a_dead_letter_is_published_by_the_next_session_when_that_has_come(
    bench: Bench,
) -> None:
    await bench.begin()
    bench.session.end(DELETED)
    bench.parking.lost()
    await bench.end(GONE)
    assert bench.diary[-2:] == ["noted giving up", "unsettled"]
    assert not bench.work[0].done()

    await bench.next_session()
    await settle()

    assert bench.diary[-1] == f"published to {QUEUES.dead}"
    assert bench.work[0].done()


async def test_a_copy_left_to_the_next_session_holds_the_consumer_while_it_is_refused(
    bench: Bench,
) -> None:
    bench.broker.refusing.add(QUEUES.dead)
    await bench.begin()
    await bench.next_session(DELETED)
    await bench.end(GONE)
    assert bench.session.declared == [QUEUES]
    assert not bench.work[0].done()

    bench.broker.refusing.clear()
    await bench.clock.move(PAUSE)

    assert bench.diary[-1] == f"published to {QUEUES.dead}"
    assert bench.work[0].done()
