"""Another program, as publishers write them: pika, no library of ours, often no properties."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping

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
