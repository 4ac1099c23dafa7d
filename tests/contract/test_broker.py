"""The broker contract: what consumers rely on, whichever adapter carries the jobs."""

import asyncio
import time

import pytest

from consumers.broker.port import Session
from consumers.errors import UnroutableError
from consumers.jobs import PRIORITY
from consumers.topology import LONGEST_DELAY, pool_queues
from tests.contract.conftest import OpenSession
from tests.support.inbox import Inbox
from tests.support.talk import bodies, depth_becomes, message, publish_all

POOL = pool_queues("clips")


@pytest.fixture
async def ready(session: Session) -> Session:
    """A session with the pool's queues declared."""
    await session.declare(POOL)
    return session


async def test_a_published_message_is_delivered(ready: Session) -> None:
    inbox = Inbox()
    await ready.publish(POOL.public, message('{"link": "http://localhost/a"}'))
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)

    delivery = await inbox.take()

    assert delivery.message.body == b'{"link": "http://localhost/a"}'
    assert delivery.queue == POOL.public
    assert not delivery.redelivered


async def test_declaring_twice_is_fine(ready: Session) -> None:
    await ready.publish(POOL.public, message())

    await ready.declare(POOL)

    assert await ready.depth(POOL.public) == 1


async def test_messages_wait_for_a_consumer_in_order(ready: Session) -> None:
    inbox = Inbox()
    await publish_all(ready, POOL.public, *(message(f"{n}") for n in range(20)))
    await ready.consume(POOL.public, prefetch=20, receive=inbox.receive)

    assert bodies(await inbox.take_several(20)) == [f"{n}".encode() for n in range(20)]


async def test_no_more_than_the_prefetch_is_in_hand(ready: Session) -> None:
    inbox = Inbox()
    await publish_all(ready, POOL.public, *(message(f"{n}") for n in range(5)))
    await ready.consume(POOL.public, prefetch=2, receive=inbox.receive)

    first, _ = await inbox.take_several(2)
    assert await inbox.stays_empty(during=0.3)
    await ready.ack(first)

    assert (await inbox.take()).message.body == b"2"
    assert await inbox.stays_empty(during=0.3)


async def test_each_consumer_has_its_own_prefetch(ready: Session) -> None:
    lane, public = Inbox(), Inbox()
    for n in range(4):
        await ready.publish(POOL.public, message(f"{n}"))
        await ready.publish(POOL.priority, message(f"{n}"))
    await ready.consume(POOL.public, prefetch=1, receive=public.receive)
    await ready.consume(POOL.priority, prefetch=3, receive=lane.receive)

    await lane.take_several(3)
    await public.take()

    assert await lane.stays_empty(during=0.2)
    assert await public.stays_empty(during=0.2)


async def test_an_acked_message_is_gone(ready: Session, open_session: OpenSession) -> None:
    inbox = Inbox()
    await ready.publish(POOL.public, message())
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)
    await ready.ack(await inbox.take())
    await ready.close()

    assert await (await open_session()).depth(POOL.public) == 0


async def test_settling_twice_is_fine(ready: Session) -> None:
    inbox = Inbox()
    await ready.publish(POOL.public, message("1"))
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)
    delivery = await inbox.take()

    await ready.ack(delivery)
    await ready.ack(delivery)
    await ready.requeue(delivery)
    await ready.publish(POOL.public, message("2"))

    assert (await inbox.take()).message.body == b"2"


async def test_a_requeued_message_comes_again_marked_as_redelivered(ready: Session) -> None:
    inbox = Inbox()
    await ready.publish(POOL.public, message("again"))
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)

    await ready.requeue(await inbox.take())

    second = await inbox.take()
    assert second.redelivered
    assert second.message.body == b"again"


async def test_a_cancelled_consumer_gets_nothing_more(ready: Session) -> None:
    inbox = Inbox()
    consumer = await ready.consume(POOL.public, prefetch=10, receive=inbox.receive)

    await ready.cancel(consumer)
    await ready.publish(POOL.public, message())

    assert await inbox.stays_empty(during=0.3)
    assert await ready.depth(POOL.public) == 1


async def test_what_a_cancelled_consumer_holds_can_be_settled(ready: Session) -> None:
    inbox = Inbox()
    await publish_all(ready, POOL.public, message("kept"), message("given back"))
    consumer = await ready.consume(POOL.public, prefetch=2, receive=inbox.receive)
    kept, given_back = await inbox.take_several(2)

    await ready.cancel(consumer)
    await ready.ack(kept)
    await ready.requeue(given_back)

    assert await depth_becomes(ready, POOL.public, 1)


async def test_cancelling_a_consumer_that_is_not_there_is_fine(ready: Session) -> None:
    consumer = await ready.consume(POOL.public, prefetch=1, receive=Inbox().receive)

    await ready.cancel(consumer)
    await ready.cancel(consumer)


async def test_a_consumer_can_start_again_after_a_cancel(ready: Session) -> None:
    inbox = Inbox()
    await ready.cancel(await ready.consume(POOL.public, prefetch=1, receive=Inbox().receive))
    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)

    await ready.publish(POOL.public, message("1"))

    assert (await inbox.take()).message.body == b"1"


async def test_the_priority_lane_is_strict_and_in_order_within_a_level(ready: Session) -> None:
    inbox = Inbox()
    levels = ["background", "normal", "critical", "low", "high", "normal", "critical", "background"]
    for n, level in enumerate(levels):
        await ready.publish(POOL.priority, message(f"{level}-{n}", headers={PRIORITY: level}))
    await ready.consume(POOL.priority, prefetch=1, receive=inbox.receive)

    order = []
    for _ in levels:
        delivery = await inbox.take()
        order.append(delivery.message.body.decode())
        await ready.ack(delivery)

    assert order == [
        "critical-2",
        "critical-6",
        "high-4",
        "normal-1",
        "normal-5",
        "low-3",
        "background-0",
        "background-7",
    ]


async def test_without_a_header_the_amqp_priority_is_the_level(ready: Session) -> None:
    inbox = Inbox()
    await publish_all(
        ready,
        POOL.priority,
        message("1", priority=1),
        message("none"),
        message("9", priority=9),
        message("0", priority=0),
        message("4", priority=4),
    )
    await ready.consume(POOL.priority, prefetch=1, receive=inbox.receive)

    order = []
    for _ in range(5):
        delivery = await inbox.take()
        order.append(delivery.message.body)
        await ready.ack(delivery)

    assert order == [b"9", b"4", b"none", b"0", b"1"]


@pytest.mark.parametrize("delay", [0.3, 1.4])
async def test_a_delayed_message_comes_in_its_time_and_not_before(
    ready: Session, delay: float
) -> None:
    inbox = Inbox()
    await ready.consume(POOL.priority, prefetch=1, receive=inbox.receive)

    begun = time.monotonic()
    await ready.publish(POOL.priority, message("later"), delay=delay)
    confirmed = time.monotonic()
    await inbox.take()

    assert time.monotonic() - begun >= delay
    assert time.monotonic() - confirmed <= delay + 1


async def test_delayed_messages_come_in_the_order_of_their_times(ready: Session) -> None:
    inbox = Inbox()
    await ready.consume(POOL.priority, prefetch=10, receive=inbox.receive)
    for delay in (2.0, 0.5, 1.25):
        await ready.publish(POOL.priority, message(f"{delay}"), delay=delay)

    assert bodies(await inbox.take_several(3)) == [b"0.5", b"1.25", b"2.0"]


async def test_a_delay_keeps_what_a_job_is_made_of(ready: Session) -> None:
    inbox = Inbox()
    sent = message(b"\xff", message_id="7f3", headers={PRIORITY: "high", "x-job-seq": 2})
    await ready.consume(POOL.priority, prefetch=10, receive=inbox.receive)

    await ready.publish(POOL.priority, sent, delay=0.25)

    came = (await inbox.take()).message
    assert came.body == b"\xff"
    assert came.properties.message_id == "7f3"
    assert came.properties.headers["x-job-seq"] == 2


async def test_a_delay_into_a_public_queue_is_refused(ready: Session) -> None:
    with pytest.raises(UnroutableError, match="clips"):
        await ready.publish(POOL.public, message(), delay=1)


async def test_a_delay_longer_than_48_days_is_refused(ready: Session) -> None:
    with pytest.raises(UnroutableError, match="clips"):
        await ready.publish(POOL.priority, message(), delay=LONGEST_DELAY + 1)


async def test_a_publish_that_no_queue_takes_raises(ready: Session) -> None:
    with pytest.raises(UnroutableError, match="nowhere"):
        await ready.publish("nowhere", message())

    await ready.publish(POOL.public, message())


async def test_of_many_publishes_at_once_those_without_a_queue_raise(ready: Session) -> None:
    """Equal ids, equal bodies and no ids at all must not be taken for each other."""
    queues = ["nowhere", POOL.public, "nowhere.priority", POOL.priority, POOL.dead] * 6
    several = [message("{}"), message("{}", message_id="same")]

    outcomes = await asyncio.gather(
        *(ready.publish(queue, each) for queue in queues for each in several),
        return_exceptions=True,
    )

    raised = [isinstance(outcome, UnroutableError) for outcome in outcomes]
    assert raised == [queue.startswith("nowhere") for queue in queues for _ in several]
    assert await depth_becomes(ready, POOL.public, 12)


async def test_the_depth_counts_what_is_ready(ready: Session) -> None:
    inbox = Inbox()
    await publish_all(ready, POOL.public, message("1"), message("2"), message("3"))
    assert await ready.depth(POOL.public) == 3

    await ready.consume(POOL.public, prefetch=1, receive=inbox.receive)
    await inbox.take()

    assert await depth_becomes(ready, POOL.public, 2)


async def test_the_depth_of_a_queue_that_does_not_exist_is_zero(session: Session) -> None:
    assert await session.depth("nowhere") == 0


async def test_a_purge_throws_the_ready_messages_away(ready: Session) -> None:
    await publish_all(ready, POOL.public, message("1"), message("2"))

    assert await ready.purge(POOL.public) == 2
    assert await ready.depth(POOL.public) == 0


async def test_a_purge_of_a_queue_that_does_not_exist_throws_nothing_away(
    session: Session,
) -> None:
    assert await session.purge("nowhere") == 0
