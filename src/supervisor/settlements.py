"""Settlements: which deliveries are acked for good, which come once more, and what nobody knows.

What a worker says of its acks is written down here, and what follows from its silence when it lost
its session or died.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from consumers import logs
from consumers.clock import Clock
from consumers.errands import Errands
from supervisor.book import Book, Holder, Key, Running
from supervisor.ledger.insist import insist
from supervisor.ledger.store import Ledger
from supervisor.parking import ParkingLot
from workers import messages

log = logs.get(__name__)

News = messages.Acking | messages.Settled | messages.Unsettled


class Settlements:
    """Keeps book and ledger in step with what is acked."""

    def __init__(self, ledger: Ledger, book: Book, clock: Clock) -> None:
        self._ledger = ledger
        self._book = book
        self._clock = clock
        self._errands = Errands()
        self.lot: ParkingLot | None = None  # where jobs in flight are parked, if they are

    def hear(self, holder: Holder, message: News) -> None:
        """Take what a worker says of its acks."""
        match message:
            case messages.Acking(queue_name=queue, job_id=job_id):
                self._book.acking((queue, job_id), holder)
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
        if run is not None and message.is_nameless:
            self._book.linger(key, run)
        # For a final job of a message with an id nothing is owed that an ack could change.
        is_moot = message.has_run and run is not None and run.is_final
        if message.seq or message.is_nameless or (message.has_run and not is_moot):
            settle = partial(self._ledger.settle, seq=message.seq, is_nameless=message.is_nameless)
            self._errands.run(self._write(partial(settle, *key), holder, key))

    def unsettled(self, holder: Holder, message: messages.Unsettled) -> None:
        """Note that the delivery of this job comes once more."""
        key = (message.queue_name, message.job_id)
        run = self._book.settle(key, holder) if message.has_run else None
        if not message.has_run:
            self._errands.run(self._write(partial(self._ledger.reopen, *key), holder, key))
        else:
            # Of what was cut off before, that was said then, and it may have come long since.
            is_news = self._book.is_in_view(key, holder) if run is None else not run.is_cut_off
            is_owed = message.is_nameless and is_news
            self._come_again(holder, key, run, is_nameless=is_owed)
            if message.is_nameless and run is not None and run.is_final and run.is_cut_off:
                self._still_owe(holder, key, run)  # in memory it was known until now
        self._book.ended(key)

    def cut_off(self, holder: Holder, session: int) -> None:
        """Note that a worker lost a session: the broker delivers what that brought once more."""
        for key, run in self._book.cut_off(holder, session):
            self._come_again(holder, key, run, is_nameless=run.claim.job_id is None)

    async def released(self, holder: Holder) -> None:
        """Return everything a dead process still had in hand; none of it is to blame."""
        for key, run in self._book.bury(holder):
            if run.claim.job_id is None and run.is_final:
                self._leave(holder, key, run)
            elif not run.is_final:
                self._come_again(holder, key, run, is_nameless=False)
        for key, run in self._book.recognised_by(holder):
            comes_again = run.is_again and not run.may_be_acked
            write = self._ledger.reopen if comes_again else self._ledger.doubt
            self._errands.run(self._write(partial(write, *key), holder, key))
        for key in self._book.held_by(holder):
            # Its last words may have ended a run meanwhile, and others begun it anew.
            if not self._book.is_elsewhere(key, holder):
                await self._ledger.release(key[0], (key[1],))
            if not self._book.is_elsewhere(key, holder):
                self._book.close(key)

    async def quiet(self) -> None:
        """Return when everything is written."""
        await self._errands.finish()

    # --- what is written --------------------------------------------------------------------

    def _come_again(
        self, holder: Holder, key: Key, run: Running | None, *, is_nameless: bool
    ) -> None:
        """Expect a delivery that was surely not acked, whatever became of its job meanwhile."""
        if is_nameless:
            self._errands.run(self._write(partial(self._ledger.owe, *key), holder, key))
        if run is not None and not run.is_final:
            # Given up, or tried again: it may not be among the dead yet, nor its copy be stored.
            release = partial(self._ledger.release, key[0], (key[1],))
            self._errands.run(self._write(release, holder, key))

    def _leave(self, holder: Holder, key: Key, run: Running) -> None:
        """Let go of a finished job of a dead process, whose message without an id it was to ack."""
        if run.may_be_acked or not _has_its_message(run):
            self._book.linger(key, run)  # nobody knows whether its ack was written
        else:
            self._still_owe(holder, key, run)

    def _still_owe(self, holder: Holder, key: Key, run: Running) -> None:
        """Expect the message of a finished job once more, unless it has come since."""
        if _has_its_message(run):
            owe = partial(self._ledger.owe, *key, is_late=True)
            self._errands.run(self._write(owe, holder, key))

    async def _write(self, write: Callable[[], Awaitable[None]], holder: Holder, key: Key) -> None:
        await insist(write, clock=self._clock)
        # Not before it is written: until then others of the same words wait.
        self._book.resolve(key, holder)


def _has_its_message(run: Running) -> bool:
    """Answer whether a run's own message is there until that is acked.

    Otherwise a parked copy stands for it, or the embedded queues acked it with the outcome.
    """
    return not (run.is_parked or run.claim.tag)
