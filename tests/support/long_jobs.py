"""A worker with one job that runs as long as a test wants, and what becomes of its message."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from consumers import jobs
from consumers.errors import BrokerError, QueueGoneError
from consumers.executor import Executor
from consumers.hand import Hand
from consumers.jobs import Job
from consumers.outcome import Completed, Failed, Failure, Outcome
from consumers.parking import Parking
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
