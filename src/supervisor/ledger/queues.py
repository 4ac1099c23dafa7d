"""The embedded queues: an exchange inside the coordinator, its messages rows of the ledger.

Each worker, and the coordinator itself, is a *client*: it performs operations, is handed its
deliveries, and when it ends, what it had in hand is ready again.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from consumers import logs
from consumers.broker.embedded import Exchange
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
from consumers.jobs import Priority, Properties
from consumers.topology import LONGEST_DELAY, is_lane, lane_level
from supervisor.ledger import messages
from supervisor.ledger.alarm import Alarm
from supervisor.ledger.dispatch import AGAIN, Dispatch
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.ledger.subscriptions import Client, Consumer

PURGED_AT_ONCE = 1_000  # messages

log = logs.get(__name__)


class Queues:
    """All embedded queues of one ledger, from ``open`` to ``close``."""

    def __init__(self, ledger: Ledger, dispatch: Dispatch) -> None:
        self._ledger = ledger
        self._dispatch = dispatch
        self._clients: dict[str, Client] = {}
        self._alarm = Alarm(ledger.clock, lambda: dispatch.keep(self._wake()))

    @classmethod
    async def open(cls, ledger: Ledger) -> "Queues":
        """Open the queues; what an earlier life had delivered is ready again."""
        returned = await ledger.write(messages.give_all_back)
        if returned:
            log.info("messages of an earlier life are ready again", messages=returned)
        declared = await ledger.read(messages.declared)
        queues = cls(ledger, Dispatch(ledger, declared))
        await queues._wake()
        return queues

    async def close(self) -> None:
        """Deliver nothing more; what is in clients' hands comes back at the next start."""
        await self._dispatch.close()
        await self._alarm.close()

    # --- clients ------------------------------------------------------------------------------

    def attach(self, client: str, receive: Callable[[Delivered], None]) -> None:
        """Name who gets a client's deliveries; the last one named does."""
        if client in self._clients:
            self._clients[client].receive = receive
        else:
            self._clients[client] = Client(client, receive)

    async def detach(self, client: str) -> None:
        """Forget a client that has ended: what it held is ready again, marked as redelivered."""
        gone = self._clients.pop(client, None)
        if gone is None:
            return
        gone.is_gone = True
        for consumer in gone.consumers.values():
            self._leave(consumer)
        held, gone.held = gone.held, {}
        await self._dispatch.give_back(sorted(held), {hand.queue for hand in held.values()})

    def local(self, client: str) -> Exchange:
        """Return the exchange for a client inside this process."""
        return _LocalExchange(self, client)

    # --- operations ---------------------------------------------------------------------------

    async def perform(self, client: str, operation: Operation) -> Answer:
        """Perform a client's operation; what is refused or fails is said in the answer."""
        if client not in self._clients:
            return Answer(error=f"{client} is not attached to the embedded queues")
        try:
            return await self._perform(self._clients[client], operation)
        except LedgerError as error:
            return Answer(error=str(error))

    async def _perform(self, client: Client, operation: Operation) -> Answer:
        match operation:
            case Publish():
                return await self._publish(operation)
            case Ack() | Requeue():
                return await self._settle(client, operation)
            case Subscribe() | Unsubscribe():
                return self._subscription(client, operation)
            case Declare(queues=names):
                return await self._declare(names)
            case Depth() | Purge():
                return await self._count(operation)

    async def _publish(self, message: Publish) -> Answer:
        if refusal := self._refusal(message):
            return Answer(error=refusal)
        now = self._ledger.clock.utcnow()
        level = level_of(message.queue, message.properties)
        written = self._ledger.write(
            partial(messages.publish, message=message, level=level, now=now)
        )
        if message.delay <= 0:
            self._dispatch.look(message.queue)  # asks for it in the transaction that stores it
        tag = await written
        if message.delay > 0:
            self._alarm.set(now + timedelta(seconds=message.delay))
        return Answer(tag)

    def _refusal(self, message: Publish) -> str:
        if self._dispatch.find(message.queue) is None:
            return _missing(message.queue)
        if message.delay > 0 and not is_lane(message.queue):
            return f"{message.queue}: cannot be delayed into: it is no private priority queue"
        if message.delay > LONGEST_DELAY:
            return f"{message.queue}: {message.delay:g} s is over {LONGEST_DELAY:.0f} s"
        return ""

    async def _settle(self, client: Client, settling: Ack | Requeue) -> Answer:
        tag = settling.tag
        consumer = client.held.pop(tag, None)
        if consumer is None:
            return Answer()  # settled already, or another client's by now
        consumer.in_hand -= 1
        change = messages.remove if isinstance(settling, Ack) else messages.give_back
        written = self._ledger.write(partial(change, tags=(tag,)))
        self._dispatch.look(consumer.queue)
        try:
            await written
        except LedgerError:
            # Not the client's business: what it settled stays settled, however long it takes.
            if isinstance(settling, Requeue):  # which need not be waited for
                self._dispatch.keep(self._dispatch.give_back((tag,), (consumer.queue,)))
            elif not await self._dispatch.insist(partial(change, tags=(tag,))):
                raise
        return Answer()

    def _subscription(self, client: Client, wanted: Subscribe | Unsubscribe) -> Answer:
        if isinstance(wanted, Unsubscribe):
            consumer = client.consumers.pop(wanted.consumer, None)
            if consumer is not None:
                self._leave(consumer)
            return Answer()
        queue = self._dispatch.find(wanted.queue)
        if queue is None:
            return Answer(error=_missing(wanted.queue))
        if wanted.consumer in client.consumers or wanted.prefetch < 1:
            return Answer(error=f"{wanted.consumer}: is taken already, or its prefetch is below 1")
        consumer = Consumer(client, wanted.consumer, wanted.queue, wanted.prefetch)
        client.consumers[wanted.consumer] = consumer
        queue.consumers.append(consumer)
        self._dispatch.look(wanted.queue)
        return Answer()

    async def _declare(self, names: Sequence[str]) -> Answer:
        missing = [name for name in names if self._dispatch.find(name) is None]
        if missing:
            await self._ledger.write(partial(messages.declare, names=missing))
            self._dispatch.add(missing)
        return Answer()

    async def _count(self, wanted: Depth | Purge) -> Answer:
        if isinstance(wanted, Depth):
            return Answer(await self._ledger.read(partial(messages.depth, queue=wanted.queue)))
        return Answer(await self._purge(wanted))

    async def _purge(self, wanted: Purge) -> int:
        """Purge in batches: others write meanwhile."""
        purge = partial(
            messages.purge, queue=wanted.queue, limit=PURGED_AT_ONCE, delayed=wanted.delayed
        )
        total = purged = await self._ledger.write(purge)
        while purged == PURGED_AT_ONCE:
            purged = await self._ledger.write(purge)
            total += purged
        return total

    def _leave(self, consumer: Consumer) -> None:
        queue = self._dispatch.find(consumer.queue)
        if queue is not None:
            queue.remove(consumer)

    async def _wake(self) -> None:
        """Make ready what is due, and set the alarm for what is due next."""
        now = self._ledger.clock.utcnow()
        try:
            names, due = await self._ledger.write(partial(messages.wake, now=now))
        except LedgerError as error:
            if error.trouble is None:  # one in trouble is told of once, for all
                log.warning("delayed messages not woken", why=str(error))
            names, due = frozenset(), now + timedelta(seconds=AGAIN)
        if due is not None:
            self._alarm.set(due)
        for name in names:
            self._dispatch.look(name)


def level_of(queue: str, properties: Properties) -> int:
    """Return the level of a message in its queue; 1 goes first, plain queues have one level."""
    # AMQP counts upwards and we order by the level, so that the smallest goes first.
    return 6 - lane_level(properties) if is_lane(queue) else Priority.NORMAL.value


def _missing(queue: str) -> str:
    return f"{queue}: there is no such queue; declare it first"


class _LocalExchange:
    """The way to the queues for a client in the coordinator itself."""

    def __init__(self, queues: Queues, client: str) -> None:
        self._queues = queues
        self._client = client

    async def perform(self, operation: Operation) -> Answer:
        """Perform an operation and return how it went."""
        return await self._queues.perform(self._client, operation)

    def attach(self, receive: Callable[[Delivered], None]) -> None:
        """Name who gets the deliveries; the last one named does."""
        self._queues.attach(self._client, receive)
