"""One delivery in hand: how it is settled, also once a parked copy stands in its place.

Before that, only the session that brought the delivery can settle it. Afterwards the coordinator
holds the copy and settles it, so the session there is now will do for everything else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from consumers.broker.port import Delivery, Message, Session
from consumers.errors import BrokerError, QueueGoneError
from consumers.jobs import REDELIVERED, SEQ, identity
from consumers.topology import PoolQueues

FAREWELL = 2.0  # seconds until a session that failed us says why it is over


class Ferry(Protocol):
    """The way to the broker for those who do not depend on one session."""

    async def session(self) -> Session:
        """Return the session there is, or the next one."""

    async def publish(self, queue: str, copy: Message, *, delay: float) -> None:
        """Store a copy, by one session after another.

        Raises UnroutableError or ForbiddenError when the broker says no.
        """

    async def declare(self, pool: PoolQueues) -> None:
        """Make sure the pool's queues exist. Raises ForbiddenError when the broker says no."""


@dataclass(slots=True, eq=False)
class Hand:
    """A delivery, the session that brought it and, once it is parked, the ferry."""

    session: Session
    delivery: Delivery
    ferry: Ferry | None = None
    is_acking: bool = False  # an ack was written, or is about to be
    ran: Callable[[], None] = lambda: None  # told when the run is over, not yet settled
    acking: Callable[[], Awaitable[None]] | None = None  # told before a message without an id is
    _is_settled: bool = False  # acked or given back, as far as we can tell
    _is_back: bool = False  # given back, or tried to: it comes once more

    @property
    def message(self) -> Message:
        """Return what was delivered."""
        return self.delivery.message

    @property
    def was_redelivered(self) -> bool:
        """Answer whether some worker had it before, be it as the message that this is a copy of."""
        return self.delivery.redelivered or REDELIVERED in self.message.properties.headers

    @property
    def seq(self) -> int:
        """Return the number of the copy that was delivered; 0 for what a publisher sent."""
        number = self.message.properties.headers.get(SEQ, 0)
        return number if isinstance(number, int) else 0

    @property
    def is_parked(self) -> bool:
        """Answer whether a parked copy stands in the delivery's place."""
        return self.ferry is not None

    async def ack(self) -> None:
        """Settle the delivery; without an id, only on a line that has just answered.

        So it is known of almost every ack whether it arrived, and of a worker that dies before
        that it did not ack. A message that has an id is known by that when it comes again; of one
        that has none nobody could say what it is.
        """
        if self._is_open and identity(self.message.properties) is None:
            await self.session.answered()
            if self.acking is not None:
                await self.acking()
        if self._is_open:  # it may be parked meanwhile
            self.is_acking = True
            await self.session.ack(self.delivery)
            self._is_settled = True

    @property
    def is_nameless(self) -> bool:
        """Answer whether it is a message without an id that is acked here, and no parked copy."""
        return not self.is_parked and identity(self.message.properties) is None

    @property
    def _is_open(self) -> bool:
        return self.ferry is None and not self._is_settled

    async def requeue(self) -> None:
        """Give the delivery back to its queue."""
        if self._is_open:
            # Before it is: a copy of it may be parked just then.
            self._is_settled = self._is_back = True
            await self.session.requeue(self.delivery)

    async def replace(self, queue: str, copy: Message, *, delay: float = 0.0) -> None:
        """Store the copy, then ack the original: a duplicate is possible, a loss is not."""
        if self.ferry is None:
            await self.session.publish(queue, copy, delay=delay)
            await self.ack()
        else:
            await self.ferry.publish(queue, copy, delay=delay)

    async def declare(self, pool: PoolQueues) -> None:
        """Make sure the pool's queues exist."""
        await (self.session if self.ferry is None else self.ferry).declare(pool)

    async def ended(self) -> None:
        """Wait until the delivery cannot be settled any more: a parked one always can."""
        if self.ferry is None:
            await self.session.ended()
        else:
            await asyncio.Event().wait()

    async def is_orphaned(self) -> bool:
        """Answer whether the session is over because a queue was deleted.

        Perhaps not the one this came from; in doubt a job is done twice rather than not at all.
        """
        ending = asyncio.ensure_future(self.session.ended())
        await asyncio.wait({ending}, timeout=FAREWELL)
        if ending.done():
            return isinstance(ending.result(), QueueGoneError)
        ending.cancel()
        return False

    def entrust(self, ferry: Ferry) -> None:
        """Leave what follows to the ferry: nothing can settle the delivery, or bring it again."""
        self.ferry = ferry

    async def park(self, ferry: Ferry) -> bool:
        """Ack the delivery, a parked copy of which is stored; answer whether that was written.

        If not, it comes once more, and is known by its number to be stale.
        """
        if self.ferry is not None or self._is_settled:
            return not self._is_back
        self.ferry = ferry
        try:
            await self.session.ack(self.delivery)
        except BrokerError:
            return False
        return True
