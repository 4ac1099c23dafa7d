"""An executor with everything around it: what its tests share."""

from dataclasses import dataclass, field

import pytest

from consumers import jobs
from consumers.broker.port import Message
from consumers.executor import Executor
from consumers.jobs import Job
from consumers.outcome import Completed, Failed, Failure, Outcome
from consumers.retry import Backoff, Jitter, RetryPolicy
from tests.support.clocks import FakeClock
from tests.support.desks import FakeDesk
from tests.support.sessions import QUEUES, BrokerInMemory, Published, SessionInMemory

DONE = Completed({"data": {"answer": 42}}, 2.0)
BROKEN = Failed(Failure("no such host", code="network"), 1.0)
GONE = Failed(Failure("no such video", code="not_found", permanent=True), 1.0)
POLICY = RetryPolicy(attempts=3, backoff=Backoff.FIXED, delay=4.0, jitter=Jitter.NONE)


@dataclass
class Processor:
    """Runs a job at once, to the outcome the test wants."""

    diary: list[str]
    ran: list[Job] = field(default_factory=list)
    outcome: Outcome = DONE

    async def run(self, job: Job) -> Outcome:
        self.ran.append(job)
        self.diary.append("ran")
        return self.outcome


@dataclass
class Bench:
    """An executor with everything around it; ``diary`` has who did what, in order."""

    session: SessionInMemory
    desk: FakeDesk
    executor: Executor
    processor: Processor
    clock: FakeClock

    @property
    def diary(self) -> list[str]:
        return self.processor.diary

    async def execute(self, message: Message, *, queue: str = QUEUES.public) -> float | None:
        hand = self.session.hand(message, queue=queue)
        envelope = jobs.read(message.body, message.properties, limit=1000)
        return await self.executor.execute(hand, envelope)

    @property
    def published(self) -> list[Published]:
        return self.session.broker.published

    @property
    def copy(self) -> Published:
        (only,) = self.published
        return only

    @property
    def unsettled(self) -> int:
        return len(self.session.in_hand)


@pytest.fixture(name="bench")
async def bench_of_one() -> Bench:
    diary: list[str] = []
    session = await BrokerInMemory(diary).connect()
    desk = FakeDesk(diary)
    processor = Processor(diary)
    clock = FakeClock()
    executor = Executor(QUEUES, POLICY, desk, processor.run, clock)
    return Bench(session, desk, executor, processor, clock)
