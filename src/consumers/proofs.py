"""Which acks have surely reached the broker: that is said for messages without an id.

An ack is not answered. Written into a line that is dead already, or a moment before the broker is
killed, it is lost and the message comes again. A job with an id is known then by that; for one
without, the coordinator is told when no more doubt is possible.
"""

from collections import defaultdict

from consumers import jobs, logs
from consumers.broker.port import Session
from consumers.desk import Desk
from consumers.errands import Errands
from consumers.errors import BrokerError
from consumers.hand import Hand

log = logs.get(__name__)


class Proofs:
    """Has each session prove its acks, as many at a time as came while it proved the last."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._errands = Errands()
        self._owed: dict[Session, list[tuple[str, str]]] = {}  # queue and job, by who acked them

    def owe(self, hand: Hand, queue: str, job_id: str) -> None:
        """Have it proven that this delivery, which is acked, does not come again."""
        if hand.is_parked or jobs.identity(hand.message.properties) is not None:
            return
        if hand.session in self._owed:
            self._owed[hand.session].append((queue, job_id))
        else:
            self._owed[hand.session] = [(queue, job_id)]
            self._errands.run(self._prove(hand.session))

    async def _prove(self, session: Session) -> None:
        while acked := self._owed[session]:
            self._owed[session] = []
            try:
                await session.prove()
            except BrokerError as error:
                log.debug("acks are in doubt", jobs=len(acked), why=str(error))
                self._say(acked, holds=False)
            else:
                self._say(acked, holds=True)
        del self._owed[session]

    def _say(self, acked: list[tuple[str, str]], *, holds: bool) -> None:
        by_queue: dict[str, list[str]] = defaultdict(list)
        for queue, job_id in acked:
            by_queue[queue].append(job_id)
        for queue, ids in by_queue.items():
            self._desk.proven(queue, tuple(ids), holds=holds)
