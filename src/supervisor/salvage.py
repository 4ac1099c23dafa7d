"""Salvage: what the workers of a supervisor that was killed had done, and it had not written down.

They leave it in their spools (``workers/spool.py``). At the start, before any worker, each outcome
is recorded as if it were heard just now; its message comes again, and is acked without being run.
"""

import asyncio
import enum
from collections.abc import Container
from pathlib import Path

from consumers import logs
from supervisor.book import Holder, Key, Running, pool_of
from supervisor.clerk import Clerk
from supervisor.core.records import NO_KIN, JobState, Known
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from workers import messages, spool
from workers.spool import HandedIn

_DONE = frozenset({JobState.COMPLETED, JobState.CANCELLED})

log = logs.get(__name__)


class Fate(enum.Enum):
    """What is to be done with an outcome that was left behind."""

    NOTHING = enum.auto()  # the ledger knows better, or what it knows is not enough
    RECORD = enum.auto()
    EXPECT = enum.auto()  # it is recorded, but its message was surely not acked


def judge(handed_in: HandedIn, known: Known | None, *, is_shared: bool) -> Fate:
    """Return what becomes of an outcome, by what is committed of its job.

    The ledger wins wherever anything was counted or numbered since: the run is not the newest then.
    Where machines share a ledger a message without an id may be another's by now, and done; there,
    and in the embedded queues, nothing is made of a job that is not known.
    """
    claim, run = handed_in.claim, handed_in.run
    if is_shared and claim.job_id is None:
        return Fate.NOTHING
    if known is None:
        return Fate.NOTHING if is_shared or claim.tag else Fate.RECORD
    is_newest = (known.seq, known.attempts) == (run.seq, run.attempts) and known.given_up is None
    if not is_newest:
        return Fate.NOTHING
    if known.state is JobState.WAITING:
        return Fate.RECORD
    return Fate.EXPECT if known.state in _DONE and _comes_unknown(handed_in) else Fate.NOTHING


class Salvage:
    """Records what was left, each outcome by itself: one that cannot be costs its job a run."""

    def __init__(self, ledger: Ledger, clerk: Clerk, pools: Container[str]) -> None:
        self._ledger = ledger
        self._clerk = clerk
        self._pools = pools

    async def run(self, folder: Path) -> int:
        """Take what is in a folder of spools; return of how many jobs it was news."""
        salvaged = 0
        for handed_in in await asyncio.to_thread(_take, folder):
            job = handed_in.run.job_id
            try:
                salvaged += await self._save(handed_in)
            except LedgerError as error:
                log.warning("outcome not salvaged, its job runs again", job=job, why=str(error))
            except Exception:
                # It is no reason not to start.
                log.exception("outcome not salvaged, its job runs again", job=job)
        if salvaged:
            log.info("outcomes of the run before written down", jobs=salvaged)
        return salvaged

    async def _save(self, handed_in: HandedIn) -> bool:
        """Do with an outcome what is to be done; answer whether something was."""
        key = (handed_in.outcome.queue_name, handed_in.run.job_id)
        if pool_of(_holder(handed_in)) not in self._pools:
            return False
        known = await self._ledger.known(*key)
        fate = judge(handed_in, known, is_shared=self._ledger.is_shared)
        if fate is Fate.RECORD:
            return await self._record(key, handed_in, known)
        if fate is Fate.EXPECT:
            await self._ledger.owe(*key)
        return fate is Fate.EXPECT

    async def _record(self, key: Key, handed_in: HandedIn, known: Known | None) -> bool:
        """Write an outcome down as if its worker were there, and had lost its session since."""
        claim, run, holder = handed_in.claim, handed_in.run, _holder(handed_in)
        is_granted = await self._ledger.begin(
            claim,
            job_id=run.job_id,
            pool=pool_of(holder),
            worker=holder[0],
            attempt=run.attempts + 1,
        )
        if not is_granted:
            return False
        running = Running(claim, holder, run.attempts)
        running.kin = known.kin if known else NO_KIN
        running.begun.set()
        self._clerk.book.enter(key, running)
        try:
            await self._write(handed_in.outcome)
        finally:
            self._clerk.book.close(key)
            # Given up, its dead letter is not there yet; or it is not written: then it runs again.
            await self._ledger.release(key[0], (key[1],))
        if _comes_unknown(handed_in):
            await self._ledger.owe(*key, is_late=True)
        return True

    async def _write(self, outcome: messages.JobResult | messages.JobError) -> None:
        if isinstance(outcome, messages.JobResult):
            await self._clerk.completed(outcome)
        else:
            await self._clerk.failed(outcome)


def _take(folder: Path) -> tuple[HandedIn, ...]:
    """Return what is in a folder of spools, and empty all that there are beside it.

    They are of another broker or ledger, and by the time that comes back they would be old.
    """
    try:
        taken = spool.take(folder)
        for file in folder.parent.glob(f"*/*{spool.ENDING}"):
            spool.discard(file)
    except OSError as error:
        log.warning("spools not read, their jobs run again", folder=str(folder), why=str(error))
        return ()
    return taken


def _comes_unknown(handed_in: HandedIn) -> bool:
    """Answer whether its message comes again, and without an id; the embedded ones do not."""
    return handed_in.claim.job_id is None and not handed_in.claim.tag


def _holder(handed_in: HandedIn) -> Holder:
    return (handed_in.outcome.worker_id, 0)
