"""Jobs that take long are parked in time, whatever happens to the session, and then settled."""

import pytest

from consumers import jobs
from consumers.desk import Park
from consumers.errors import UnreachableError
from consumers.outcome import Failure, Interrupted
from consumers.parking import AGAIN
from tests.support.clocks import settle
from tests.support.long_jobs import AFTER, BROKEN, INFLIGHT, Bench, bench
from tests.support.sessions import QUEUES

__all__ = ["bench"]


async def test_a_job_in_time_is_not_parked(bench: Bench) -> None:
    await bench.begin()
    await bench.clock.move(AFTER - 1)
    await bench.end()
    await bench.clock.move(10)

    assert bench.parked == []
    assert bench.diary[-2:] == ["acked", "settled"]


@pytest.mark.invariant(2)
async def test_a_long_job_is_numbered_then_stored_then_acked_and_runs_on(bench: Bench) -> None:
    await bench.begin(headers={"tenant": 1}, reply_to="answers")
    await bench.clock.move(AFTER)

    assert bench.diary == [
        "started",
        "noted parking",
        f"published to {INFLIGHT}",
        "acked",
        "parked 1",
    ]
    assert not bench.work[0].done()
    (copy,) = bench.broker.published
    assert copy.message.properties.headers == {
        "tenant": 1,
        jobs.JOB_ID: "j1",
        jobs.SEQ: 1,
        jobs.ATTEMPTS: 0,
        jobs.QUEUE: QUEUES.public,
    }


async def test_the_end_of_a_parked_job_is_not_acked_by_its_worker(bench: Bench) -> None:
    await bench.begin()
    await bench.clock.move(AFTER)
    await bench.end()

    assert bench.diary.count("acked") == 1
    assert bench.diary[-2:] == ["noted completed", "settled"]


async def test_what_follows_a_parked_job_is_published_by_the_session_there_is(
    bench: Bench,
) -> None:
    await bench.begin()
    await bench.clock.move(AFTER)
    await bench.next_session()
    await bench.end(BROKEN)

    assert bench.diary[-3:] == ["noted retrying", f"published to {QUEUES.priority}", "settled"]
    assert bench.desk.settlements == [("j1", 2, True)]


async def test_what_follows_a_parked_job_waits_for_the_next_session(bench: Bench) -> None:
    await bench.begin()
    await bench.clock.move(AFTER)
    bench.session.end()
    bench.parking.lost()
    await bench.end(BROKEN)
    assert bench.diary[-1] == "noted retrying"

    await bench.next_session()
    await settle()

    assert bench.diary[-2:] == [f"published to {QUEUES.priority}", "settled"]


async def test_a_job_is_parked_by_the_session_there_is_and_its_ack_is_owed(bench: Bench) -> None:
    await bench.begin()
    await bench.next_session()
    await bench.clock.move(AFTER)

    assert bench.diary[-1] == "parked 1, ack owed"


async def test_a_copy_that_is_refused_is_tried_again_under_another_number(bench: Bench) -> None:
    bench.broker.refusing.add(INFLIGHT)
    await bench.begin()
    await bench.clock.move(AFTER)
    assert bench.parked == []
    bench.broker.refusing.clear()

    await bench.clock.move(AGAIN)

    assert bench.parked == [2]
    assert bench.diary[-1] == "parked 2"


@pytest.mark.parametrize("lacking", ["a session", "a coordinator that keeps it"])
async def test_a_job_that_cannot_be_parked_runs_on_and_is_tried_again(
    bench: Bench, lacking: str
) -> None:
    await bench.begin()
    if lacking == "a session":
        bench.session.end()
        bench.parking.lost()
    bench.desk.parks = lacking == "a session"
    await bench.clock.move(AFTER)
    assert bench.parked == []

    await bench.next_session()
    bench.desk.parks = True
    await bench.clock.move(AGAIN)

    assert len(bench.parked) == 1
    assert not bench.work[0].done()


async def test_the_end_of_a_job_does_not_wait_for_a_copy_that_is_being_stored(
    bench: Bench,
) -> None:
    bench.session.open.clear()
    await bench.begin()
    await bench.clock.move(AFTER)
    await bench.end()
    assert bench.diary[-2:] == ["acked", "settled"]

    bench.session.open.set()
    await settle()

    assert bench.diary[-2:] == [f"published to {INFLIGHT}", "parked 1"]


# --- deliveries of a job that runs elsewhere -------------------------------------------------


async def test_a_delivery_of_a_running_job_is_parked_and_its_slot_free(bench: Bench) -> None:
    bench.desk.verdict = Park("j1", 7, attempts=2)

    await bench.begin()

    assert bench.diary == [f"published to {INFLIGHT}", "acked", "parked 7"]
    assert bench.work[0].result() is None
    assert bench.parked == [7]


async def test_a_delivery_that_could_not_be_parked_is_said_to_come_again(bench: Bench) -> None:
    bench.desk.verdict = Park("j1", 7)
    bench.desk.open.clear()
    await bench.begin()
    bench.session.end()
    bench.desk.open.set()
    await settle()

    assert bench.diary == ["unsettled"]
    with pytest.raises(UnreachableError):
        bench.work[0].result()


async def test_an_adopted_job_is_settled_like_one_that_was_parked(bench: Bench) -> None:
    await bench.begin()
    await bench.next_session()

    await bench.parking.adopted(QUEUES.public, "j1", 3)
    await bench.end(BROKEN)
    await bench.clock.move(AFTER)

    assert bench.diary[-3:] == ["noted retrying", f"published to {QUEUES.priority}", "settled"]
    assert bench.parked == []


async def test_an_adopted_job_whose_delivery_can_still_be_acked_lets_go_of_it(
    bench: Bench,
) -> None:
    """A second publish under its id was parked; the first delivery is not to stay unacked."""
    await bench.begin()

    await bench.parking.adopted(QUEUES.public, "j1", 3)

    assert bench.diary == ["started", "acked"]


async def test_a_job_of_the_same_id_from_another_queue_is_not_let_go_of(bench: Bench) -> None:
    """The copy that is held is not its own: acked for that, it would be lost with its worker."""
    await bench.begin()

    await bench.parking.adopted("another_queue", "j1", 3)

    assert bench.diary == ["started"]


async def test_a_run_that_was_broken_off_while_its_copy_was_stored_is_owed_an_ack(
    bench: Bench,
) -> None:
    """It was given back, so it comes once more; the copy stands for it all the same."""
    bench.session.open.clear()
    await bench.begin()
    await bench.clock.move(AFTER)
    await bench.end(Interrupted(Failure("disk full"), 700.0))
    assert bench.diary[-2:] == ["noted interrupted", "given back"]

    bench.session.open.set()
    await settle()

    assert bench.diary[-1] == "parked 1, ack owed"


# --- what is not let go of -------------------------------------------------------------------


async def test_a_delivery_newer_than_the_copy_that_is_held_is_not_let_go_of(bench: Bench) -> None:
    await bench.begin(headers={jobs.SEQ: 3})

    await bench.parking.adopted(QUEUES.public, "j1", 3)
    await bench.parking.adopted(QUEUES.public, "another", 9)

    assert bench.diary == ["started"]
