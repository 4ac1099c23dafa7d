"""RabbitMQ alone: foreign programs, their queues and messages, and the delay ladder."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from consumers.broker.rabbitmq import RabbitBroker, RabbitSession
from consumers.errors import (
    ForbiddenError,
    UnroutableError,
)
from consumers.topology import UNROUTABLE, pool_queues
from tests.support.inbox import Inbox
from tests.support.talk import drain, foreign, message

pytestmark = pytest.mark.rabbitmq

POOL = pool_queues("clips")


@pytest.fixture
async def session(any_vhost_url: str) -> AsyncIterator[RabbitSession]:
    opened = await RabbitBroker(any_vhost_url).connect()
    yield opened
    await opened.close()


@pytest.fixture
async def ready(session: RabbitSession) -> RabbitSession:
    await session.declare(POOL)
    return session


# --- foreign programs -----------------------------------------------------------------------------


@pytest.mark.invariant(12)
async def test_a_foreign_plain_declaration_fits_before_and_after_ours(
    session: RabbitSession, any_vhost_url: str
) -> None:
    def declare(channel: BlockingChannel) -> None:
        channel.queue_declare(POOL.public, durable=True)
        channel.queue_declare(POOL.dead, durable=True)

    await foreign(any_vhost_url, declare)
    await session.declare(POOL)
    await foreign(any_vhost_url, declare)


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-queue-type": "quorum"},
        {"x-max-priority": 10},
        {"x-message-ttl": 600_000, "x-dead-letter-exchange": "elsewhere"},
    ],
    ids=["quorum", "priorities", "ttl"],
)
@pytest.mark.invariant(12)
async def test_a_public_queue_is_adopted_as_its_owner_made_it(
    session: RabbitSession, any_vhost_url: str, arguments: dict[str, Any]
) -> None:
    def declare(channel: BlockingChannel) -> None:
        channel.queue_declare(POOL.public, durable=True, arguments=arguments)

    await foreign(any_vhost_url, declare)

    await session.declare(POOL)
    await session.publish(POOL.public, message("1"))

    assert await drain(session, POOL.public, 1) == {b"1"}
    await foreign(any_vhost_url, declare)


async def test_a_private_queue_with_other_arguments_is_refused_in_the_brokers_words(
    session: RabbitSession, any_vhost_url: str
) -> None:
    await foreign(any_vhost_url, lambda channel: channel.queue_declare(POOL.priority, durable=True))

    with pytest.raises(ForbiddenError, match="x-max-priority") as refused:
        await session.declare(POOL)

    assert "delete it" in refused.value.hint


async def test_headers_of_any_type_become_values_that_json_can_say(
    ready: RabbitSession, any_vhost_url: str
) -> None:
    headers: dict[str, Any] = {
        "decimal": Decimal("1.5"),
        "moment": datetime(2026, 11, 22, tzinfo=UTC),
        "bytes": b"\xff\x00",
        "list": [1, b"\xfe", {"deep": Decimal(2)}],
        "nothing": None,
    }
    properties = pika.BasicProperties(headers=headers)
    inbox = Inbox()
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)

    await foreign(
        any_vhost_url, lambda channel: channel.basic_publish("", POOL.public, b"\xff", properties)
    )

    came = (await inbox.take()).message
    assert came.body == b"\xff"
    assert came.properties.headers == {
        "decimal": "1.5",
        "moment": "2026-11-22T00:00:00+00:00",
        "bytes": "\\xff\x00",
        "list": [1, "\\xfe", {"deep": "2"}],
        "nothing": None,
    }


@pytest.mark.parametrize("moment", [1_795_000_000_000_000, 2**64 - 1])
async def test_a_property_that_nobody_can_decode_does_not_stop_the_queue(
    ready: RabbitSession, any_vhost_url: str, moment: int
) -> None:
    properties = pika.BasicProperties(
        headers={"kept": 1}, message_id="7f3", timestamp=moment, app_id="bot"
    )

    await foreign(
        any_vhost_url, lambda channel: channel.basic_publish("", POOL.public, b"1", properties)
    )

    inbox = Inbox()
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)
    came = (await inbox.take()).message.properties
    assert (came.message_id, came.app_id) == ("7f3", "bot")
    assert came.headers == {"kept": 1, "x-job-unreadable": "timestamp"}


async def test_the_user_id_of_a_foreign_user_moves_to_a_header(ready: RabbitSession) -> None:
    inbox = Inbox()
    await ready.consume(POOL.public, prefetch=2, receive=inbox.receive)

    await ready.publish(POOL.public, message(user_id="guest"))
    await ready.publish(POOL.public, message(user_id="bot"))

    ours, foreign_one = (delivery.message.properties for delivery in await inbox.take_several(2))
    assert ours.user_id == "guest"
    assert foreign_one.user_id is None
    assert foreign_one.headers == {"x-job-user-id": "bot"}


# --- publishing -----------------------------------------------------------------------------------


async def test_a_full_queue_refuses_and_the_session_goes_on(
    session: RabbitSession, any_vhost_url: str
) -> None:
    limits: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await foreign(
        any_vhost_url,
        lambda channel: channel.queue_declare("full", durable=True, arguments=limits),
    )
    await session.publish("full", message())

    with pytest.raises(UnroutableError, match="full"):
        await session.publish("full", message())

    assert await session.depth("full") == 1


@pytest.mark.parametrize(
    "properties",
    [{"headers": {"long": "x" * 140_000}}, {"message_id": "x" * 256}, {"priority": 300}],
    ids=["headers", "id", "priority"],
)
async def test_what_amqp_cannot_carry_is_refused_and_the_session_goes_on(
    ready: RabbitSession, properties: dict[str, Any]
) -> None:
    with pytest.raises(UnroutableError, match="AMQP cannot carry"):
        await ready.publish(POOL.public, message(**properties))

    await ready.publish(POOL.public, message())


async def test_a_job_goes_round_the_ladder_again_and_again(ready: RabbitSession) -> None:
    """With its old x-death it would vanish in the second round on RabbitMQ 3.10."""
    inbox = Inbox()
    await ready.consume(POOL.priority, prefetch=1, receive=inbox.receive)
    job = message("again")

    for _ in range(4):
        await ready.publish(POOL.priority, job, delay=0.75)  # two levels
        delivery = await inbox.take()
        await ready.ack(delivery)
        assert "x-death" in delivery.message.properties.headers
        job = delivery.message
    await ready.publish(POOL.public, job)
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)

    last = await inbox.take()
    assert not [name for name in last.message.properties.headers if "death" in name]


async def test_an_expiration_does_not_let_a_job_out_of_the_ladder_early(
    ready: RabbitSession,
) -> None:
    inbox = Inbox()
    await ready.consume(POOL.priority, prefetch=1, receive=inbox.receive)

    await ready.publish(POOL.priority, message(expiration="1"), delay=1)

    assert await inbox.stays_empty(during=0.9)
    assert (await inbox.take()).message.properties.expiration is None


async def test_a_delay_into_a_queue_that_does_not_exist_is_refused(session: RabbitSession) -> None:
    with pytest.raises(UnroutableError, match=r"nowhere\.priority"):
        await session.publish("nowhere.priority", message(), delay=1)


async def test_a_delayed_job_whose_queue_vanished_is_kept_aside(
    ready: RabbitSession, any_vhost_url: str
) -> None:
    await ready.publish(POOL.priority, message("homeless"), delay=0.5)

    await foreign(any_vhost_url, lambda channel: channel.queue_delete(POOL.priority))

    assert await drain(ready, UNROUTABLE, 1) == {b"homeless"}


async def test_a_lane_that_was_deleted_is_declared_and_bound_again(
    ready: RabbitSession, any_vhost_url: str
) -> None:
    await ready.publish(POOL.priority, message("1"), delay=0.25)
    await drain(ready, POOL.priority, 1)
    await foreign(any_vhost_url, lambda channel: channel.queue_delete(POOL.priority))
    following = await RabbitBroker(any_vhost_url).connect()

    await following.declare(POOL)
    await following.publish(POOL.priority, message("2"), delay=0.25)

    assert await drain(following, POOL.priority, 1) == {b"2"}
    await following.close()


async def test_several_sessions_may_build_the_ladder_at_once(any_vhost_url: str) -> None:
    sessions = [await RabbitBroker(any_vhost_url).connect() for _ in range(4)]
    await asyncio.gather(*(session.declare(POOL) for session in sessions))

    await asyncio.gather(
        *(
            session.publish(POOL.priority, message(f"{n}"), delay=1.75)
            for n, session in enumerate(sessions)
        )
    )

    assert await drain(sessions[0], POOL.priority, 4) == {b"0", b"1", b"2", b"3"}
    await asyncio.gather(*(session.close() for session in sessions))
