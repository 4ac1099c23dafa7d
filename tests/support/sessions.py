"""A broker in memory: queues, sessions that end when the test says so, and a diary of it all."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from consumers.broker.port import Delivery, Look, Message, Note, Receive
from consumers.errors import (
    BrokerError,
    OccupiedError,
    StaleDeliveryError,
    UnreachableError,
    UnroutableError,
)
from consumers.hand import Hand
from consumers.jobs import Properties
from consumers.topology import Layout, PoolQueues, is_lane, lane_level, pool_queues

QUEUES = pool_queues("download_queue")


def a_message(body: bytes = b'{"link": "x"}', **properties: object) -> Message:
    """A message as any program might publish it."""
    return Message(body, Properties(**properties))  # type: ignore[arg-type]  # by name


@dataclass(frozen=True, slots=True)
class Published:
    """What a session stored, and after how many seconds it is to come."""

    queue: str
    message: Message
    delay: float


@dataclass(slots=True)
class _Consumer:
    session: "SessionInMemory"
    queue: str
    prefetch: int
    receive: Receive
    in_hand: set[int] = field(default_factory=set)


class BrokerInMemory:
    """Implements the broker port. ``diary`` has what was done, in the order it was done."""

    address = "memory"

    def __init__(self, diary: list[str] | None = None) -> None:
        self.diary = [] if diary is None else diary
        self.ready: dict[str, list[Delivery]] = {}
        self.published: list[Published] = []
        self.announced: list[Note] = []
        self.laid: list[Layout] = []
        self.refusing: set[str] = set()  # queues that take nothing
        self.refusals: list[BrokerError] = []  # what the next connections fail with
        self.sessions: list[SessionInMemory] = []
        self.consumers: dict[str, _Consumer] = {}
        self.numbers = itertools.count(1)

    async def connect(self) -> "SessionInMemory":
        if self.refusals:
            raise self.refusals.pop(0)
        session = SessionInMemory(self, len(self.sessions) + 1)
        self.sessions.append(session)
        return session

    def put(self, queue: str, message: Message, *, redelivered: bool = False) -> Delivery:
        """Store a message as if another program had published it."""
        delivery = Delivery(queue, message, redelivered, tag=next(self.numbers), generation=0)
        self._queue(delivery)
        return delivery

    def prefetches(self) -> dict[str, int]:
        """Return what is consumed now, and with which prefetch."""
        return {consumer.queue: consumer.prefetch for consumer in self.consumers.values()}

    def bodies(self, queue: str) -> list[bytes]:
        """Return what is ready in a queue."""
        return [delivery.message.body for delivery in self.ready.get(queue, [])]

    def back(self, delivery: Delivery) -> None:
        """Put a delivery back to the front of its queue."""
        self._queue(replace(delivery, redelivered=True), front=True)

    def _queue(self, delivery: Delivery, *, front: bool = False) -> None:
        ready = self.ready.setdefault(delivery.queue, [])
        ready.insert(0 if front else len(ready), delivery)
        if is_lane(delivery.queue):
            ready.sort(key=lambda one: -lane_level(one.message.properties))
        self.wake()

    def wake(self) -> None:
        """Have the consumers served soon."""
        asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        for consumer in list(self.consumers.values()):
            ready = self.ready.get(consumer.queue, [])
            while ready and len(consumer.in_hand) < consumer.prefetch:
                delivery = replace(ready.pop(0), generation=consumer.session.generation)
                consumer.in_hand.add(delivery.tag)
                consumer.session.in_hand[delivery.tag] = (delivery, consumer)
                consumer.receive(delivery)


class SessionInMemory:
    """Implements the session port on a broker in memory."""

    peer = "memory 1.0"

    def __init__(self, broker: BrokerInMemory, generation: int) -> None:
        self.broker = broker
        self.generation = generation
        self.in_hand: dict[int, tuple[Delivery, _Consumer | None]] = {}
        self.declared: list[PoolQueues] = []
        self.is_closed = False
        self.open = asyncio.Event()  # clear it, and a publish is not confirmed until it is set
        self.open.set()
        self.trouble: BrokerError | None = None  # raised by the next declaration
        self.refusing_notes: BrokerError | None = None  # raised by every announcement
        self.line = asyncio.Event()  # clear it, and the broker answers nothing until it is set
        self.line.set()
        self._names = itertools.count(1)
        self._end: asyncio.Future[BrokerError] = asyncio.get_running_loop().create_future()

    def end(self, why: BrokerError | None = None) -> None:
        """Lose the connection: what was delivered goes back."""
        if self._end.done():
            return
        self._end.set_result(why or UnreachableError("connection reset"))
        for name in [n for n, one in self.broker.consumers.items() if one.session is self]:
            del self.broker.consumers[name]
        for delivery, _ in reversed(self.in_hand.values()):
            self.broker.back(delivery)
        self.in_hand.clear()

    def hand(self, message: Message, *, queue: str = QUEUES.public) -> Hand:
        """Deliver a message past every consumer."""
        tag = next(self.broker.numbers)
        delivery = Delivery(queue, message, False, tag, self.generation)  # noqa: FBT003 - by place
        self.in_hand[tag] = (delivery, None)
        return Hand(self, delivery)

    async def declare(self, pool: PoolQueues) -> None:
        self._check()
        if self.trouble is not None:
            raise self.trouble
        self.declared.append(pool)

    async def lay(self, layout: Layout) -> None:
        self._check()
        self.broker.laid.append(layout)
        for queue in layout.queues:
            self.broker.ready.setdefault(queue.name, [])
            self.broker.diary.append(f"declared {queue.name}")

    async def consume(
        self, queue: str, *, prefetch: int, receive: Receive, exclusive: bool = False
    ) -> str:
        self._check()
        if exclusive and any(one.queue == queue for one in self.broker.consumers.values()):
            occupied = OccupiedError(f"{queue}: in exclusive use")
            self.end(occupied)
            raise occupied
        name = f"{self.generation}.{next(self._names)}"
        self.broker.consumers[name] = _Consumer(self, queue, prefetch, receive)
        self.broker.diary.append(f"consumes {queue}")
        self.broker.wake()
        return name

    async def cancel(self, consumer: str) -> None:
        self._check()
        self.broker.diary.append(f"cancels {self.broker.consumers.pop(consumer).queue}")

    async def publish(self, queue: str, message: Message, *, delay: float = 0.0) -> None:
        self._check()
        await self.open.wait()
        if queue in self.broker.refusing:
            message_for_people = f"{queue}: returned"
            raise UnroutableError(message_for_people)
        self.broker.published.append(Published(queue, message, delay))
        self.broker.diary.append(f"published to {queue}")

    async def ack(self, delivery: Delivery) -> None:
        self._settle(delivery)
        self.broker.diary.append("acked")

    async def requeue(self, delivery: Delivery) -> None:
        own = self._settle(delivery)  # a broker has its own copy
        self.broker.diary.append("given back")
        self.broker.back(own)

    async def answered(self, *, anew: bool = False) -> None:
        self._check()
        if not self.line.is_set():
            answering = asyncio.ensure_future(self.line.wait())
            self._end.add_done_callback(lambda _: answering.cancel())
            await asyncio.wait({answering})
        self._check()

    async def announce(self, notes: Sequence[Note]) -> None:
        self._check()
        if self.refusing_notes is not None:
            raise self.refusing_notes
        self.broker.announced.extend(notes)

    async def depth(self, queue: str) -> int:
        self._check()
        return len(self.broker.ready.get(queue, []))

    async def look(self, queue: str) -> Look | None:
        self._check()
        if queue not in self.broker.ready:
            return None
        consumers = [one for one in self.broker.consumers.values() if one.queue == queue]
        return Look(len(self.broker.ready[queue]), len(consumers))

    async def purge(self, queue: str, *, delayed: bool = False) -> int:
        self._check()
        return len(self.broker.ready.pop(queue, []))

    async def ended(self) -> BrokerError:
        return await asyncio.shield(self._end)

    async def close(self) -> None:
        self.is_closed = True
        self.end(UnreachableError("closed by us"))

    def _check(self) -> None:
        if self._end.done():
            raise UnreachableError("the session is over")

    def _settle(self, delivery: Delivery) -> Delivery:
        if delivery.generation != self.generation or self._end.done():
            raise StaleDeliveryError("the session that brought it is over")
        own, consumer = self.in_hand.pop(delivery.tag)
        if consumer is not None:
            consumer.in_hand.discard(delivery.tag)
        self.broker.wake()
        return own
