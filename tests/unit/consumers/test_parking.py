"""Jobs that take long are parked in time, whatever happens to the session, and then settled."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from consumers import jobs
from consumers.desk import Condemn, Later, Move, Park, Verdict
from consumers.errors import BrokerError, QueueGoneError, UnreachableError
from consumers.executor import Executor
from consumers.hand import Hand
from consumers.jobs import Job
from consumers.outcome import Completed, Failed, Failure, Interrupted, Outcome
from consumers.parking import AGAIN, Parking
from consumers.refusals import PAUSE
from consumers.retry import Backoff, Jitter, RetryPolicy
from tests.support.clocks import FakeClock, settle
from tests.support.desks import FakeDesk
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory, a_message

INFLIGHT = "supervisor.inflight.node"
AFTER = 600.0
DONE = Completed({}, 700.0)
BROKEN = Failed(Failure("no such host"), 700.0)
DELETED = QueueGoneError("the queue was deleted")
GONE = Failed(Failure("no such video", permanent=True), 700.0)
POLICY = RetryPolicy(attempts=3, backoff=Backoff.FIXED, delay=4.0, jitter=Jitter.NONE)


@dataclass
class Bench:
    """One worker whose job runs until the test ends it; ``diary`` has who did what, in order."""

    broker: BrokerInMemory
    desk: FakeDesk
    clock: FakeClock
    parking: Parking
    executor: Executor
    session: SessionInMemory
    ends: "asyncio.Future[Outcome]"
    work: list["asyncio.Future[float | None]"] = field(default_factory=list)

    @property
    def diary(self) -> list[str]:
        return self.desk.diary

    async def begin(self, **properties: object) -> Hand:
        """Deliver a job and let it run."""
        message = a_message(message_id="j1", **properties)  # type: ignore[arg-type]  # by name
        hand = self.session.hand(message)
        envelope = jobs.read(message.body, message.properties, limit=1000)
        self.work.append(asyncio.ensure_future(self.executor.execute(hand, envelope)))
        await settle()
        return hand

    async def end(self, outcome: Outcome = DONE) -> None:
        """Let the job end."""
        self.ends.set_result(outcome)
        await settle()

    async def next_session(self, why: BrokerError | None = None) -> None:
        """Lose the session there is and open another."""
        self.session.end(why)
        self.parking.lost()
        self.session = await self.broker.connect()
        await self.parking.open(self.session)

    @property
    def parked(self) -> list[int]:
        """The numbers of the copies that were parked."""
        return [
            int(str(one.message.properties.headers[jobs.SEQ]))
            for one in self.broker.published
            if one.queue == INFLIGHT
        ]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    diary: list[str] = []
    broker, desk, clock = BrokerInMemory(diary), FakeDesk(diary), FakeClock()
    ends: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def run(_: Job) -> Outcome:
        return await asyncio.shield(ends)

    parking = Parking(INFLIGHT, QUEUES, desk, clock, after=AFTER)
    executor = Executor(QUEUES, POLICY, desk, run, clock)
    executor.parking = parking
    session = await broker.connect()
    await parking.open(session)
    made = Bench(broker, desk, clock, parking, executor, session, ends)
    yield made
    for task in made.work:
        task.cancel()


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


# --- runs that end after their queue was deleted ---------------------------------------------


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


# --- what is not let go of -------------------------------------------------------------------


async def test_a_delivery_newer_than_the_copy_that_is_held_is_not_let_go_of(bench: Bench) -> None:
    await bench.begin(headers={jobs.SEQ: 3})

    await bench.parking.adopted(QUEUES.public, "j1", 3)
    await bench.parking.adopted(QUEUES.public, "another", 9)

    assert bench.diary == ["started"]
