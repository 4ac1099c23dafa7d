"""Deliveries that nobody here may settle: kept in their queue, and said again from time to time.

Unacked for too long they would cost the channel, and with it the session of everybody else.
"""

import asyncio
from dataclasses import dataclass, replace

from consumers import logs
from consumers.broker.port import Delivery, Message, Session
from consumers.clock import Clock, SystemClock
from consumers.errors import BrokerError
from consumers.jobs import DELIVERY_COUNT

AFTER = 600.0  # seconds, unless configured

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A delivery, and until when it may be kept in hand."""

    session: Session
    delivery: Delivery
    until: float


def usual() -> "Kept":
    """Return a keeper by the system's clock."""
    return Kept(SystemClock())


class Kept:
    """Gives back what it was given, each after some time: then it is delivered again."""

    def __init__(self, clock: Clock, *, after: float = AFTER) -> None:
        self.clock = clock
        self.after = after  # seconds that each is kept
        self._kept: list[_Kept] = []
        self._watch: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """Return how many are kept."""
        return len(self._kept)

    def keep(self, session: Session, delivery: Delivery) -> None:
        """Leave a delivery unsettled for now."""
        until = self.clock.monotonic() + self.after
        self._kept.append(_Kept(session, _needed(delivery), until))
        if self._watch is None or self._watch.done():
            self._watch = asyncio.ensure_future(self._give_back_in_time())

    def lost(self) -> None:
        """Forget what an ended session delivered."""
        self._kept.clear()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _give_back_in_time(self) -> None:
        while self._kept:
            await self.clock.sleep(self._kept[0].until - self.clock.monotonic())
            kept = self._kept.pop(0)
            try:
                await _return(kept.session, kept.delivery)
            except BrokerError as error:
                log.info("kept message comes again", queue=kept.delivery.queue, why=str(error))


def _needed(delivery: Delivery) -> Delivery:
    """Return what a delivery is given back with: without its body, unless it is published anew."""
    if _is_counted(delivery):
        return delivery
    return replace(delivery, message=Message(b"", delivery.message.properties))


def _is_counted(delivery: Delivery) -> bool:
    return DELIVERY_COUNT in delivery.message.properties.headers


async def _return(session: Session, delivery: Delivery) -> None:
    """Have a delivery come again; where returns are counted, and limited, as a new message."""
    if _is_counted(delivery):
        await session.publish(delivery.queue, delivery.message)
        await session.ack(delivery)
    else:
        await session.requeue(delivery)
