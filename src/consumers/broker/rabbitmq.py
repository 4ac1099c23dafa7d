"""RabbitMQ behind the broker port: sessions that end on the first thing that goes wrong.

Publishing and consuming have a connection each, because a broker short of memory stops reading
from publishers and acks must still get through.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from consumers.broker.amqp_announcer import Announcer
from consumers.broker.amqp_client import (
    Arrival,
    Connection,
    Consumer,
    Publisher,
    connect,
)
from consumers.broker.amqp_errors import alarm
from consumers.broker.amqp_faults import STEP, is_not_found, speaking
from consumers.broker.amqp_ladder import Ladder
from consumers.broker.amqp_url import Place, place
from consumers.broker.amqp_visit import Visit
from consumers.broker.port import Delivery, Look, Message, Note, Receive
from consumers.errors import (
    BrokerError,
    ForbiddenError,
    StaleDeliveryError,
    UnreachableError,
    UnroutableError,
)
from consumers.jobs import LANE
from consumers.topology import (
    Layout,
    PoolQueues,
    delay_exit,
    delay_route,
    is_lane,
    lane_level,
    priority_lane,
)

WATCH = 5.0  # seconds between looks whether our consumers are still there

Alarm = Callable[[BrokerError | None], None]


def _mute(_: BrokerError | None) -> None:
    """Tell nobody."""


class RabbitBroker:
    """A RabbitMQ server and vhost, named by an ``amqp://`` or ``amqps://`` URL.

    Raises:
        ValueError: it is not such a URL; the text does not repeat it, it may hold a password.
    """

    def __init__(self, url: str, *, alarmed: Alarm = _mute) -> None:
        """Name the broker; ``alarmed`` is told of each alarm of its, and by None that it is over.

        A session that ends takes its alarm with it: the next one is told anew.
        """
        self._place = place(url)
        self._alarmed = alarmed
        self._generations = itertools.count(1)

    @property
    def address(self) -> str:
        """Where the broker is, without credentials."""
        return self._place.address

    async def connect(self) -> "RabbitSession":
        """Open a session."""
        generation = next(self._generations)
        session = RabbitSession(self._place, self._alarmed, generation=generation)
        await session.begin()
        return session


class RabbitSession:
    """One life of the connections to RabbitMQ."""

    def __init__(self, place: Place, alarmed: Alarm, *, generation: int) -> None:
        self._place = place
        self._alarmed = alarmed
        self.generation = generation
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[BrokerError] = self._loop.create_future()
        self._connections: list[Connection] = []  # to publish; from the first consume, to consume
        self._publisher: Publisher  # from begin() on
        self._consumer: Consumer | None = None
        self._announcer: Announcer | None = None  # from the first announcement on
        self._peer = ""
        self._names = itertools.count(1)
        self._in_hand: set[int] = set()  # delivery tags not settled yet
        self._asking: asyncio.Task[None] | None = None  # whether the consuming line is alive
        self._ladder = Ladder(self._visit)
        self._bound: set[str] = set()  # lanes that the ladder's exit finds
        self._consume_turn = asyncio.Lock()
        self._ladder_turn = asyncio.Lock()
        self._announce_turn = asyncio.Lock()
        self._watch_timer = self._loop.call_later(WATCH, self._watch)

    async def begin(self) -> None:
        """Open the publishing connection."""
        try:
            connection = await self._connect("publish")
            self._publisher = await connection.publisher()
        except BaseException:
            await self.close()
            raise
        self._peer = connection.peer

    @property
    def peer(self) -> str:
        """Who is at the other end: product and version."""
        return self._peer

    async def declare(self, pool: PoolQueues) -> None:
        """Make sure the pool's queues exist, and that the ladder finds the private one."""
        async with self._or_not_at_all():
            for queue in (pool.public, pool.dead):
                if await self._count(queue) is None:
                    async with self._visit(f"declare {queue}") as visit:
                        await visit.create(queue)
            async with self._visit(f"declare {pool.priority}") as visit:
                await visit.lay(delay_exit())
                await visit.lay(priority_lane(pool.priority))
        self._bound.add(pool.priority)

    async def lay(self, layout: Layout) -> None:
        """Declare private things of ours; what is there already is fine."""
        async with self._visit("declare our own queues") as visit:
            await visit.lay(layout)

    async def consume(
        self, queue: str, *, prefetch: int, receive: Receive, exclusive: bool = False
    ) -> str:
        """Start to consume; see the port."""
        self._must_be_alive()

        def take(arrival: Arrival) -> None:
            if not self._end.done():
                self._in_hand.add(arrival.tag)
                receive(self._delivery(queue, arrival))

        name = f"{queue}-{next(self._names)}"
        async with self._consume_turn, self._vitally(f"consume {queue}"):
            consumer = self._consumer or await self._open_consumer()
            await consumer.consume(queue, name, prefetch=prefetch, take=take, exclusive=exclusive)
        return name

    async def cancel(self, consumer: str) -> None:
        """Stop consuming; what was delivered stays in hand until it is settled."""
        self._must_be_alive()
        if self._consumer:
            async with self._vitally(f"cancel {consumer}"):
                await self._consumer.cancel(consumer)

    async def publish(self, queue: str, message: Message, *, delay: float = 0.0) -> None:
        """Store a message and return when the broker has confirmed it; see the port.

        In a private priority queue the AMQP priority is the job's level. A delayed message loses
        its ``expiration``, which would let it out of the ladder early.
        """
        self._must_be_alive()
        properties, via = message.properties, ("", "")
        if is_lane(queue):
            properties = msgspec.structs.replace(properties, priority=lane_level(properties))
        if delay > 0:
            async with self._or_not_at_all():
                via = await self._enter_ladder(queue, delay)
            properties = msgspec.structs.replace(properties, expiration=None)
            properties = properties.with_headers(**{LANE: queue})
        try:
            await self._publisher.publish(queue, Message(message.body, properties), via=via)
        except UnroutableError:
            raise
        except BrokerError as error:
            # Nobody knows whether it was stored. A session that goes on would keep the original in
            # hand for ever; with its end the broker delivers it again.
            self._finish(error)
            raise

    async def announce(self, notes: Sequence[Note]) -> None:
        """Write messages that nobody has to take, on a channel of their own; see the port."""
        self._must_be_alive()
        if self._publisher.is_blocked:
            raise alarm("")
        async with self._announce_turn:
            if self._announcer is None:
                self._announcer = await self._connections[0].announcer()
            try:
                await self._announcer.write(notes)
            except BrokerError:
                self._announcer = None  # told once: the next are written on another channel
                raise

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery for good; one that is settled already is fine."""
        await self._settle(delivery, lambda consumer: consumer.ack(delivery.tag))

    async def requeue(self, delivery: Delivery) -> None:
        """Give a delivery back to its queue; one that is settled already is fine."""
        await self._settle(delivery, lambda consumer: consumer.requeue(delivery.tag))

    async def answered(self, *, anew: bool = False) -> None:
        """Return when the broker has answered a question, one for all who wait meanwhile.

        However long that takes: a slow broker is no reason to give up what is in hand.
        """
        self._must_be_alive()
        if self._consumer is None:
            return
        if anew and self._asking is not None:
            await self._hear(self._asking)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._consumer.ask())
            self._asking.add_done_callback(self._heard)
        await self._hear(self._asking)

    async def _hear(self, asking: asyncio.Task[None]) -> None:
        waits: tuple[asyncio.Future[Any], ...] = (asking, self._end)
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        self._must_be_alive()

    def _heard(self, asking: asyncio.Task[None]) -> None:
        """End the session whose line gives no answer: what is in hand could not be acked.

        Not at once: whoever knows better why the line fell is about to say so.
        """
        if not asking.cancelled() and isinstance(error := asking.exception(), BrokerError):
            self._loop.call_later(STEP, self._finish, error)

    async def depth(self, queue: str) -> int:
        """Return how many messages are ready in a queue (0 if it does not exist)."""
        return await self._count(queue) or 0

    async def look(self, queue: str) -> Look | None:
        """Return what a queue holds and how many consume it, None if it does not exist."""
        try:
            async with self._visit(f"look at {queue}") as visit:
                return await visit.look(queue)
        except BrokerError as error:
            if is_not_found(error):
                return None
            raise

    async def purge(self, queue: str, *, delayed: bool = False) -> int:
        """Throw the ready messages of a queue away and return how many there were."""
        _ = delayed  # nobody can pick some out of the ladder: those are dropped when they come
        if not await self._count(queue):
            return 0
        async with self._visit(f"purge {queue}") as visit:
            return await visit.purge(queue)

    async def ended(self) -> BrokerError:
        """Wait until the session is over and return why."""
        return await asyncio.shield(self._end)

    async def close(self) -> None:
        """End the session; may be called twice, and on a session that has ended."""
        self._finish(BrokerError(f"{self._place.address}: the session was closed"))
        if self._asking is not None:
            self._asking.cancel()
        connections, self._connections = self._connections, []
        if self._consumer and connections:
            await self._consumer.close()
        await asyncio.gather(*(connection.close() for connection in connections))

    async def _connect(self, purpose: str) -> Connection:
        self._must_be_alive()
        connection = await connect(
            self._place, purpose, ended=self._finish, alarmed=self._heed_alarm
        )
        self._connections.append(connection)
        if self._end.done():  # closed in the meantime: nobody else would close this one
            await self.close()
            self._must_be_alive()
        return connection

    async def _open_consumer(self) -> Consumer:
        connection = await self._connect("consume")
        self._consumer = await connection.consumer()
        return self._consumer

    def _delivery(self, queue: str, arrival: Arrival) -> Delivery:
        return Delivery(
            queue=queue,
            message=arrival.message,
            redelivered=arrival.redelivered,
            tag=arrival.tag,
            generation=self.generation,
        )

    async def _settle(
        self, delivery: Delivery, write: Callable[[Consumer], Awaitable[bool]]
    ) -> None:
        consumer = self._consumer
        if delivery.generation != self.generation or self._end.done() or consumer is None:
            raise _stale(delivery)
        if delivery.tag in self._in_hand:
            self._in_hand.discard(delivery.tag)
            if not await write(consumer):
                raise _stale(delivery)

    async def _enter_ladder(self, queue: str, delay: float) -> tuple[str, str]:
        route = delay_route(queue, delay)
        async with self._ladder_turn:
            if queue not in self._bound:
                await self._end_ladder_in(queue)
            if not self._ladder.reaches(route.level):
                await self._ladder.reach(route.level)
        return route.exchange, route.key

    async def _end_ladder_in(self, queue: str) -> None:
        try:
            await self._ladder.end_in(queue)
        except BrokerError as error:
            if is_not_found(error):
                missing = f"{queue}: there is no such queue to delay into"
                raise UnroutableError(missing) from error
            raise
        self._bound.add(queue)

    async def _count(self, queue: str) -> int | None:
        """Return how many messages are ready, None if there is no such queue."""
        seen = await self.look(queue)
        return None if seen is None else seen.ready

    @asynccontextmanager
    async def _visit(self, doing: str, *, within: float = STEP) -> AsyncIterator[Visit]:
        self._must_be_alive()
        connection = self._connections[-1]  # the consuming one is not deaf during a memory alarm
        async with connection.visit(doing, within=within) as visit:
            yield visit

    @asynccontextmanager
    async def _vitally(self, doing: str) -> AsyncIterator[None]:
        """Do something that leaves a worker without its consumer when it fails: then all ends."""
        try:
            async with speaking(f"{self._place.address}: {doing}"):
                yield
        except BrokerError as error:
            self._finish(error)
            raise

    @asynccontextmanager
    async def _or_not_at_all(self) -> AsyncIterator[None]:
        """Do something that a copy waits for: end all when it fails, unless the broker said no.

        A session that goes on would keep the original in hand for ever. What the broker said no
        to is tried again by whoever asked.
        """
        try:
            yield
        except (UnroutableError, ForbiddenError):
            raise
        except BrokerError as error:
            self._finish(error)
            raise

    def _heed_alarm(self, reason: str | None) -> None:
        self._publisher.block(is_blocked=reason is not None)
        if not self._end.done():
            self._alarmed(None if reason is None else alarm(reason))

    def _must_be_alive(self) -> None:
        if self._end.done():
            over = f"the session is over: {self._end.result()}"
            raise UnreachableError(over)

    def _watch(self) -> None:
        if self._consumer:
            self._consumer.look()
        if not self._end.done():
            self._watch_timer = self._loop.call_later(WATCH, self._watch)

    def _finish(self, reason: BrokerError) -> None:
        if not self._end.done():
            self._end.set_result(reason)
        self._watch_timer.cancel()


def _stale(delivery: Delivery) -> StaleDeliveryError:
    return StaleDeliveryError(f"{delivery.queue}: the session of this delivery has ended")
