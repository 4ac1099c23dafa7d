"""The ledger: everything that is remembered about jobs, for the one coordinator that writes it.

Every method that writes returns when its change is on the disk; those that may come late answer
False when the job has its outcome already.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from consumers.clock import Clock
from consumers.desk import Claim, DeadLetter
from consumers.outcome import Completed, Failure
from supervisor.core.records import (
    Charge,
    Incident,
    JobFilter,
    JobRecord,
    JobState,
    Kin,
    Known,
    NewJob,
    Notice,
)
from supervisor.ledger import (
    claims,
    incidents,
    interruptions,
    jobs,
    listing,
    numbers,
    outbox,
    outcomes,
)
from supervisor.ledger.attempts import Ending
from supervisor.ledger.claims import Redelivery
from supervisor.ledger.interruptions import INTERRUPTED, Copy, Move, WorkerDeath
from supervisor.ledger.jobs import Taking
from supervisor.ledger.journal import Journal
from supervisor.ledger.migrate import migrate
from supervisor.ledger.outcomes import Grave, Hand, Sequel, Setback
from supervisor.ledger.reader import Reader
from supervisor.ledger.recovery import adopt
from supervisor.ledger.rooms import Room, room_of
from supervisor.ledger.troubles import Troubles
from supervisor.ledger.writer import Writer

T = TypeVar("T")


class Ledger:
    """One ledger, held by this process from ``open`` to ``close``."""

    def __init__(self, room: Room, clock: Clock) -> None:
        self.clock = clock
        self._room = room
        self.troubles = Troubles()
        self._writer = Writer(room, self.troubles.refused)
        self._reader = Reader(room, self.troubles.refused)
        self._journal = Journal(self._writer, clock)

    # --- opening and closing ------------------------------------------------------------------

    @classmethod
    async def open(cls, url: str, *, clock: Clock, node: str = "") -> "Ledger":
        """Open a ledger, made or brought up to date if need be.

        What an earlier life of this ``node`` had in hand is released, unblamed.

        Raises:
            LedgerError: another supervisor holds it, it cannot be used, or it is too new.
        """
        room = room_of(url, node)
        await asyncio.to_thread(_take, room)
        ledger = cls(room, clock)
        try:
            ours = (room.node, "")  # what is nobody's was written when there was one node
            await ledger.write(partial(adopt, nodes=ours, now=clock.utcnow()))
        except BaseException:
            await ledger.close()
            raise
        return ledger

    async def close(self) -> None:
        """Write what was handed in, then let go of the file; may be called twice."""
        await self._journal.written()
        await self._writer.close()
        await self._reader.close()
        self._room.release()

    @property
    def name(self) -> str:
        """What messages call it: its file, or its URL without the password."""
        return self._room.name

    @property
    def folder(self) -> Path | None:
        """The folder whose disk must have room; None if that is another machine's affair."""
        return self._room.folder

    @property
    def is_shared(self) -> bool:
        """Whether other coordinators may be at work on it."""
        return self._room.is_shared

    @property
    def commits(self) -> int:
        """How many transactions were written since the ledger was opened."""
        return self._writer.commits

    @property
    def unwritten(self) -> float:
        """For how many seconds the oldest write has had no answer."""
        return self._writer.unwritten

    def write(self, operation: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Hand in an operation that writes; the future is done when it is on the disk."""
        return self._writer.submit(operation)

    async def probe(self) -> None:
        """Write a page that means nothing: a ledger in trouble is well again when it takes it.

        Raises LedgerError.
        """
        await self.write(self._room.stir)
        self.troubles.probed()

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Return the answer to a question about what is on the disk."""
        return await self._reader.ask(question)

    # --- how a job comes in -------------------------------------------------------------------

    async def admit(self, claim: Claim, *, job_id: str, pool: str) -> bool:
        """Enter a job met in a queue that is moved aside before it runs (see ``defer``)."""
        taking = Taking(claim, job_id, pool)
        return await self.write(partial(jobs.admit, taking=taking, now=self._now()))

    async def begin(
        self, claim: Claim, *, job_id: str, pool: str, worker: str, attempt: int
    ) -> bool:
        """Note that a worker has the job in hand; False if it is finished, or its copy is stale.

        Again, for a job whose new delivery was adopted, it changes nothing but the worker.
        """
        taking = Taking(claim, job_id, pool, worker, attempt)
        return await self.write(partial(jobs.begin, taking=taking, now=self._now()))

    # --- how a run ends -----------------------------------------------------------------------

    async def complete(  # noqa: PLR0913 - one word for each thing a result is made of
        self,
        queue: str,
        job_id: str,
        *,
        worker: str,
        result: Mapping[str, object],
        duration: float,
        notices: Sequence[Notice] = (),
        followers: Sequence[NewJob] = (),
        tag: int = 0,
    ) -> bool:
        """Record a result and its notices; with ``tag`` that embedded message is acked as well.

        ``followers`` are entered as jobs that came of it. Of a job that follows another one itself
        no notice is written: its chain tells of it (see ``chains.settle``).
        """
        hand = Hand(queue, job_id, worker, tag)
        completed = Completed(result, duration)
        return await self.write(
            partial(
                outcomes.complete,
                hand=hand,
                completed=completed,
                sequel=Sequel(notices, followers),
                now=self._now(),
            )
        )

    async def retry(  # noqa: PLR0913 - one word for each thing a setback is made of
        self,
        queue: str,
        job_id: str,
        *,
        failure: Failure,
        delay: float,
        attempts: int,
        worker: str,
    ) -> tuple[int, bool]:
        """Record a failed attempt; return the number of the copy that is to be published.

        The flag is False if the job is finished; that copy is dropped when it comes.
        """
        hand = Hand(queue, job_id, worker)
        setback = Setback(failure, delay, attempts)
        return await self.write(
            partial(outcomes.retry, hand=hand, setback=setback, now=self._now())
        )

    async def give_up(
        self, queue: str, job_id: str, *, failure: Failure, attempts: int, worker: str
    ) -> bool:
        """Record the last failed attempt; the job is failed once its letter is buried."""
        hand = Hand(queue, job_id, worker)
        return await self.write(
            partial(
                outcomes.give_up, hand=hand, failure=failure, attempts=attempts, now=self._now()
            )
        )

    async def cancel(self, queue: str, job_id: str, *, worker: str = "", tag: int = 0) -> bool:
        """Record that a job was stopped, or is not to run, by request."""
        hand = Hand(queue, job_id, worker, tag)
        return await self.write(partial(outcomes.cancel, hand=hand, now=self._now()))

    async def bury(
        self, letter: DeadLetter, *, job_id: str, pool: str, notices: Sequence[Notice] = ()
    ) -> Kin | None:
        """Record a dead letter and its notices, of which jobs it came; None for a second copy."""
        grave = Grave(job_id, pool)
        return await self.write(
            partial(outcomes.bury, letter=letter, grave=grave, notices=notices, now=self._now())
        )

    # --- how a job comes back without an outcome ----------------------------------------------

    async def crash(
        self,
        queue: str,
        job_ids: Sequence[str],
        *,
        worker: str,
        exit: str,  # noqa: A002
        charge: Charge = Charge.CRASH,
    ) -> None:
        """Blame a worker's death on the jobs it had started."""
        death = WorkerDeath(worker, exit, charge)
        await self.write(
            partial(interruptions.crash, queue=queue, job_ids=job_ids, death=death, now=self._now())
        )

    async def release(self, queue: str, job_ids: Sequence[str], *, why: str = "") -> None:
        """Take jobs out of their workers' hands, unblamed: they wait to be delivered again."""
        end = Ending(error=why, code=INTERRUPTED)
        await self.write(
            partial(interruptions.release, queue=queue, job_ids=job_ids, end=end, now=self._now())
        )

    async def defer(self, queue: str, job_id: str, *, seq: int, delay: float) -> int:
        """Commit the next copy of a job, to come back after ``delay`` s, and return its number.

        That is at least ``seq``. 0: the job is finished, and nothing is changed.
        """
        copy = Copy(seq, delay)
        return await self.write(
            partial(interruptions.defer, queue=queue, job_id=job_id, copy=copy, now=self._now())
        )

    async def move(self, queue: str, job_id: str, *, seq: int, pool: str) -> int:
        """Commit the next copy of a job, for another pool to run it, and return its number.

        That is at least ``seq``. 0: the job is finished, and nothing is changed. The job keeps the
        queue by which it is known, and begins in that pool with a clean record.
        """
        move = Move(seq, pool)
        return await self.write(
            partial(interruptions.move, queue=queue, job_id=job_id, move=move, now=self._now())
        )

    # --- what a claim is judged by ------------------------------------------------------------

    async def known(self, queue: str, job_id: str) -> Known | None:
        """Return what is committed of a job, or None if it was never met."""
        return await self.read(partial(claims.known, queue=queue, job_id=job_id))

    async def recognise(self, redelivery: Redelivery) -> Known | None:
        """Return the job that a *redelivered* message without an id is, or None.

        Each job answers once, until its message can come again (``begin``, ``crash``,
        ``release``, ``defer``). A waiting job comes first, then a finished one that was never
        settled, then a running one whose connection was lost. No other running job is ever meant:
        the message is another one of the same words.
        """
        return await self.write(partial(claims.recognise, redelivery=redelivery, now=self._now()))

    async def settle(
        self, queue: str, job_id: str, *, seq: int = 0, is_nameless: bool = False
    ) -> None:
        """Note that a delivery is acked, and that copy ``seq`` is stored.

        If the message had no id, no redelivery can be this job any more.
        """
        settle = partial(claims.settle, seq=seq, is_nameless=is_nameless)
        await self.write(partial(settle, queue=queue, job_id=job_id))

    async def owe(self, queue: str, job_id: str, *, is_late: bool = False) -> None:
        """Note that a message without an id was surely not acked: it comes once more.

        Said late, it may have come: then that is left as it is.
        """
        await self.write(partial(claims.owe, queue=queue, job_id=job_id, is_late=is_late))

    async def doubt(self, queue: str, job_id: str) -> None:
        """Note that nobody knows whether the delivery was acked.

        A finished job is done again then, if it comes again. Another one does come again: as the
        message, or as the copy in its place.
        """
        await self.write(partial(claims.doubt, queue=queue, job_id=job_id))

    async def reopen(self, queue: str, job_id: str) -> None:
        """Expect the delivery that was recognised as this job once more: it was not acked."""
        await self.write(partial(numbers.reopen, queue=queue, job_id=job_id))

    # --- what people see ----------------------------------------------------------------------

    async def show(self, job_id: str) -> JobRecord | None:
        """Return the newest job of that id, with its history and its lines."""
        return await self.read(partial(listing.show, job_id=job_id, now=self._now()))

    async def beginning_with(self, start: str) -> tuple[str | None, int]:
        """Return an id that begins so, and how many different ones there are."""
        return await self.read(partial(listing.beginning_with, start=start))

    async def find(self, wanted: JobFilter) -> tuple[JobRecord, ...]:
        """Return the newest jobs that fit, without their histories."""
        return await self.read(partial(listing.find, wanted=wanted, now=self._now()))

    async def counts(self) -> Mapping[str, Mapping[JobState, int]]:
        """Return for each queue how many jobs are in which state (none: not mentioned)."""
        return await self.read(partial(listing.counts, now=self._now()))

    async def progress(self, queue: str, job_id: str, percent: float, note: str = "") -> None:
        """Keep how far a running job is; returns at once, only the newest is sure to be kept."""
        self._journal.progress(queue, job_id, percent, note)

    async def line(self, queue: str, job_id: str, text: str) -> None:
        """Keep a line that a job logged; returns at once."""
        self._journal.line(queue, job_id, text)

    async def flush(self) -> None:
        """Wait until the progress and the lines handed in so far are written."""
        await self._journal.written()

    # --- notices and incidents ----------------------------------------------------------------

    async def due(self, now: datetime, limit: int) -> tuple[Notice, ...]:
        """Return the notices whose time has come, the one that has waited longest first."""
        return await self.read(partial(outbox.due, now=now, limit=limit))

    async def next_due(self) -> datetime | None:
        """Return when the next notice is due, or None if none waits."""
        return await self.read(outbox.next_due)

    async def delivered(self, key: str, sink: str) -> None:
        """Note that a notice was told."""
        await self.write(partial(outbox.delivered, key=key, sink=sink, now=self._now()))

    async def postpone(self, key: str, sink: str, *, error: str, due_at: datetime | None) -> None:
        """Note that a notice could not be told; without ``due_at`` it is given up."""
        await self.write(partial(outbox.postpone, key=key, sink=sink, error=error, due_at=due_at))

    async def record(self, incident: Incident) -> None:
        """Keep why a worker was restarted; the newest thousand are kept."""
        await self.write(partial(incidents.record, incident=incident))

    async def incidents(self, worker: str | None = None, limit: int = 20) -> tuple[Incident, ...]:
        """Return the newest incidents, of one worker if it is named."""
        return await self.read(partial(incidents.newest, worker=worker, limit=limit))

    def _now(self) -> datetime:
        return self.clock.utcnow()


def _take(room: Room) -> None:
    """Take a ledger's room and bring its tables up to date; if that fails, hold nothing."""
    try:
        room.take()
        migrate(room)
    except BaseException:
        room.release()
        raise
