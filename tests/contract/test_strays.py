"""Delayed jobs whose private queue was deleted while they waited come back to it."""

import asyncio

import pika
import pytest

from consumers.broker.port import Message
from consumers.broker.rabbitmq import RabbitBroker
from consumers.jobs import Properties
from consumers.topology import UNROUTABLE, pool_queues
from supervisor.strays import Strays
from tests.support.talk import depth_becomes

POOL = pool_queues("clips")


def _delete(url: str, queue: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    connection.channel().queue_delete(queue)
    connection.close()


@pytest.mark.invariant(1)
@pytest.mark.rabbitmq
async def test_a_delayed_job_survives_the_deletion_of_its_queue(any_vhost_url: str) -> None:
    session = await RabbitBroker(any_vhost_url).connect()
    await session.declare(POOL)
    await session.publish(POOL.priority, Message(b'{"n": 1}', Properties()), delay=0.5)
    await asyncio.to_thread(_delete, any_vhost_url, POOL.priority)

    strays = Strays()
    await strays.open(session)

    assert await depth_becomes(session, POOL.priority, 1)
    assert await session.depth(UNROUTABLE) == 0
    await strays.close()
    await session.close()
