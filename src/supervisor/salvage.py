"""Salvage: what the workers of a supervisor that was killed had done, and it had not written down.

They leave it in their spools (``workers/spool.py``). At the start, before any worker, each outcome
is recorded as if it were heard just now; its message comes again, and is acked without being run.
"""

import asyncio
import enum
from collections.abc import Container
from pathlib import Path

from consumers import logs
from supervisor.book import Holder, Running, pool_of
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
    In a ledger that machines share, and in the embedded queues, the job has to be known: else the
    message may be somebody else's, or not there.
    """
    claim, run = handed_in.claim, handed_in.run
    if known is None:
        return Fate.NOTHING if is_shared or claim.tag else Fate.RECORD
    is_newest = (known.seq, known.attempts) == (run.seq, run.attempts) and known.given_up is None
    if not is_newest:
        return Fate.NOTHING
    if known.state is JobState.WAITING:
        return Fate.RECORD
    return Fate.EXPECT if known.state in _DONE and _comes_unknown(handed_in) else Fate.NOTHING


async def salvage(folder: Path, ledger: Ledger, clerk: Clerk, pools: Container[str]) -> int:
    """Record what was left in a folder of spools, and clear it; return how many jobs that were."""
    left = await asyncio.to_thread(spool.read, folder)
    salvaged = 0
    for handed_in in left:
        try:
            if pool_of(_holder(handed_in)) in pools:
                salvaged += await _take(handed_in, ledger, clerk)
        except LedgerError as error:
            job, why = handed_in.outcome.job_id, str(error)
            log.warning("outcome not salvaged, its job runs again", job=job, why=why)
    await clerk.settlements.quiet()
    await asyncio.to_thread(spool.remove, folder)
    if salvaged:
        log.info("outcomes of the run before written down", jobs=salvaged)
    return salvaged


async def _take(handed_in: HandedIn, ledger: Ledger, clerk: Clerk) -> bool:
    """Do with an outcome what is to be done; answer whether something was."""
    key = (handed_in.outcome.queue_name, handed_in.run.job_id)
    known = await ledger.known(*key)
    fate = judge(handed_in, known, is_shared=ledger.is_shared)
    if fate is Fate.RECORD:
        return await _record(handed_in, known, ledger, clerk)
    if fate is Fate.EXPECT:
        await ledger.owe(*key)
    return fate is Fate.EXPECT


async def _record(handed_in: HandedIn, known: Known | None, ledger: Ledger, clerk: Clerk) -> bool:
    """Write an outcome down as if its worker were there, and had lost its session just then."""
    claim, run, outcome = handed_in.claim, handed_in.run, handed_in.outcome
    holder, key = _holder(handed_in), (outcome.queue_name, run.job_id)
    worker, pool = holder[0], pool_of(holder)
    attempt = run.attempts + 1
    if not await ledger.begin(claim, job_id=run.job_id, pool=pool, worker=worker, attempt=attempt):
        return False
    running = Running(claim, holder, run.attempts)
    running.kin = known.kin if known else NO_KIN
    running.begun.set()
    clerk.book.enter(key, running)
    if isinstance(outcome, messages.JobResult):
        await clerk.completed(outcome)
    else:
        await clerk.failed(outcome)
    is_nameless = _comes_unknown(handed_in)
    unsettled = messages.Unsettled(*key, has_run=True, is_nameless=is_nameless)
    clerk.settlements.unsettled(holder, unsettled)
    return True


def _comes_unknown(handed_in: HandedIn) -> bool:
    """Answer whether its message comes again, and without an id; the embedded ones do not."""
    return handed_in.claim.job_id is None and not handed_in.claim.tag


def _holder(handed_in: HandedIn) -> Holder:
    return (handed_in.outcome.worker_id, 0)
