"""Short ways to say things to a broker in tests."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from consumers.broker.port import Delivery, Message, Session
from consumers.jobs import Properties
from tests.support.inbox import Inbox


def message(body: bytes | str = b"{}", **properties: Any) -> Message:
    raw = body.encode() if isinstance(body, str) else body
    return Message(raw, Properties(**properties))


def bodies(deliveries: list[Delivery]) -> list[bytes]:
    return [delivery.message.body for delivery in deliveries]


async def publish_all(session: Session, queue: str, *messages: Message) -> None:
    for each in messages:
        await session.publish(queue, each)


async def depth_becomes(session: Session, queue: str, expected: int) -> bool:
    """Wait until a queue has so many ready messages; what is settled is not counted at once."""
    deadline = time.monotonic() + 5
    while await session.depth(queue) != expected:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def drain(session: Session, queue: str, count: int) -> set[bytes]:
    """Take and ack until ``count`` different bodies came."""
    inbox, came = Inbox(), set[bytes]()
    await session.consume(queue, prefetch=100, receive=inbox.receive)
    while len(came) < count:
        delivery = await inbox.take()
        await session.ack(delivery)
        came.add(delivery.message.body)
    return came


async def foreign(url: str, act: Callable[[BlockingChannel], object]) -> None:
    """Let another program, written with pika, do something on a channel of its own."""

    def run() -> None:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            act(connection.channel())

    await asyncio.to_thread(run)
