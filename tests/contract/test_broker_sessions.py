"""The broker contract: how sessions end, and that what they carry arrives as it was."""

import asyncio
from datetime import UTC, datetime

import pytest

from consumers.broker.port import Broker, Session
from consumers.errors import BrokerError, StaleDeliveryError
from consumers.topology import pool_queues
from tests.contract.conftest import OpenSession
from tests.support.inbox import Inbox
from tests.support.talk import bodies, message, publish_all

POOL = pool_queues("clips")


@pytest.fixture
async def ready(session: Session) -> Session:
    """A session with the pool's queues declared."""
    await session.declare(POOL)
    return session


@pytest.mark.invariant(3)
async def test_a_delivery_cannot_be_settled_on_another_session(
    ready: Session, open_session: OpenSession
) -> None:
    inbox = Inbox()
    await ready.publish(POOL.public, message())
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)
    old = await inbox.take()
    await ready.close()
    following = await open_session()
    await following.consume(POOL.public, prefetch=1, receive=inbox.receive)
    new = await inbox.take()

    for settle in (following.ack, following.requeue, ready.ack, ready.requeue):
        with pytest.raises(StaleDeliveryError):
            await settle(old)

    await following.ack(new)


@pytest.mark.invariant(1)
async def test_what_was_not_settled_comes_back_when_the_session_ends(
    ready: Session, open_session: OpenSession
) -> None:
    inbox = Inbox()
    await publish_all(ready, POOL.public, *(message(f"{n}") for n in range(3)))
    await ready.consume(POOL.public, prefetch=3, receive=inbox.receive)
    settled, *_ = await inbox.take_several(3)
    await ready.ack(settled)

    await ready.close()
    await (await open_session()).consume(POOL.public, prefetch=3, receive=inbox.receive)

    again = await inbox.take_several(2)
    assert bodies(again) == [b"1", b"2"]
    assert all(delivery.redelivered for delivery in again)


SAMPLES = [
    pytest.param(b"", {}, id="nothing"),
    pytest.param(bytes(range(256)), {}, id="every byte"),
    pytest.param(b"\x00", {"message_id": "a", "correlation_id": "b", "reply_to": "c"}, id="ids"),
    pytest.param(
        b"{",
        {
            "content_type": "text/plain",
            "content_encoding": "gzip",
            "type": "email:send",
            "app_id": "bot",
            "priority": 7,
            "expiration": "600000",
        },
        id="descriptions",
    ),
    pytest.param(b"{}", {"timestamp": datetime(2026, 11, 22, 4, 45, tzinfo=UTC)}, id="moment"),
    pytest.param(
        '{"é": "ü"}'.encode(),
        {
            "message_id": "çà-🎬",
            "headers": {
                "text": "żółw",
                "empty": "",
                "whole": -(2**40),
                "flag": True,
                "fraction": 0.5,
                "nothing": None,
                "list": [1, "two", [3], {"four": 4}],
                "table": {"deep": {"deeper": [False]}},
            },
        },
        id="headers",
    ),
    pytest.param(b"x" * 300_000, {"headers": {"x-job-error": "e" * 5_000}}, id="large"),
]


@pytest.mark.parametrize(("body", "properties"), SAMPLES)
async def test_body_and_properties_arrive_as_they_were_published(
    ready: Session, body: bytes, properties: dict[str, object]
) -> None:
    inbox = Inbox()
    sent = message(body, **properties)
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)

    await ready.publish(POOL.public, sent)

    assert (await inbox.take()).message == sent


async def test_a_peer_and_an_address_can_be_shown(broker: Broker, session: Session) -> None:
    assert session.peer
    assert broker.address
    assert "guest" not in broker.address + session.peer


async def test_a_session_may_be_closed_twice_and_says_that_it_was_closed(session: Session) -> None:
    await session.close()
    await session.close()

    assert "closed" in str(await session.ended())


async def test_a_session_says_why_it_ended_to_all_who_ask(session: Session) -> None:
    asking = [asyncio.create_task(session.ended()) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()

    await session.close()

    first, second = await asking[1], await asking[2]
    assert first is second


async def test_an_open_session_has_not_ended(session: Session) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await session.ended()

    await session.declare(POOL)


async def test_after_its_end_a_session_does_nothing_more(ready: Session) -> None:
    await ready.close()

    for refused in (
        ready.declare(POOL),
        ready.consume(POOL.public, prefetch=1, receive=Inbox().receive),
        ready.publish(POOL.public, message()),
        ready.depth(POOL.public),
        ready.purge(POOL.public),
    ):
        with pytest.raises(BrokerError):
            await refused
