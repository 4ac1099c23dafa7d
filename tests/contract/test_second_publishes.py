"""A second publish of an id over each broker: acked, counted, and not run."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from typing_extensions import override

from consumers.broker.port import Broker, Message, Session
from consumers.clock import SystemClock
from consumers.consumer import Consumer, Lanes
from consumers.desk import Claim, Drop, Verdict
from consumers.executor import Executor
from consumers.jobs import Job, Properties
from consumers.outcome import Completed, Outcome
from consumers.retry import RetryPolicy
from tests.support.desks import FakeDesk
from tests.support.offices import FIRST, Office, a_result, an_office
from tests.support.sessions import QUEUES
from workers.messages import Settled

PATIENCE = 10.0  # seconds


class ClerksDesk(FakeDesk):
    """A desk with a real clerk behind it, without the pipe between them."""

    def __init__(self, office: Office) -> None:
        super().__init__()
        self._clerk = office.clerk

    @override
    async def claim(self, claim: Claim) -> Verdict:
        self.claims.append(claim)
        return await self._clerk.claim(FIRST, claim)

    @override
    async def completed(self, job: Job, outcome: Completed) -> None:
        await self._clerk.completed(a_result(job.id))

    @override
    def settled(
        self,
        queue: str,
        job_id: str,
        *,
        seq: int = 0,
        has_run: bool = False,
        is_nameless: bool = False,
    ) -> None:
        super().settled(queue, job_id, seq=seq, has_run=has_run)
        self._clerk.settlements.settled(FIRST, Settled(queue, job_id, seq, has_run))


@dataclass
class Shop:
    """One consumer over a broker, with a clerk behind it, and a publisher."""

    office: Office
    desk: ClerksDesk
    publisher: Session
    consumer: Consumer
    ran: list[str] = field(default_factory=list)

    async def publish(self, job_id: str) -> None:
        message = Message(b'{"link": "x", "from": "ana"}', Properties(message_id=job_id))
        await self.publisher.publish(QUEUES.public, message)

    async def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, (self.desk.diary, self.ran)
            await asyncio.sleep(0.01)

    async def published_and_settled(self, *job_ids: str) -> None:
        wanted = len(self.desk.settlements) + len(job_ids)
        for job_id in job_ids:
            await self.publish(job_id)
        await self.until(lambda: len(self.desk.settlements) == wanted)


@pytest.fixture
async def shop(broker: Broker, session: Session, tmp_path: Path) -> AsyncIterator[Shop]:
    async for office in an_office(tmp_path / "office"):
        await session.declare(QUEUES)
        ran: list[str] = []

        async def run(job: Job, ran: list[str] = ran) -> Outcome:
            ran.append(job.id)
            return Completed({}, 0.0)

        desk, clock = ClerksDesk(office), SystemClock()
        executor = Executor(QUEUES, RetryPolicy(), desk, run, clock)
        lanes = Lanes(QUEUES, 1, 1_000_000, lambda _: None)
        consumer = Consumer(lanes, executor, clock)
        own = await broker.connect()
        await consumer.open(own)
        yield Shop(office, desk, session, consumer, ran)
        await consumer.abandon()
        await own.close()


async def test_a_second_publish_of_a_finished_job_is_acked_counted_and_not_run(shop: Shop) -> None:
    await shop.published_and_settled("j1")

    await shop.published_and_settled("j1", "j2", "j1")

    assert shop.ran == ["j1", "j2"]
    assert shop.office.clerk.duplicates(QUEUES.public) == 2
    assert await shop.publisher.depth(QUEUES.public) == 0
    assert len(await shop.office.notices()) == 2
    assert not shop.desk.claims[-1].redelivered


async def test_a_job_that_comes_back_from_the_broker_is_no_second_publish(
    shop: Shop,
) -> None:
    await shop.published_and_settled("j1")

    back = msgspec.structs.replace(shop.desk.claims[0], redelivered=True)
    verdict = await shop.desk.claim(back)

    assert verdict == Drop("j1", "settled")
    assert shop.office.clerk.duplicates(QUEUES.public) == 0
