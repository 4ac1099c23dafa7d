"""The delay ladder when the broker is killed while it is being made: no level becomes a ruin."""

import asyncio
from collections.abc import Callable

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from consumers.broker.rabbitmq import RabbitBroker
from consumers.topology import pool_queues
from tests.support.inbox import Inbox
from tests.support.rabbitmq import PrivateRabbit
from tests.support.talk import foreign, message

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(90)]

POOL = pool_queues("clips")
DELAY = 1.2  # seconds: levels 0 and 2 hold it, 1 is passed by
RUNG = "supervisor.delay.02"


async def restart(node: PrivateRabbit) -> None:
    await asyncio.to_thread(node.kill)
    await asyncio.to_thread(node.start)


async def delayed_jobs_arrive(url: str, inbox: Inbox, *, delay: float, jobs: int) -> None:
    """Publish delayed jobs in a session of its own, and wait until all have come out."""
    session = await RabbitBroker(url).connect()
    await session.declare(POOL)
    for number in range(jobs):
        await session.publish(POOL.priority, message(f"more-{number}"), delay=delay)
    await session.consume(POOL.priority, prefetch=50, receive=inbox.receive)
    await inbox.take_several(jobs)
    await session.close()


@pytest.mark.invariant(1)
async def test_a_ladder_of_which_the_broker_forgot_the_top_is_mended_and_extended(
    any_rabbit: PrivateRabbit, any_vhost_url: str
) -> None:
    session = await RabbitBroker(any_vhost_url).connect()
    await session.declare(POOL)
    await session.publish(POOL.priority, message("first"), delay=DELAY)
    await restart(any_rabbit)
    await session.close()

    await delayed_jobs_arrive(any_vhost_url, Inbox(), delay=DELAY, jobs=1)
    await delayed_jobs_arrive(any_vhost_url, Inbox(), delay=3 * DELAY, jobs=2)


@pytest.mark.parametrize("ruined", ["laid and lost", "not there"])
async def test_a_level_that_was_never_used_is_made_anew(
    any_rabbit: PrivateRabbit,
    any_vhost_url: str,
    ruined: str,
) -> None:
    if ruined == "laid and lost":
        await foreign(any_vhost_url, _lay(RUNG))
        await restart(any_rabbit)

    await delayed_jobs_arrive(any_vhost_url, Inbox(), delay=DELAY, jobs=3)


def _lay(name: str) -> Callable[[BlockingChannel], object]:
    arguments = {
        "x-queue-type": "quorum",
        "x-message-ttl": 1000,
        "x-dead-letter-exchange": "supervisor.delay.01",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return lambda channel: channel.queue_declare(name, durable=True, arguments=arguments)
