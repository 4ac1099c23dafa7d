"""More dead letters too large to record than a consumer may hold, and a small one behind them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from consumers.broker.port import Broker, Message, Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import SystemClock
from consumers.dead_letters import PREFETCH, DeadLetterConsumer
from consumers.errors import BrokerError
from consumers.jobs import Properties
from consumers.kept import Kept
from consumers.retry import ReconnectPolicy
from consumers.sessions import Sessions
from consumers.topology import oversized, pool_queues
from tests.contract.conftest import OpenSession
from tests.support import publisher
from tests.support.desks import FakeDesk
from tests.support.rabbitmq import PrivateRabbit

POOL = pool_queues("clips")
ASIDE = oversized(POOL.dead)
LIMIT = 1000
MANY = 3 * PREFETCH
LARGE = Message(b"x" * (LIMIT + 1), Properties())
SMALL = Message(b"{}", Properties())
PATIENCE = 10.0  # seconds


@dataclass
class Graveyard:
    """A pool's dead-letter consumer with a low limit, on sessions of its own."""

    broker: Broker
    publisher: Session
    desk: FakeDesk = field(default_factory=FakeDesk)
    outages: int = 0

    async def put(self, *messages: Message) -> None:
        for message in messages:
            await self.publisher.publish(POOL.dead, message)

    async def serve(self) -> None:
        """Consume until cancelled."""
        clock = SystemClock()
        letters = DeadLetterConsumer(POOL, self.desk, Kept(clock), limit=LIMIT)
        quick = ReconnectPolicy(delay=0.1)
        try:
            await Sessions(self.broker, [letters], self, quick, clock).run()
        finally:
            await letters.abandon()
            letters.lost()

    def opened(self, peer: str) -> None:
        """Nobody watches."""

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        self.outages += 1

    @property
    def recorded(self) -> list[bytes]:
        return [letter.body for letter in self.desk.letters]

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not await is_so():
            assert time.monotonic() < deadline, self.desk.diary
            await asyncio.sleep(0.02)

    async def has_recorded_the_small_one(self) -> bool:
        return self.recorded == [SMALL.body]

    async def has_moved_all(self) -> bool:
        return await self.publisher.depth(ASIDE) == MANY


@pytest.fixture
async def graveyard(broker: Broker, open_session: OpenSession) -> AsyncIterator[Graveyard]:
    """A graveyard whose consumer runs."""
    session = await open_session()
    await session.declare(POOL)
    async for made in _served(Graveyard(broker, session)):
        yield made


@pytest.fixture
async def strict(rabbit4: PrivateRabbit) -> AsyncIterator[Graveyard]:
    """A graveyard with large letters on a broker that has lowered its own limit since."""
    broker = RabbitBroker(rabbit4.fresh_vhost())
    session = await broker.connect()
    await session.declare(POOL)
    graveyard = Graveyard(broker, session)
    await graveyard.put(*[LARGE] * MANY, SMALL)
    usual = rabbit4.ctl("eval", "persistent_term:get(max_message_size).").strip()
    rabbit4.ctl("eval", f"persistent_term:put(max_message_size, {LIMIT}).")
    async for made in _served(graveyard):
        yield made
    rabbit4.ctl("eval", f"persistent_term:put(max_message_size, {usual}).")
    await session.close()


@pytest.fixture(params=["vhost_url", "vhost4_url"], ids=["rabbitmq-3.10", "rabbitmq-4.0"])
async def unwilling(request: pytest.FixtureRequest) -> AsyncIterator[Graveyard]:
    """A graveyard on a broker where nothing can be moved aside."""
    url = request.getfixturevalue(request.param)
    publisher.declare(url, ASIDE, {"x-max-length": 0})
    broker = RabbitBroker(url)
    session = await broker.connect()
    await session.declare(POOL)
    async for made in _served(Graveyard(broker, session)):
        yield made
    await session.close()


async def _served(graveyard: Graveyard) -> AsyncIterator[Graveyard]:
    task = asyncio.create_task(graveyard.serve())
    yield graveyard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_small_letter_behind_many_too_large_ones_is_recorded(graveyard: Graveyard) -> None:
    await graveyard.put(*[LARGE] * MANY, SMALL)

    await graveyard.until(graveyard.has_recorded_the_small_one)
    await graveyard.until(graveyard.has_moved_all)
    assert await graveyard.publisher.depth(POOL.dead) == 0


@pytest.mark.rabbitmq
async def test_where_they_cannot_be_moved_the_small_letter_is_recorded_all_the_same(
    unwilling: Graveyard,
) -> None:
    await unwilling.put(*[LARGE] * MANY, SMALL)

    await unwilling.until(unwilling.has_recorded_the_small_one)

    assert unwilling.outages == 0


@pytest.mark.rabbitmq
async def test_letters_over_the_brokers_own_limit_cost_one_session_and_stay(
    strict: Graveyard,
) -> None:
    await strict.until(strict.has_recorded_the_small_one)

    assert strict.outages == 1
    assert await strict.publisher.depth(ASIDE) == 0
