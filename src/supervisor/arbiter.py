"""The arbiter: what a worker is to do with a delivery, from what is known of its job.

The rules are pure (``core/claims.py``); this side finds out what is known. A claim for a job that
is running waits until that run has ended, so that no job runs twice at once.
"""

import uuid
from collections.abc import Iterable

from consumers import logs
from consumers.clock import Clock
from consumers.desk import Claim, Drop, Later, Run, Verdict
from consumers.errands import Errands
from supervisor.book import Book, Holder, Key, Running
from supervisor.core.claims import Wait, judge
from supervisor.core.records import JobState, Known, PoolCard
from supervisor.ledger.errors import PATIENCE, LedgerError
from supervisor.ledger.store import Ledger

LOOK_AGAIN = 0.1  # seconds between two looks at a job that a redelivery may be

log = logs.get(__name__)


class Arbiter:
    """Judges claims, and enters what it lets run into the book and the ledger."""

    def __init__(self, ledger: Ledger, pools: Iterable[PoolCard], book: Book, clock: Clock) -> None:
        self._ledger = ledger
        self._pools = {pool.queues.public: pool for pool in pools}
        self._book = book
        self._clock = clock
        self._errands = Errands()

    async def judge(self, holder: Holder, claim: Claim) -> Verdict:
        """Return what a worker is to do with a delivery. Raises LedgerError."""
        known = await self._recognise(claim)
        job_id = known.id if known else claim.job_id or uuid.uuid4().hex
        while True:
            if self._book.is_gone(holder):
                return Drop(job_id, "its worker is gone")  # nobody hears it; nothing is granted
            running = self._book.running((claim.queue, job_id))
            verdict = judge(
                claim,
                known,
                running_on=running.holder[0] if running else None,
                max_crashes=self._pools[claim.queue].max_crashes,
                new_id=job_id,
            )
            if not isinstance(verdict, Wait):
                return await self._grant(holder, claim, verdict)
            if running is not None:
                await running.ended.wait()
            known = await self._look_up((claim.queue, job_id))

    async def _recognise(self, claim: Claim) -> Known | None:
        """Return what is known of a delivery: by its id, or when redelivered by its looks."""
        if claim.job_id is not None:
            key = (claim.queue, claim.job_id)
            is_running = self._book.running(key) is not None
            return _running_now(claim.job_id) if is_running else await self._look_up(key)
        if not claim.redelivered:
            return None
        while self._book.looks_like(claim):
            # It may be that very job: the news that its worker died, or lost its session, can be
            # hours behind the message (a connection of which only the broker's half is gone).
            await self._clock.sleep(LOOK_AGAIN)
        return await self._ledger.recognise(
            claim.queue, claim.fingerprint, running=self._book.cut_off_in(claim.queue)
        )

    async def _look_up(self, key: Key) -> Known | None:
        """Return what is committed of a job; read again if its run ended while we read."""
        while True:
            reading = self._book.start_reading(key)
            try:
                known = await self._ledger.known(*key)
            finally:
                self._book.stop_reading(reading)
            if not reading.is_outdated:
                return known

    async def _grant(self, holder: Holder, claim: Claim, verdict: Verdict) -> Verdict:
        match verdict:
            case Run(job_id=job_id, attempts=attempts):
                running = Running(claim, holder, attempts)
                self._book.enter((claim.queue, job_id), running)
                # Not awaited here: the job need not wait, only its outcome does.
                self._errands.run(self._begin(running, job_id))
            case Later(job_id=job_id, seq=seq, delay=delay):
                await self._ledger.defer(claim.queue, job_id, seq=seq, delay=delay)
            case _:
                pass
        log.debug("claim judged", queue=claim.queue, job=verdict.job_id, verdict=verdict)
        return verdict

    async def _begin(self, running: Running, job_id: str) -> None:
        """Have the ledger know the job; an outcome cannot be written before that."""
        claim, worker = running.claim, running.holder[0]
        pool, attempt = self._pools[claim.queue].name, running.attempts + 1
        while not self._book.is_gone(running.holder):
            try:
                await self._ledger.begin(
                    claim, job_id=job_id, pool=pool, worker=worker, attempt=attempt
                )
                break
            except LedgerError as error:
                log.warning("job not entered, trying again", job=job_id, why=str(error))
                await self._clock.sleep(PATIENCE)
        running.begun.set()


def _running_now(job_id: str) -> Known:
    """Return enough to wait by; it is looked up again when the run has ended."""
    return Known(id=job_id, state=JobState.ACTIVE)
