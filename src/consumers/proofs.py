"""Which acks have surely reached the broker: that is said for messages without an id.

An ack is not answered. Written into a line that is dead already, or a moment before the broker is
killed, it is lost and the message comes again. A job with an id is known then by that; for one
without, the coordinator is told when no more doubt is possible.
"""

import asyncio
from collections import defaultdict

from consumers import jobs, logs
from consumers.broker.port import Session
from consumers.clock import Clock
from consumers.desk import Desk
from consumers.errands import Errands
from consumers.errors import BrokerError
from consumers.hand import Hand

LAST = 2.0  # seconds that a worker which leaves waits for the broker's answer

log = logs.get(__name__)


class Proofs:
    """Has each session prove its acks, as many at a time as came while it proved the last."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock
        self._errands = Errands()
        self._owed: dict[Session, list[tuple[str, str]]] = {}  # queue and job, by who acked them
        self._leaving = asyncio.Event()

    def owe(self, hand: Hand, queue: str, job_id: str) -> bool:
        """Have it proven that this acked delivery does not come again; False: no need to."""
        if hand.is_parked or jobs.identity(hand.message.properties) is not None:
            return False
        if hand.session in self._owed:
            self._owed[hand.session].append((queue, job_id))
        else:
            self._owed[hand.session] = [(queue, job_id)]
            self._errands.run(self._prove(hand.session))
        return True

    async def finish(self) -> None:
        """Return when the broker has answered, or had time to: nothing is acked any more."""
        self._leaving.set()
        try:
            async with asyncio.timeout(LAST):
                await self._errands.finish()
        except TimeoutError:
            log.debug("acks stay unproven, the broker does not answer")

    async def _prove(self, session: Session) -> None:
        try:
            while acked := self._owed[session]:
                self._owed[session] = []
                self._say(acked, holds=await self._is_proven(session))
        finally:
            del self._owed[session]

    async def _is_proven(self, session: Session) -> bool:
        """Answer once the broker has read the acks, and lived on long enough to remember them."""
        try:
            await session.prove()
        except BrokerError as error:
            log.debug("acks are in doubt", why=str(error))
            return False
        if not session.forgetful:
            return True
        waits = [
            asyncio.ensure_future(wait)
            for wait in (
                self._clock.sleep(session.forgetful),
                self._leaving.wait(),
                session.ended(),
            )
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return not waits[-1].done() or waits[0].done()
        finally:
            for wait in waits:
                wait.cancel()

    def _say(self, acked: list[tuple[str, str]], *, holds: bool) -> None:
        by_queue: dict[str, list[str]] = defaultdict(list)
        for queue, job_id in acked:
            by_queue[queue].append(job_id)
        for queue, ids in by_queue.items():
            self._desk.proven(queue, tuple(ids), holds=holds)
