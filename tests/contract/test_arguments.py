"""What the broker lets us know of how a queue was declared."""

from collections.abc import AsyncIterator

import pika
import pytest

from consumers.arguments import arguments
from consumers.broker.port import Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.hazards import hazards
from consumers.topology import pool_queues

pytestmark = pytest.mark.rabbitmq

DECLARED: dict[str, dict[str, str | int]] = {
    "plain": {},
    "short": {"x-max-length": 5, "x-overflow": "drop-head"},
    "passing": {"x-message-ttl": 60000, "x-dead-letter-exchange": "it's", "x-expires": 90000},
    "counting": {"x-queue-type": "quorum", "x-delivery-limit": 5},
}


@pytest.fixture
async def opened(any_vhost_url: str) -> AsyncIterator[Session]:
    """A session beside queues that somebody else has declared."""
    with pika.BlockingConnection(pika.URLParameters(any_vhost_url)) as connection:
        channel = connection.channel()
        for queue, own in DECLARED.items():
            channel.queue_declare(queue, durable=True, arguments=own)
        channel.queue_declare("transient", durable=False)
    session = await RabbitBroker(any_vhost_url).connect()
    yield session
    await session.close()


async def test_the_arguments_of_a_queue_are_learnt_and_nothing_is_changed(opened: Session) -> None:
    for queue, own in DECLARED.items():
        assert await arguments(opened, queue) == {"x-queue-type": "classic"} | own

    assert (await arguments(opened, "transient") or {})["durable"] is False
    assert await arguments(opened, "nobody") is None
    assert await opened.look("nobody") is None
    await opened.depth("plain")  # the session has survived it all


async def test_a_dead_letter_queue_that_loses_letters_is_named(opened: Session) -> None:
    pool = pool_queues("counting", dead="short")
    declared = {name: await arguments(opened, name) or {} for name in (pool.public, pool.dead)}

    limit, length = hazards(pool, declared, peer=opened.peer)

    assert limit == "counting throws a message away that came back more than 5 times"
    assert "short throws its oldest away beyond 5 messages" in length
