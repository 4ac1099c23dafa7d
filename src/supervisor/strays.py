"""Strays: delayed jobs whose queue was gone when their time came, sent on to where they belong.

The delay ladder hands what it cannot deliver to one queue, because a few undeliverable jobs would
stop it for all others. Nothing is lost there, and nothing stays.
"""

from collections.abc import Iterable
from functools import partial

from consumers import logs
from consumers.broker.port import Delivery, Session
from consumers.errands import Errands
from consumers.errors import BrokerError
from consumers.jobs import LANE
from consumers.kept import Kept, usual
from consumers.topology import UNROUTABLE, PoolQueues, is_lane, lane_pool

PREFETCH = 10

log = logs.get(__name__)


class Strays:
    """A tenant of the coordinator's session that empties the queue of the undeliverable."""

    def __init__(self, pools: Iterable[PoolQueues] = (), kept: Kept | None = None) -> None:
        self._kept = kept or usual()  # what is not for us, or cannot be sent on yet
        self._pools = {pool.priority: pool for pool in pools}
        self._errands = Errands()

    async def open(self, session: Session) -> None:
        """Begin to send strays on."""
        await session.consume(
            UNROUTABLE, prefetch=PREFETCH, receive=partial(self._receive, session)
        )

    def lost(self) -> None:
        """Whatever was in hand comes again with the next session."""
        self._kept.lost()

    async def close(self) -> None:
        """Finish what is in hand."""
        await self._errands.finish()

    def _receive(self, session: Session, delivery: Delivery) -> None:
        self._errands.run(self._send_on(session, delivery))

    async def _send_on(self, session: Session, delivery: Delivery) -> None:
        lane = str(delivery.message.properties.headers.get(LANE, ""))
        if not is_lane(lane):
            log.error("message of another program in a private queue, left alone", queue=UNROUTABLE)
            self._kept.keep(session, delivery)
            return
        try:
            await session.declare(self._pools.get(lane) or lane_pool(lane))
            await session.publish(lane, delivery.message)
            await session.ack(delivery)
        except BrokerError as error:
            log.warning("stray job not sent on yet", lane=lane, why=str(error))
            self._kept.keep(session, delivery)
        else:
            log.warning("stray job sent on: its queue had been deleted", lane=lane)
