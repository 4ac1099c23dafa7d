"""The foreign publisher: another program, with plain pika or over the control socket.

It publishes its orders when their time has come, each until it is confirmed, and writes down what
it does before and after. What it had sent and not heard of is sent again: a program that does
better would need ids. Started again after a kill it goes on where its log ends.

``python -m tests.chaos.foreign ERRAND.json``
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError

from consumers.jobs import Priority
from supervisor import ports
from supervisor.client import Client, NoSupervisorError
from tests.chaos.load import Order

SENDING, CONFIRMED = "sending", "confirmed"
AGAIN = 0.3  # seconds between two tries
PATIENCE = 4.0  # seconds for an answer


class Errand(msgspec.Struct, frozen=True):
    """What to publish, by which way, since when, and where to write it down."""

    address: str  # an AMQP URL, or the path of a control socket
    log: str
    orders: tuple[Order, ...]
    since: float  # on the monotonic clock, which all processes of a machine share


class Way(Protocol):
    """A way to get a job stored; raises Again when it is not certain that it is."""

    def send(self, order: Order) -> None:
        """Return when the job is stored."""

    def give_up(self) -> None:
        """Forget the connection; the next try makes another."""


class Again(Exception):  # noqa: N818 - reads `raise Again`
    """Not confirmed: it may be stored or not."""


class Broker:
    """Publishes as everybody does: queue declared durable, confirms on, mandatory, persistent."""

    def __init__(self, url: str) -> None:
        own = f"heartbeat=4&socket_timeout={PATIENCE}&stack_timeout={PATIENCE}"
        blocked = f"blocked_connection_timeout={PATIENCE}"
        self._parameters = pika.URLParameters(f"{url}?{own}&{blocked}&connection_attempts=1")
        self._channel: BlockingChannel | None = None
        self._declared: set[str] = set()

    def send(self, order: Order) -> None:
        try:
            channel = self._channel = self._channel or self._connect()
            if order.queue not in self._declared:
                channel.queue_declare(order.queue, durable=True)
                self._declared.add(order.queue)
            channel.basic_publish("", order.queue, order.body, _properties(order), mandatory=True)
        # Two are pika's words for a handshake that takes too long, and for one that is refused.
        except (AMQPError, AMQPConnectorException, OSError, ValueError) as error:
            raise Again from error

    def give_up(self) -> None:
        channel, self._channel = self._channel, None
        self._declared.clear()
        if channel is not None:
            with contextlib.suppress(AMQPError, OSError):
                channel.connection.close()

    def _connect(self) -> BlockingChannel:
        channel = pika.BlockingConnection(self._parameters).channel()
        channel.confirm_delivery()
        return channel


class Socket:
    """Hands jobs in through the control socket."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def send(self, order: Order) -> None:
        told = ports.Order(
            pool=order.pool,
            data=msgspec.json.decode(order.body),
            id=order.message_id,
            delay=float(order.headers.get("x-delay", 0)) / 1000,
            priority=Priority(6 - (order.priority or Priority.NORMAL.amqp)),
        )
        try:
            with Client(self._path, patience=PATIENCE) as client:
                client.submit(told)
        except (ports.ControlError, NoSupervisorError) as error:
            raise Again from error

    def give_up(self) -> None:
        pass


def main(file: str) -> int:
    """Do an errand to its end."""
    errand = msgspec.json.decode(Path(file).read_bytes(), type=Errand)
    log = Path(errand.log)
    done = {serial: confirmed for serial, (_, confirmed) in tries(log).items()}
    way: Way = Broker(errand.address) if "://" in errand.address else Socket(errand.address)
    with log.open("ab", buffering=0) as lines:
        for order in errand.orders:
            for _ in range(order.messages - done.get(order.serial, 0)):
                time.sleep(max(0.0, errand.since + order.at - time.monotonic()))
                _publish(way, order, lines.fileno())
    way.give_up()
    return 0


def tries(*logs: Path) -> Mapping[int, tuple[int, int]]:
    """Return how often each job was sent, and how often that was confirmed."""
    found: dict[int, tuple[int, int]] = {}
    for word, serial in _words(logs):
        times, confirmed = found.get(serial, (0, 0))
        found[serial] = (times + (word == SENDING), confirmed + (word == CONFIRMED))
    return found


def _words(logs: Iterable[Path]) -> Iterable[tuple[str, int]]:
    for log in logs:
        for line in log.read_text().splitlines() if log.exists() else ():
            word, serial = line.split("\t")
            yield word, int(serial)


def _publish(way: Way, order: Order, log: int) -> None:
    while True:
        os.write(log, f"{SENDING}\t{order.serial}\n".encode())
        try:
            way.send(order)
            break
        except Again:
            way.give_up()
            time.sleep(AGAIN)
    os.write(log, f"{CONFIRMED}\t{order.serial}\n".encode())


def _properties(order: Order) -> pika.BasicProperties:
    return pika.BasicProperties(
        delivery_mode=2,
        message_id=order.message_id,
        priority=order.priority,
        headers=dict(order.headers) or None,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
