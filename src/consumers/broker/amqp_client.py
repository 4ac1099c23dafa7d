"""aio-pika and aiormq in our words: connections, publishing, consuming, declaring, and faults.

With ``amqp_faults`` all that knows the two libraries. Connections are plain ones, not "robust": a
robust one goes silent for ever when a queue is declared anew with other arguments, and opens
channels again that were closed for a reason. Here everything that ends says so once, by calling
``ended``.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from aiormq import spec
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import ChannelInvalidStateError

from consumers.broker.amqp_announcer import Announcer
from consumers.broker.amqp_errors import Words, broker_error, words
from consumers.broker.amqp_faults import (
    STEP,
    Orders,
    not_stored,
    prepare_libraries,
    refusal,
    speaking,
)
from consumers.broker.amqp_properties import (
    PERSISTENT,
    USER_ID,
    received,
    writable,
)
from consumers.broker.amqp_returns import Parcel, UnderWay
from consumers.broker.amqp_url import Place
from consumers.broker.amqp_visit import Visit
from consumers.broker.port import Message
from consumers.errors import BrokerError, QueueGoneError, UnsayableError
from consumers.jobs import Properties

CONFIRM = 25.0  # seconds for a publish; longer means a memory or disk alarm
FAREWELL = 3.0  # seconds to say goodbye
GRACE = 1.0  # seconds for a connection to say why its channels fell
FRAMING = 64  # bytes of a frame that are not properties, generously

CANCELLED = "the queue was deleted, or its node left; what is missing is made anew"

Ended = Callable[[BrokerError], None]
Alarmed = Callable[[str | None], None]  # the broker's reason, None when the alarm is over


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it was delivered; ``tag`` settles it on the channel that brought it."""

    tag: int
    redelivered: bool
    message: Message


async def connect(place: Place, purpose: str, *, ended: Ended, alarmed: Alarmed) -> "Connection":
    """Open a connection, named for its purpose in the broker's own listings.

    Raises:
        UnreachableError: nobody answered.
        ForbiddenError: credentials, vhost or TLS are wrong, in the broker's words.
    """
    prepare_libraries()
    named: dict[str, Any] = {"connection_name": f"rabbit-supervisor {purpose}"}
    orders = Orders()
    try:
        async with asyncio.timeout(STEP):
            connection = await aio_pika.connect(place.url, client_properties=named)
    except (aiormq.AMQPError, OSError, RuntimeError) as error:
        orders.obey(error)
        raise refusal(place.address, error) from error
    return Connection(connection, place, ended, alarmed)


class Connection:
    """One connection, and the channels on it."""

    def __init__(
        self, connection: AbstractConnection, place: Place, ended: Ended, alarmed: Alarmed
    ) -> None:
        self._connection = connection
        self._place = place
        self._ended = ended
        self._wire: Any = connection.transport.connection if connection.transport else None
        _hear_alarms(self._wire, alarmed)
        connection.close_callbacks.add(self._closed)

    @property
    def peer(self) -> str:
        """Product and version of the server."""
        transport = self._connection.transport
        said = transport.connection.server_properties if transport else {}
        return " ".join(str(said.get(key, "")) for key in ("product", "version"))

    async def publisher(self) -> "Publisher":
        """Open a channel to publish on."""
        async with speaking(f"{self._place.address}: open a channel"):
            channel = await self._connection.channel(on_return_raises=True)
            wire = await channel.get_underlay_channel()
        self._heed(wire)
        return Publisher(wire, self._place.user)

    async def announcer(self) -> Announcer:
        """Open a channel for what nobody has to take; its end is nobody else's."""
        async with speaking(f"{self._place.address}: open a channel"):
            channel = await self._connection.channel(publisher_confirms=False)
            return Announcer(await channel.get_underlay_channel())

    async def consumer(self) -> "Consumer":
        """Open a channel to consume on."""
        async with speaking(f"{self._place.address}: open a channel"):
            channel = await self._connection.channel(publisher_confirms=False)
            wire = await channel.get_underlay_channel()
        self._heed(wire)
        return Consumer(wire, self._ended)

    @contextlib.asynccontextmanager
    async def visit(self, doing: str, *, within: float = STEP) -> AsyncIterator["Visit"]:
        """Lend a channel to throw away: the broker closes one whenever it says no."""
        async with (
            speaking(f"{self._place.address}: {doing}", within=within),
            self._connection.channel(publisher_confirms=False) as channel,
        ):
            yield Visit(await channel.get_underlay_channel())

    async def close(self) -> None:
        """Close it, in vain if need be."""
        with contextlib.suppress(BrokerError):
            async with speaking("close", within=FAREWELL):
                await self._connection.close()

    def _heed(self, channel: AbstractChannel) -> None:
        channel.closing.add_done_callback(self._channel_closed)

    def _closed(self, _: object, error: BaseException | None) -> None:
        said = words(error.args if error else ())
        if not said.text and getattr(self._wire, "is_connection_was_stuck", False):
            said = Words(text=f"no sign of life for {3 * (self._place.heartbeat + 1)} s")
        self._ended(broker_error(said, doing=f"{self._place.address}: connection lost"))

    def _channel_closed(self, closing: "asyncio.Future[object]") -> None:
        error = None if closing.cancelled() else closing.exception()
        said = words(error.args if error else ())
        reason = broker_error(said, doing=f"{self._place.address}: channel closed")
        if isinstance(error, aiormq.AMQPChannelError):
            self._ended(reason)
        else:  # it may have fallen with its connection, which knows why and is about to say so
            closing.get_loop().call_later(GRACE, self._ended, reason)


class Publisher:
    """A channel that publishes with confirm and mandatory."""

    def __init__(self, channel: AbstractChannel, user: str) -> None:
        self._channel = channel
        self._user = user
        self._under_way = UnderWay()
        self._deadlines: set[asyncio.Timeout] = set()  # of the publishes under way
        self.is_blocked = False  # by an alarm of the broker
        # There is no public way to see a return without a message id; the contract tests watch.
        setattr(channel, "_on_return_frame", self._returned)  # noqa: B010

    async def publish(
        self, queue: str, message: Message, *, via: tuple[str, str] = ("", "")
    ) -> None:
        """Publish to ``queue``, or by an exchange and key that lead there; wait for the confirm.

        Raises:
            UnroutableError: it was returned or refused, or cannot be said in AMQP.
        """
        properties = self._stamped(message.properties)
        exchange, key = via[0], via[1] or queue
        parcel = Parcel(exchange, key, message.properties.message_id or "", message.body)
        publication = self._under_way.begin(parcel)
        try:
            self._check_size(properties)
            async with self._patiently(f"publish to {queue}"):
                await self._channel.basic_publish(
                    message.body,
                    exchange=exchange,
                    routing_key=key,
                    properties=properties,
                    mandatory=True,
                )
        except (TypeError, ValueError, OverflowError, struct.error) as error:
            says = f"{queue}: AMQP cannot carry this message: {error}"
            raise UnsayableError(says) from error
        finally:
            self._under_way.end(publication)
        if publication.returned:
            raise not_stored(queue, f"returned by the broker: {publication.returned}")

    def block(self, *, is_blocked: bool) -> None:
        """Let publishes wait as long as an alarm lasts: they are neither lost nor refused."""
        self.is_blocked = is_blocked
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(self._latest())

    def _latest(self) -> float | None:
        return None if self.is_blocked else asyncio.get_running_loop().time() + CONFIRM

    @contextlib.asynccontextmanager
    async def _patiently(self, doing: str) -> AsyncIterator[None]:
        async with speaking(doing, within=CONFIRM) as deadline:
            self._deadlines.add(deadline)
            deadline.reschedule(self._latest())
            try:
                yield
            finally:
                self._deadlines.discard(deadline)

    def _check_size(self, properties: spec.Basic.Properties) -> None:
        """Properties travel in one frame; a larger one would cost us the connection."""
        limit = self._channel.connection.connection_tune.frame_max
        if properties.headers and limit and len(properties.marshal()) > limit - FRAMING:
            raise ValueError("its headers and properties do not fit in a frame")

    def _stamped(self, own: Properties) -> spec.Basic.Properties:
        headers: dict[str, Any] = writable(own.headers)
        foreign = bool(own.user_id) and own.user_id != self._user
        if foreign:
            headers[USER_ID] = own.user_id
        return spec.Basic.Properties(
            message_id=own.message_id or _NoId(),
            correlation_id=own.correlation_id,
            reply_to=own.reply_to,
            content_type=own.content_type,
            content_encoding=own.content_encoding,
            message_type=own.type,
            app_id=own.app_id,
            user_id=None if foreign else own.user_id,
            expiration=own.expiration,
            priority=own.priority,
            timestamp=own.timestamp,
            headers=headers or None,
            delivery_mode=PERSISTENT,
        )

    async def _returned(self, frame: spec.Basic.Return) -> None:
        header = await self._channel._get_frame()  # type: ignore[attr-defined] # noqa: SLF001
        back = await self._channel._read_content(frame, header)  # type: ignore[attr-defined] # noqa: SLF001
        identity = back.header.properties.message_id or ""
        parcel = Parcel(frame.exchange or "", frame.routing_key or "", identity, back.body)
        self._under_way.give_back(parcel, frame.reply_text or "")


class Consumer:
    """A channel that consumes and settles."""

    def __init__(self, channel: AbstractChannel, ended: Ended) -> None:
        self._channel = channel
        self._ended = ended
        self._queues: dict[str, str] = {}  # of the consumers that should be there
        channel.on_consumer_cancel_callbacks.add(self._cancelled)

    async def consume(
        self,
        queue: str,
        consumer: str,
        *,
        prefetch: int,
        take: Callable[[Arrival], None],
        exclusive: bool = False,
    ) -> None:
        """Start a consumer. One call at a time: the limit is for the consumer that follows it."""

        async def deliver(delivered: DeliveredMessage) -> None:
            accepted = False
            try:
                take(_arrival(delivered))
                accepted = True
            finally:
                if not accepted:  # the library drops the exception without a word
                    self._ended(BrokerError(f"{queue}: our own consumer failed to take a job"))

        await self._channel.basic_qos(prefetch_count=prefetch)
        await self._channel.basic_consume(
            queue, deliver, consumer_tag=consumer, exclusive=exclusive
        )
        self._queues[consumer] = queue

    async def cancel(self, consumer: str) -> None:
        """Stop a consumer; one that is not there is fine."""
        if self._queues.pop(consumer, None) is not None:
            await self._channel.basic_cancel(consumer)

    def look(self) -> None:
        """End everything if a consumer is gone and nobody said so: it would starve in silence."""
        known = getattr(self._channel, "consumers", self._queues)
        for consumer, queue in self._queues.items():
            if consumer not in known:
                self._ended(BrokerError(f"{queue}: its consumer is gone, nobody said why"))

    async def ack(self, tag: int) -> bool:
        """Write an ack; answers whether it could be written."""
        return await self._settle(self._channel.basic_ack(tag, wait=False))

    async def requeue(self, tag: int) -> bool:
        """Write a nack that gives the message back; answers whether it could be written."""
        return await self._settle(self._channel.basic_nack(tag, requeue=True, wait=False))

    async def ask(self) -> None:
        """Return when the broker has answered a question that changes nothing."""
        async with speaking("ask for an answer", within=None):
            await self._channel.flow(active=True)

    async def close(self) -> None:
        """Close the channel; the broker's answer means that it has read the acks before it."""
        with contextlib.suppress(BrokerError):
            async with speaking("close", within=FAREWELL):
                await self._channel.close()

    async def _settle(self, writing: Awaitable[None]) -> bool:
        try:
            async with asyncio.timeout(STEP):
                await writing
        except (TimeoutError, ChannelInvalidStateError):
            return False
        return True

    def _cancelled(self, frame: spec.Basic.Cancel) -> None:
        queue = self._queues.get(frame.consumer_tag or "", frame.consumer_tag)
        why = "consumer cancelled by the broker: was the queue deleted?"
        self._ended(QueueGoneError(f"{queue}: {why}", hint=CANCELLED))


class _NoId(str):
    """Empty, so it is left out on the wire, yet true: aiormq replaces an id that is false."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


def _hear_alarms(wire: object, alarmed: Alarmed) -> None:
    """Have ourselves told of alarms, which the library only logs; the contract tests watch."""

    async def blocked(frame: spec.Connection.Blocked) -> None:
        alarmed(frame.reason or "")

    async def unblocked(_: spec.Connection.Unblocked) -> None:
        alarmed(None)

    setattr(wire, "_Connection__handle_connection_blocked", blocked)  # noqa: B010
    setattr(wire, "_Connection__handle_connection_unblocked", unblocked)  # noqa: B010


def _arrival(delivered: DeliveredMessage) -> Arrival:
    properties = delivered.header.properties
    message = Message(delivered.body, received(properties, properties.headers))
    return Arrival(delivered.delivery_tag or 0, bool(delivered.redelivered), message)
