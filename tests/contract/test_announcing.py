"""What nobody has to take: written to RabbitMQ, and never the end of a session."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from consumers.broker.port import Delivery, Message, Note, Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.errors import BrokerError
from consumers.jobs import Properties
from consumers.topology import Binding, Exchange, Layout, Queue
from tests.support.clocks import START

pytestmark = pytest.mark.rabbitmq

SOON = 10.0
LAYOUT = Layout(
    exchanges=(Exchange("news"),),
    queues=(Queue("heard", {}),),
    bindings=(Binding("news", "#.completed", queue="heard"),),
)


@pytest.fixture
async def session(any_vhost_url: str) -> AsyncIterator[Session]:
    opened = await RabbitBroker(any_vhost_url).connect()
    yield opened
    await opened.close()


def note(number: int, exchange: str = "news", *, size: int = 10) -> Note:
    properties = Properties(message_id=f"n{number}", type="completed", timestamp=START)
    return Note(exchange, "my.queue.completed", Message(b"x" * size, properties))


async def until_refused(session: Session) -> None:
    """Announce where nothing is: the broker says no to the first, one of the next is told of it."""
    async with asyncio.timeout(SOON):
        while True:
            await session.announce([note(1, "nowhere")])
            await asyncio.sleep(0.01)


async def test_everything_arrives_in_order_with_its_properties(session: Session) -> None:
    heard: asyncio.Queue[Delivery] = asyncio.Queue()
    await session.lay(LAYOUT)
    await session.consume("heard", prefetch=1000, receive=heard.put_nowait)

    await session.announce([note(number, size=number * 400) for number in range(500)])

    async with asyncio.timeout(SOON):
        came = [await heard.get() for _ in range(500)]
    assert [one.message.properties.message_id for one in came] == [f"n{n}" for n in range(500)]
    assert [len(one.message.body) for one in came] == [n * 400 for n in range(500)]
    own = came[0].message.properties
    assert (own.type, own.timestamp) == ("completed", START)


async def test_an_exchange_that_is_not_there_disturbs_no_job(session: Session) -> None:
    await session.lay(LAYOUT)

    with pytest.raises(BrokerError, match="no exchange 'nowhere'"):
        await until_refused(session)
    await session.publish("heard", Message(b"a job", Properties()))
    await session.announce([note(2)])

    async with asyncio.timeout(SOON):
        while await session.depth("heard") < 2:  # noqa: ASYNC110 - the other side is a broker
            await asyncio.sleep(0.01)
