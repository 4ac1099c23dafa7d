"""A consumer on a broker in memory, whose jobs end when the test lets them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from consumers.broker.port import Message
from consumers.consumer import Consumer, Lanes
from consumers.errors import MalformedError
from consumers.executor import Executor
from consumers.jobs import Envelope, Job, Properties
from consumers.outcome import Completed, Outcome
from consumers.retry import RetryPolicy
from consumers.throttle import Turnstile
from tests.support.clocks import FakeClock, settle
from tests.support.desks import FakeDesk
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory

URGENT = 5  # AMQP priority


@dataclass
class Work:
    """The processor: each job runs until the test lets it end."""

    duration: float = 1.0
    started: list[str] = field(default_factory=list)
    running: dict[str, asyncio.Event] = field(default_factory=dict)
    most_at_once: int = 0
    is_instant: bool = False

    async def run(self, job: Job) -> Outcome:
        self.started.append(job.id)
        self.running[job.id] = asyncio.Event()
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            if not self.is_instant:
                await self.running[job.id].wait()
        finally:
            del self.running[job.id]
        return Completed({}, self.duration)

    async def end(self, *ids: str) -> None:
        for job_id in ids:
            self.running[job_id].set()
        await settle()


@dataclass
class House:
    """A broker, a consumer on it, and the work it does."""

    broker: BrokerInMemory
    clock: FakeClock
    desk: FakeDesk
    work: Work
    consumer: Consumer

    async def open(self) -> SessionInMemory:
        session = await self.broker.connect()
        await self.consumer.open(session)
        await settle()
        return session

    async def put(self, *ids: str, queue: str = QUEUES.public, **properties: object) -> None:
        for job_id in ids:
            own = Properties(message_id=job_id, **properties)  # type: ignore[arg-type]  # by name
            self.broker.put(queue, Message(b"{}", own))
        await settle()

    async def put_urgent(self, *ids: str, priority: int = URGENT) -> None:
        await self.put(*ids, queue=QUEUES.priority, priority=priority)

    def ready(self, queue: str = QUEUES.public) -> list[str | None]:
        return [one.message.properties.message_id for one in self.broker.ready.get(queue, [])]


MakeHouse = Callable[..., House]


def refuse_bad_links(envelope: Envelope) -> None:
    if envelope.data.get("link") == "bad":
        raise MalformedError("link", "must be a link")


@pytest.fixture
async def build() -> AsyncIterator[MakeHouse]:
    houses: list[House] = []

    def _build(slots: int = 1, most: int = 0, turnstile: Turnstile | None = None) -> House:
        diary: list[str] = []
        broker, clock, desk, work = BrokerInMemory(diary), FakeClock(), FakeDesk(diary), Work()
        executor = Executor(QUEUES, RetryPolicy(), desk, work.run, clock)
        lanes = Lanes(QUEUES, slots, 1000, refuse_bad_links, most=most, turnstile=turnstile)
        houses.append(House(broker, clock, desk, work, Consumer(lanes, executor, clock)))
        return houses[-1]

    yield _build
    for house in houses:
        await house.consumer.abandon()
