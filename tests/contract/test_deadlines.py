"""No conversation with a broker that fell silent lasts for ever, whatever it is about."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from consumers.broker import amqp_client
from consumers.broker.amqp_faults import STEP
from consumers.broker.port import Note
from consumers.broker.rabbitmq import RabbitBroker, RabbitSession
from consumers.errors import BrokerError
from consumers.topology import pool_queues
from tests.support.fault_proxy import FaultProxy
from tests.support.inbox import Inbox
from tests.support.rabbitmq import PrivateRabbit
from tests.support.talk import message

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(60)]

POOL = pool_queues("clips")
CONFIRM = 5.0  # seconds for a publish, here
LATE = 5.0  # seconds that a busy machine may add

Talk = Callable[[RabbitSession], Awaitable[object]]


async def consume(session: RabbitSession) -> None:
    await session.consume(POOL.public, prefetch=1, receive=Inbox().receive)


TALKS: dict[str, Talk] = {
    "declare": lambda session: session.declare(POOL),
    "consume": consume,
    "publish": lambda session: session.publish(POOL.public, message()),
    "announce": lambda session: session.announce([Note("amq.topic", "a.b", message())]),
    "depth": lambda session: session.depth(POOL.public),
    "purge": lambda session: session.purge(POOL.public),
}


@pytest.mark.invariant(11)
async def test_every_conversation_with_a_silent_broker_ends_with_an_error(
    rabbit: PrivateRabbit, vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once, for each takes as long as it may. The heartbeat is of no help: it is slower."""
    monkeypatch.setattr(amqp_client, "CONFIRM", CONFIRM)
    with FaultProxy(rabbit.port) as proxy:
        address = vhost_url.replace(f":{rabbit.port}/", f":{proxy.port}/")
        broker = RabbitBroker(f"{address}?heartbeat=60")
        sessions = [await broker.connect() for _ in TALKS]
        await sessions[0].declare(POOL)
        proxy.black_hole()
        began = time.monotonic()

        ends = await asyncio.gather(
            broker.connect(),
            *(talk(session) for talk, session in zip(TALKS.values(), sessions, strict=True)),
            return_exceptions=True,
        )
        took = time.monotonic() - began
        await asyncio.gather(*(session.close() for session in sessions))

    told = dict(zip(("connect", *TALKS), ends, strict=True))
    assert {name: end for name, end in told.items() if not isinstance(end, BrokerError)} == {}
    assert took < STEP + LATE
