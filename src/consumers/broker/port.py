"""The broker port: all that consumers ask of RabbitMQ, or of the embedded queues.

A *session* is one life of the connection: it ends once, for one reason, and everything it
delivered ends with it. Nobody mends a session; the consumer opens the next one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumers.errors import BrokerError
from consumers.jobs import Properties
from consumers.topology import Layout, PoolQueues


@dataclass(frozen=True, slots=True)
class Message:
    """What is published: bytes and properties, both as they are to arrive."""

    body: bytes
    properties: Properties


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message in hand, to be settled exactly once on the session that brought it."""

    queue: str
    message: Message
    redelivered: bool
    tag: int
    generation: int  # of the session
    # Its number in queues that lie in the ledger's file, where outcome and ack are one commit;
    # 0 where the broker keeps it: an AMQP tag means nothing outside its channel.
    number: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A message that nobody has to take, for an exchange (the default one has no name)."""

    exchange: str
    key: str
    message: Message


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a queue shows: messages ready in it, and who consumes it."""

    ready: int
    consumers: int


Receive = Callable[[Delivery], None]


class Session(Protocol):
    """One life of a connection. Every method may raise ``BrokerError``; none outlives it."""

    @property
    def generation(self) -> int:
        """Return the number of this life, higher than those before; its deliveries carry it."""

    @property
    def peer(self) -> str:
        """Who is at the other end, for people: product and version, no credentials."""

    async def declare(self, pool: PoolQueues) -> None:
        """Make sure the pool's queues exist: public ones adopted as they are, ours with theirs."""

    async def lay(self, layout: Layout) -> None:
        """Declare private things of ours; what is there already is fine."""

    async def consume(
        self, queue: str, *, prefetch: int, receive: Receive, exclusive: bool = False
    ) -> str:
        """Start to consume; ``receive`` is called for each delivery and returns at once.

        At most ``prefetch`` deliveries are unsettled at a time. Returns the consumer's tag.
        An ``exclusive`` consumer is the only one its queue has; where the broker is a server.

        Raises:
            OccupiedError: somebody else consumes the queue, and the session has ended with that.
        """

    async def cancel(self, consumer: str) -> None:
        """Stop consuming; what was delivered stays in hand until it is settled."""

    async def publish(self, queue: str, message: Message, *, delay: float = 0.0) -> None:
        """Store a message and return when the broker has confirmed it.

        ``delay`` (seconds, up to 48 days) needs a private priority queue as its destination.

        Raises:
            UnroutableError: it was returned or refused, and is stored nowhere.
            BrokerError: the outcome is unknown; it may have been stored.
        """

    async def announce(self, notes: Sequence[Note]) -> None:
        """Write messages that nobody has to take; what becomes of them is not asked.

        Of their properties only types, ids and the moment travel. Nothing that goes wrong here
        ends the session. Where there are no exchanges nothing is written.

        Raises:
            BrokerError: they were not written, or perhaps not, or the broker said no to earlier
                ones.
        """

    async def ack(self, delivery: Delivery) -> None:
        """Settle a delivery for good.

        Raises:
            StaleDeliveryError: another session brought it; the broker will deliver it again.
        """

    async def requeue(self, delivery: Delivery) -> None:
        """Give a delivery back to its queue, to be delivered again. Raises as ``ack`` does."""

    async def answered(self, *, anew: bool = False) -> None:
        """Return when the broker has answered anything on the line by which acks are written.

        An ack that is written then arrives, unless the line breaks at that very moment. That may
        be the answer to a question asked before; ``anew``, to one that is asked now. Of all methods
        this one waits as long as the session lives.

        Raises:
            BrokerError: the session is over.
        """

    async def depth(self, queue: str) -> int:
        """Return how many messages are ready in a queue (0 if it does not exist)."""

    async def look(self, queue: str) -> Look | None:
        """Return what a queue holds and how many consume it, None if it does not exist."""

    async def purge(self, queue: str, *, delayed: bool = False) -> int:
        """Throw the ready messages of a queue away and return how many there were.

        With ``delayed`` those too that are to be ready later, where the broker can tell whose they
        are: a server cannot, they are in queues that all pools share.
        """

    async def ended(self) -> BrokerError:
        """Wait until the session is over and return why."""

    async def close(self) -> None:
        """End the session; may be called twice, and on a session that has ended."""


class Broker(Protocol):
    """Where sessions come from."""

    @property
    def address(self) -> str:
        """Where the broker is, without credentials."""

    async def connect(self) -> Session:
        """Open a session.

        Raises:
            UnreachableError: nobody answered; try again with backoff.
            ForbiddenError: credentials, vhost or permissions are wrong; in the broker's words.
        """
