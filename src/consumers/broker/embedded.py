"""The broker port over the embedded queues: no server, one machine, the same promises.

The queues themselves live with the ledger. This side only knows an *exchange* that performs
operations and hands deliveries over; in a worker that is the pipe to the coordinator.
"""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumers.broker.operations import (
    Ack,
    Answer,
    Declare,
    Delivered,
    Depth,
    Operation,
    Publish,
    Purge,
    Requeue,
    Subscribe,
    Unsubscribe,
)
from consumers.broker.port import Delivery, Look, Message, Note, Receive
from consumers.errors import (
    BrokerError,
    StaleDeliveryError,
    UnreachableError,
    UnroutableError,
)
from consumers.topology import Layout, PoolQueues

PATIENCE = 30.0  # seconds an operation may take; a busy ledger gives up after 5


class Exchange(Protocol):
    """Who performs the operations: the coordinator, near or behind a pipe."""

    async def perform(self, operation: Operation) -> Answer:
        """Perform an operation and return how it went.

        Raises:
            UnreachableError: the way to the queues is gone, and with it every session.
        """

    def attach(self, receive: Callable[[Delivered], None]) -> None:
        """Name who gets the deliveries; the last one named does."""


@dataclass(frozen=True, slots=True)
class _Consumer:
    """Where the deliveries of one consumer go."""

    session: "EmbeddedSession"
    receive: Receive


class EmbeddedBroker:
    """Opens sessions on an exchange, and leads each delivery to the consumer it is for."""

    address = "embedded"

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._generations = itertools.count(1)
        self._consumers: dict[str, _Consumer] = {}
        self._returns: set[asyncio.Task[Answer]] = set()

    async def connect(self) -> "EmbeddedSession":
        """Open a session; there is nothing that could refuse it."""
        self._exchange.attach(self._lead)
        return EmbeddedSession(self._exchange, self._consumers, next(self._generations))

    def _lead(self, delivered: Delivered) -> None:
        consumer = self._consumers.get(delivered.consumer)
        if consumer is not None:
            consumer.receive(consumer.session.taken(delivered))
            return
        # Its session closed while it was on its way: nobody here will ever settle it.
        task = asyncio.ensure_future(self._exchange.perform(Requeue(delivered.tag)))
        self._returns.add(task)
        task.add_done_callback(self._returned)

    def _returned(self, task: asyncio.Task[Answer]) -> None:
        self._returns.discard(task)
        # If the way is gone, the queues take back all that this client held anyway.
        _ = task.cancelled() or task.exception()


class EmbeddedSession:
    """One life of a client of the embedded queues."""

    peer = "embedded queues"

    def __init__(
        self, exchange: Exchange, consumers: dict[str, _Consumer], generation: int
    ) -> None:
        self._exchange = exchange
        self._consumers = consumers
        self.generation = generation
        self._names = itertools.count(1)
        self._mine: set[str] = set()
        self._in_hand: set[int] = set()
        self._ended: asyncio.Future[BrokerError] = asyncio.get_running_loop().create_future()

    async def declare(self, pool: PoolQueues) -> None:
        """Make sure the pool's queues exist."""
        await self._perform(Declare((pool.public, pool.priority, pool.dead)))

    async def lay(self, layout: Layout) -> None:
        """Make sure the queues of a layout exist; there is nothing else to declare here."""
        await self._perform(Declare(tuple(queue.name for queue in layout.queues)))

    async def consume(
        self, queue: str, *, prefetch: int, receive: Receive, exclusive: bool = False
    ) -> str:
        """Start to consume; returns the consumer's tag. Nobody is kept out by ``exclusive``."""
        _ = exclusive  # one coordinator owns these queues anyway
        name = f"{self.generation}.{next(self._names)}"
        self._consumers[name] = _Consumer(self, receive)
        self._mine.add(name)
        try:
            await self._perform(Subscribe(queue, name, prefetch))
        except BrokerError:
            self._forget(name)
            raise
        return name

    async def cancel(self, consumer: str) -> None:
        """Stop consuming; what was delivered stays in hand."""
        if consumer in self._mine:
            await self._perform(Unsubscribe(consumer))
            self._forget(consumer)

    async def publish(self, queue: str, message: Message, *, delay: float = 0.0) -> None:
        """Store a message; it is on the disk when this returns."""
        self._check_alive()
        answer = await self._ask(Publish(queue, message.body, message.properties, delay))
        if answer.error:
            raise UnroutableError(answer.error)

    async def announce(self, notes: Sequence[Note]) -> None:
        """Write nothing: there are no exchanges here."""

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery for good."""
        self._check_own(delivery)
        await self._perform(Ack(delivery.tag))
        self._in_hand.discard(delivery.tag)

    async def requeue(self, delivery: Delivery) -> None:
        """Give a delivery back to its queue."""
        self._check_own(delivery)
        await self._perform(Requeue(delivery.tag))
        self._in_hand.discard(delivery.tag)

    async def answered(self, *, anew: bool = False) -> None:
        """Return at once: there is no line."""

    async def depth(self, queue: str) -> int:
        """Return how many messages are ready in a queue."""
        return (await self._perform(Depth(queue))).number

    async def look(self, queue: str) -> Look:
        """Return what a queue holds; who consumes it is not known here."""
        return Look(await self.depth(queue), consumers=0)

    async def purge(self, queue: str, *, delayed: bool = False) -> int:
        """Throw messages of a queue away and return how many there were."""
        return (await self._perform(Purge(queue, delayed))).number

    async def ended(self) -> BrokerError:
        """Wait until the session is over and return why."""
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Give back what is in hand and end the session."""
        self._end(BrokerError("the session was closed"))
        try:
            await self._give_all_back()
        except BrokerError:
            return  # the queues take back what a client held when its pipe ends

    def taken(self, delivered: Delivered) -> Delivery:
        """Take a delivery in hand."""
        self._in_hand.add(delivered.tag)
        return Delivery(
            queue=delivered.queue,
            message=Message(delivered.body, delivered.properties),
            redelivered=delivered.redelivered,
            tag=delivered.tag,
            number=delivered.tag,
            generation=self.generation,
        )

    async def _give_all_back(self) -> None:
        for name in sorted(self._mine):
            await self._ask(Unsubscribe(name))
            self._forget(name)
        for tag in sorted(self._in_hand):
            self._in_hand.discard(tag)
            await self._ask(Requeue(tag))

    async def _perform(self, operation: Operation) -> Answer:
        self._check_alive()
        answer = await self._ask(operation)
        if answer.error:
            error = BrokerError(answer.error)
            if isinstance(operation, Ack | Requeue):
                self._end(error)  # it stays in hand, and would hold a place for ever
            raise error
        return answer

    async def _ask(self, operation: Operation) -> Answer:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._exchange.perform(operation)
        except TimeoutError as error:
            what = type(operation).__name__.lower()
            lost = UnreachableError(f"the embedded queues did not answer {what} in {PATIENCE:g} s")
            self._end(lost)
            raise lost from error
        except UnreachableError as error:
            self._end(error)
            raise

    def _check_alive(self) -> None:
        if self._ended.done():
            message = f"the session with the embedded queues is over: {self._ended.result()}"
            raise UnreachableError(message)

    def _check_own(self, delivery: Delivery) -> None:
        if delivery.generation != self.generation or self._ended.done():
            message = f"delivery {delivery.tag} of {delivery.queue} belongs to an ended session"
            raise StaleDeliveryError(message)

    def _end(self, why: BrokerError) -> None:
        if not self._ended.done():
            self._ended.set_result(why)

    def _forget(self, consumer: str) -> None:
        self._mine.discard(consumer)
        self._consumers.pop(consumer, None)
