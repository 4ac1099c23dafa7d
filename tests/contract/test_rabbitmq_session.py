"""RabbitMQ alone: how sessions begin and end, in the broker's words."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from consumers.broker.port import Delivery
from consumers.broker.rabbitmq import RabbitBroker, RabbitSession
from consumers.errors import (
    BrokerError,
    ForbiddenError,
    StaleDeliveryError,
    UnreachableError,
)
from consumers.topology import pool_queues
from tests.support.fault_proxy import FaultProxy
from tests.support.inbox import Inbox
from tests.support.rabbitmq import PrivateRabbit
from tests.support.talk import drain, foreign, message

pytestmark = pytest.mark.rabbitmq

POOL = pool_queues("clips")
SOON = 10.0  # seconds; most faults are seen within milliseconds


async def end_of(session: RabbitSession) -> BrokerError:
    async with asyncio.timeout(SOON):
        return await session.ended()


@pytest.fixture
async def session(any_vhost_url: str) -> AsyncIterator[RabbitSession]:
    opened = await RabbitBroker(any_vhost_url).connect()
    yield opened
    await opened.close()


@pytest.fixture
async def ready(session: RabbitSession) -> RabbitSession:
    await session.declare(POOL)
    return session


# --- lines by which acks are written --------------------------------------------------------------


async def test_a_line_is_alive_when_the_broker_answers_however_many_ask(
    session: RabbitSession,
) -> None:
    await session.declare(POOL)
    await session.consume(POOL.public, prefetch=1, receive=Inbox().receive)

    async with asyncio.timeout(10):
        await asyncio.gather(*(session.answered() for _ in range(1000)))


async def test_on_a_line_that_fell_silent_nobody_gets_an_answer(
    any_rabbit: PrivateRabbit, any_vhost_url: str
) -> None:
    with FaultProxy(any_rabbit.port) as proxy:
        address = any_vhost_url.replace(f":{any_rabbit.port}/", f":{proxy.port}/")
        session = await RabbitBroker(address).connect()
        await session.declare(POOL)
        await session.consume(POOL.public, prefetch=1, receive=Inbox().receive)

        proxy.black_hole()
        asking = asyncio.ensure_future(session.answered())
        await asyncio.wait({asking}, timeout=3.0)
        assert not asking.done()
        proxy.reset()

        with pytest.raises(BrokerError):
            await asking
        await session.close()


# --- how sessions end -----------------------------------------------------------------------------


@pytest.mark.invariant(1)
async def test_nothing_is_lost_when_the_broker_is_killed(
    any_rabbit: PrivateRabbit, any_vhost_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker = RabbitBroker(any_vhost_url)
    session = await broker.connect()
    await session.declare(POOL)
    inbox = Inbox()
    await session.consume(POOL.public, prefetch=5, receive=inbox.receive)
    now = [session.publish(POOL.public, message(f"now-{n}")) for n in range(200)]
    later = [
        session.publish(POOL.priority, message(f"later-{n}"), delay=1 + n % 40 / 8)
        for n in range(300)
    ]
    await asyncio.gather(*now, *later)
    held = await inbox.take_several(5)

    killing = asyncio.create_task(asyncio.to_thread(any_rabbit.kill))
    why = await end_of(session)
    await killing

    assert isinstance(why, UnreachableError)
    with pytest.raises(StaleDeliveryError):
        await session.ack(held[0])
    with pytest.raises(BrokerError):
        await session.publish(POOL.public, message())
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{any_rabbit.port}"):
        await broker.connect()
    await session.close()

    await asyncio.to_thread(any_rabbit.start)
    following = await broker.connect()
    await following.declare(POOL)
    assert await drain(following, POOL.public, 200) == {f"now-{n}".encode() for n in range(200)}
    assert await drain(following, POOL.priority, 300) == {f"later-{n}".encode() for n in range(300)}
    await following.close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_publish_under_way_when_the_broker_is_killed_raises(
    any_rabbit: PrivateRabbit, any_vhost_url: str
) -> None:
    session = await RabbitBroker(any_vhost_url).connect()
    await session.declare(POOL)
    publishing = [
        asyncio.create_task(session.publish(POOL.public, message("x" * 1000))) for _ in range(2000)
    ]
    await asyncio.wait(publishing, return_when=asyncio.FIRST_COMPLETED)

    await asyncio.to_thread(any_rabbit.kill)

    outcomes = await asyncio.gather(*publishing, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), UnreachableError}
    await session.close()
    await asyncio.to_thread(any_rabbit.start)


async def test_a_deleted_queue_ends_the_session_of_its_consumer(
    ready: RabbitSession, any_vhost_url: str
) -> None:
    await ready.consume(POOL.public, prefetch=1, receive=Inbox().receive)

    await foreign(any_vhost_url, lambda channel: channel.queue_delete(POOL.public))

    assert "clips: consumer cancelled by the broker" in str(await end_of(ready))


async def test_a_cancelled_consumer_of_a_deleted_queue_ends_nothing(
    ready: RabbitSession, any_vhost_url: str
) -> None:
    await ready.cancel(await ready.consume(POOL.public, prefetch=1, receive=Inbox().receive))

    await foreign(any_vhost_url, lambda channel: channel.queue_delete(POOL.public))

    await ready.declare(POOL)
    await ready.publish(POOL.public, message())


async def test_an_administrator_who_closes_connections_is_quoted(
    any_rabbit: PrivateRabbit, any_vhost_url: str
) -> None:
    session = await RabbitBroker(any_vhost_url).connect()
    vhost = any_vhost_url.rpartition("/")[2]

    await asyncio.to_thread(
        any_rabbit.ctl, "close_all_connections", "--vhost", vhost, "moving house"
    )

    why = await end_of(session)
    assert isinstance(why, UnreachableError)
    assert "CONNECTION_FORCED - moving house" in str(why)
    await session.close()


async def test_consuming_a_queue_that_does_not_exist_quotes_the_broker(
    session: RabbitSession,
) -> None:
    with pytest.raises(BrokerError, match="no queue 'nowhere'"):
        await session.consume("nowhere", prefetch=1, receive=Inbox().receive)

    assert "no queue 'nowhere'" in str(await end_of(session))


async def test_a_consumer_that_cannot_take_a_delivery_ends_its_session(
    ready: RabbitSession,
) -> None:
    def fail(delivery: Delivery) -> None:
        raise LookupError

    await ready.publish(POOL.public, message())
    await ready.consume(POOL.public, prefetch=1, receive=fail)

    assert "our own consumer failed" in str(await end_of(ready))


async def test_consuming_goes_on_while_an_alarm_stops_publishers(
    any_rabbit: PrivateRabbit, any_vhost_url: str
) -> None:
    session = await RabbitBroker(any_vhost_url).connect()
    await session.declare(POOL)
    inbox = Inbox()
    await asyncio.gather(*(session.publish(POOL.public, message(f"{n}")) for n in range(3)))
    await session.consume(POOL.public, prefetch=1, receive=inbox.receive)

    await asyncio.to_thread(any_rabbit.ctl, "set_vm_memory_high_watermark", "0.000001")
    try:
        blocked = asyncio.create_task(session.publish(POOL.public, message("late")))
        for _ in range(3):
            await session.ack(await inbox.take())
        assert await session.depth(POOL.public) == 0
        assert not blocked.done()
    finally:
        await asyncio.to_thread(any_rabbit.ctl, "set_vm_memory_high_watermark", "absolute", "1GB")

    assert (await inbox.take()).message.body == b"late"
    await blocked
    await session.close()


async def test_who_is_told_to_stop_in_the_middle_of_a_conversation_stops(
    ready: RabbitSession,
) -> None:
    """The client library swallows a cancellation here and there; we must not believe it."""
    for turns in range(0, 120, 4):
        declaring = asyncio.create_task(ready.declare(POOL))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_told = declaring.cancel()

        await asyncio.wait([declaring], timeout=SOON)

        assert declaring.cancelled() == was_told


# --- how sessions begin ---------------------------------------------------------------------------


async def test_wrong_credentials_are_forbidden_and_not_repeated(any_rabbit: PrivateRabbit) -> None:
    any_rabbit.start()
    url = any_rabbit.url.replace("guest:guest", "guest:s3cret")

    with pytest.raises(ForbiddenError, match="ACCESS_REFUSED") as caught:
        await RabbitBroker(url).connect()

    assert "s3cret" not in str(caught.value)


async def test_a_vhost_that_does_not_exist_is_forbidden(any_rabbit: PrivateRabbit) -> None:
    any_rabbit.start()

    with pytest.raises(ForbiddenError, match="NOT_ALLOWED - vhost nowhere not found"):
        await RabbitBroker(any_rabbit.url + "nowhere").connect()


async def test_tls_to_a_plain_port_is_forbidden(any_rabbit: PrivateRabbit) -> None:
    any_rabbit.start()

    with pytest.raises(ForbiddenError, match="TLS"):
        await RabbitBroker(any_rabbit.url.replace("amqp:", "amqps:")).connect()


@pytest.mark.parametrize("path", ["", "/", "/%2F", "/%2f"])
async def test_the_default_vhost_can_be_written_in_several_ways(
    any_rabbit: PrivateRabbit, path: str
) -> None:
    any_rabbit.start()
    broker = RabbitBroker(any_rabbit.url.rstrip("/") + path)

    session = await broker.connect()

    assert session.peer.startswith(f"RabbitMQ {any_rabbit.version}")
    assert broker.address == f"amqp://127.0.0.1:{any_rabbit.port}/"
    await session.close()


async def test_a_closed_port_is_unreachable_and_named(free_port: int) -> None:
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{free_port}"):
        await RabbitBroker(f"amqp://user:s3cret@127.0.0.1:{free_port}/").connect()


async def test_an_unknown_host_is_unreachable_and_named() -> None:
    with pytest.raises(UnreachableError, match=r"no-such-host\.invalid:5672"):
        await RabbitBroker("amqp://no-such-host.invalid").connect()


async def test_a_peer_that_is_no_broker_is_unreachable(free_port: int) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", free_port):
        with pytest.raises(UnreachableError, match=f"127.0.0.1:{free_port}"):
            await RabbitBroker(f"amqp://127.0.0.1:{free_port}").connect()


# --- a ladder that cannot be built ----------------------------------------------------------------


async def test_a_step_of_the_ladder_that_somebody_made_otherwise_is_said_and_costs_nothing_else(
    session: RabbitSession, any_vhost_url: str
) -> None:
    rung = "supervisor.delay.00"
    await foreign(any_vhost_url, lambda channel: channel.queue_declare(rung, durable=True))
    await session.declare(POOL)

    with pytest.raises(ForbiddenError, match="inequivalent arg") as refused:
        await session.publish(POOL.priority, message(), delay=0.1)

    assert "delete it" in refused.value.hint
    await session.publish(POOL.priority, message())
    assert await session.depth(POOL.priority) == 1


@pytest.mark.invariant(1)
async def test_a_ladder_that_is_not_answered_for_ends_the_session_so_that_the_job_comes_again(
    ready: RabbitSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.broker.amqp_ladder.LADDER", 0.0)

    with pytest.raises(UnreachableError, match="ladder"):
        await ready.publish(POOL.priority, message(), delay=0.1)

    assert "ladder" in str(await end_of(ready))


async def test_whoever_built_the_ladder_lets_others_build_also_if_it_began_to_consume_meanwhile(
    ready: RabbitSession, any_vhost_url: str
) -> None:
    """The right to build belongs to a connection, and a session opens a second one to consume."""
    building = asyncio.ensure_future(ready.publish(POOL.priority, message(), delay=0.1))
    await asyncio.sleep(0)
    await ready.consume(POOL.public, prefetch=1, receive=Inbox().receive)
    await building
    other = await RabbitBroker(any_vhost_url).connect()

    async with asyncio.timeout(SOON):
        await other.publish(POOL.priority, message(), delay=0.5)

    await other.close()
