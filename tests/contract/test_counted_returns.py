"""A worker that holds and goes on, again and again, over a queue that counts what comes back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from consumers.broker.port import Message, Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import SystemClock
from consumers.consumer import Consumer, Lanes
from consumers.executor import Executor
from consumers.jobs import Envelope, Job, Properties
from consumers.outcome import Completed, Failure, Interrupted, Outcome
from consumers.retry import RetryPolicy
from consumers.topology import pool_queues
from tests.support import publisher
from tests.support.desks import FakeDesk

pytestmark = pytest.mark.rabbitmq

POOL = pool_queues("clips")
TIMES = 60
PATIENCE = 10.0  # seconds


@dataclass
class Worker:
    """A consumer with one slot, and what it ran."""

    session: Session
    desk: FakeDesk = field(default_factory=FakeDesk)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    ran: list[str] = field(default_factory=list)
    faults: int = 0  # still to come

    def __post_init__(self) -> None:
        clock = SystemClock()
        executor = Executor(POOL, RetryPolicy(), self.desk, self.run, clock)
        self.consumer = Consumer(Lanes(POOL, 1, 1_000_000, _anything), executor, clock)

    async def run(self, job: Job) -> Outcome:
        name = str(job.data["name"])
        if name == "first":
            await self.gate.wait()
        elif self.faults:
            self.faults -= 1
            return Interrupted(Failure("disk full"), 0.0)
        self.ran.append(name)
        return Completed({}, 0.0)

    async def publish(self, queue: str, *names: str) -> None:
        for name in names:
            body = json.dumps({"name": name}).encode()
            await self.session.publish(queue, Message(body, Properties()))

    async def until(self, is_so: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, (self.ran, self.desk.diary)
            await asyncio.sleep(0.002)


@pytest.fixture
async def worker(any_vhost_url: str) -> AsyncIterator[Worker]:
    counting: dict[str, object] = {"x-queue-type": "quorum", "x-delivery-limit": 3}
    await asyncio.to_thread(publisher.declare, any_vhost_url, POOL.public, counting)
    session = await RabbitBroker(any_vhost_url).connect()
    made = Worker(session)
    await made.consumer.open(session)
    yield made
    await made.consumer.abandon()
    await session.close()


def _anything(_envelope: Envelope) -> None:
    """Accept every job."""


async def test_what_holds_give_back_sixty_times_runs_once(worker: Worker) -> None:
    await worker.publish(POOL.priority, "first")
    await worker.until(lambda: worker.desk.diary)
    await worker.publish(POOL.public, "a", "b", "b")

    for _ in range(TIMES):
        await worker.until(lambda: worker.consumer._held)
        await worker.consumer.hold("test", "to give back what waits")
        await worker.consumer.release("test")
    worker.gate.set()
    await worker.until(lambda: len(worker.ran) == 4)

    assert sorted(worker.ran) == ["a", "b", "b", "first"]
    assert await worker.session.depth(POOL.public) == 0
    assert await worker.session.depth(POOL.priority) == 0


async def test_a_job_that_the_machine_breaks_off_sixty_times_is_not_thrown_away(
    worker: Worker,
) -> None:
    worker.faults = TIMES

    await worker.publish(POOL.public, "a")
    await worker.until(lambda: worker.ran)

    assert worker.ran == ["a"]
    assert worker.desk.diary.count("noted interrupted") == TIMES
