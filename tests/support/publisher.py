"""Another program, as publishers write them: pika, no library of ours, often no properties."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

from tests.support.waiting import wait_until


@contextlib.contextmanager
def channel_to(url: str) -> Iterator[BlockingChannel]:
    """Lend a channel of a connection of its own."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def publish(
    url: str, queue: str, *bodies: Mapping[str, object] | bytes, **properties: object
) -> None:
    """Declare the queue durable, as everybody does, and publish; returns when confirmed."""
    with channel_to(url) as channel:
        channel.queue_declare(queue, durable=True)
        channel.confirm_delivery()
        for body in bodies:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            own = pika.BasicProperties(**properties) if properties else None  # type: ignore[arg-type]  # names are pika's
            channel.basic_publish("", queue, content, own, mandatory=True)


def declare(url: str, queue: str, arguments: Mapping[str, object]) -> None:
    """Make a durable queue with arguments, as somebody may have done before us."""
    with channel_to(url) as channel:
        own: dict[str, Any] = dict(arguments)
        channel.queue_declare(queue, durable=True, arguments=own)


def delete(url: str, queue: str) -> None:
    """Delete a queue with all that is in it."""
    with channel_to(url) as channel:
        channel.queue_delete(queue)


def send(url: str, queue: str, *bodies: Mapping[str, object], priority: int = 0) -> None:
    """Publish to a queue that is there, whatever its arguments; returns when confirmed."""
    own = pika.BasicProperties(priority=priority)
    with channel_to(url) as channel:
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", queue, json.dumps(body).encode(), own, mandatory=True)


def publish_each(url: str, queue: str, bodies: Iterable[bytes]) -> None:
    """Publish many without waiting for each: the connection's close flushes them."""
    with channel_to(url) as channel:
        channel.queue_declare(queue, durable=True)
        for body in bodies:
            channel.basic_publish("", queue, body)


def depth(url: str, *queues: str) -> int:
    """Return how many messages are ready in these queues together."""
    with channel_to(url) as channel:
        return sum(channel.queue_declare(q, passive=True).method.message_count for q in queues)


def wait_until_empty(url: str, *queues: str, within: float = 10.0) -> None:
    """Wait until nothing is ready in these queues."""
    wait_until(lambda: depth(url, *queues) == 0, within=within, what=f"{queues} to be empty")


def take(url: str, queue: str, *, within: float = 20.0) -> tuple[bytes, pika.BasicProperties]:
    """Take one message from a queue, waiting for it."""
    taken: list[tuple[bytes, pika.BasicProperties]] = []

    def try_once() -> bool:
        with channel_to(url) as channel:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is not None and properties is not None and body is not None:
                taken.append((body, properties))
        return bool(taken)

    wait_until(try_once, within=within, what=f"a message in {queue}")
    return taken[0]
