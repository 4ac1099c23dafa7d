"""Settlements: which deliveries are acked for good, which come once more, and what nobody knows.

What a worker says of its acks is written down here, and what follows from its silence when it lost
its session or died.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from consumers import logs
from consumers.clock import Clock
from consumers.errands import Errands
from supervisor.book import Book, Holder, Key
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.insist import insist
from supervisor.ledger.store import Ledger
from supervisor.parking import ParkingLot
from workers import messages

log = logs.get(__name__)


class Settlements:
    """Keeps book and ledger in step with what is acked."""

    def __init__(self, ledger: Ledger, book: Book, clock: Clock) -> None:
        self._ledger = ledger
        self._book = book
        self._clock = clock
        self._errands = Errands()
        self.lot: ParkingLot | None = None  # where jobs in flight are parked, if they are

    def hear(self, holder: Holder, message: messages.Settled | messages.Unsettled) -> None:
        """Take what a worker says of its acks."""
        match message:
            case messages.Settled():
                self.settled(holder, message)
            case messages.Unsettled():
                self.unsettled(holder, message)

    def settled(self, holder: Holder, message: messages.Settled) -> None:
        """Note that an ack was written, and that the copy in its place, if any, is stored."""
        key = (message.queue_name, message.job_id)
        run = self._book.settle(key, holder) if message.has_run else None
        if run is not None and self.lot is not None:
            self.lot.finish(key)
        is_nameless = self._book.settles_nameless(key, holder, run)
        if run is not None and is_nameless:
            self._book.linger(key, run)
        # For a final job of a message with an id nothing is owed that an ack could change.
        if message.seq or is_nameless or (message.has_run and not (run and run.is_final)):
            settle = partial(self._ledger.settle, *key, seq=message.seq, is_nameless=is_nameless)
            self._errands.run(self._settle(holder, key, settle))

    def unsettled(self, holder: Holder, message: messages.Unsettled) -> None:
        """Note that the delivery of this job comes once more."""
        key = (message.queue_name, message.job_id)
        run = self._book.settle(key, holder) if message.has_run else None
        if not message.has_run:
            self._errands.run(self._reopen(holder, *key))
        elif run is not None:
            self._errands.run(self._come_again(*key, is_final=run.is_final))
        self._book.ended(key)

    def cut_off(self, holder: Holder, session: int = 0) -> None:
        """Note that a worker lost a session: the broker delivers what that brought once more."""
        for key, is_final in self._book.cut_off(holder, session):
            self._errands.run(self._come_again(*key, is_final=is_final))

    async def released(self, holder: Holder) -> None:
        """Return everything a dead process still had in hand; none of it is to blame."""
        for key, is_final in self._book.bury(holder):
            if is_final:  # nobody knows whether its ack was written
                self._errands.run(self._doubt(holder, *key))
            else:
                self._errands.run(self._come_again(*key, is_final=False))
        for key in self._book.recognised_by(holder):
            self._errands.run(self._doubt(holder, *key))
        for key in self._book.held_by(holder):
            # Its last words may have ended a run meanwhile, and others begun it anew.
            if not self._book.is_elsewhere(key, holder):
                await self._ledger.release(key[0], (key[1],))
            if not self._book.is_elsewhere(key, holder):
                self._book.close(key)

    # --- what is written --------------------------------------------------------------------

    async def _come_again(self, queue: str, job_id: str, *, is_final: bool) -> None:
        """Expect the delivery of a job that is finished, or given up and perhaps not dead yet."""
        try:
            if is_final:
                await self._ledger.owe(queue, job_id)
            else:
                await self._ledger.release(queue, (job_id,))
        except LedgerError as error:
            log.warning("release not written", job=job_id, why=str(error))

    async def _reopen(self, holder: Holder, queue: str, job_id: str) -> None:
        await insist(partial(self._ledger.reopen, queue, job_id), clock=self._clock)
        self._book.resolve((queue, job_id), holder)

    async def _settle(
        self, holder: Holder, key: Key, settle: Callable[[], Awaitable[None]]
    ) -> None:
        # As long as we run: a restart doubts what is still owed then.
        await insist(settle, clock=self._clock)
        # Not before it is written: until then others of the same words wait.
        self._book.resolve(key, holder)

    async def _doubt(self, holder: Holder, queue: str, job_id: str) -> None:
        await insist(partial(self._ledger.doubt, queue, job_id), clock=self._clock)
        self._book.resolve((queue, job_id), holder)
