"""The clerk: judges claims and writes down what became of jobs before anyone acks them.

It knows which jobs run right now (the *book*); everything else it asks the ledger. A claim for a
job that is running waits until that run has ended, so that no job runs twice at once.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.desk import Claim, Condemn, DeadLetter, Drop, Later, Run, Verdict
from consumers.errands import Errands
from consumers.errors import MalformedError
from consumers.jobs import PRIORITY, Priority, priority_named
from consumers.outcome import Failure
from supervisor.bulletin import Bulletin
from supervisor.core import notices
from supervisor.core.claims import Wait, judge
from supervisor.core.records import JobRecord, JobState, Known, Notice, PoolCard
from supervisor.ledger.store import Ledger
from supervisor.ports import Event
from workers import messages

log = logs.get(__name__)

Key = tuple[str, str]  # queue and job id
Holder = tuple[str, int]  # worker and incarnation


@dataclass(frozen=True, slots=True)
class Telling:
    """How users are told: which sinks, and in which words."""

    sinks: Sequence[str]
    texts: notices.Texts
    poke: Callable[[], None]  # something is due


@dataclass(slots=True)
class _Running:
    """A job in some worker's hand, from its verdict to the end of its run."""

    claim: Claim
    holder: Holder
    attempts: int  # processor failures before this run
    ended: asyncio.Event


class Clerk:
    """Answers workers about jobs; every answer but a verdict means *committed*."""

    def __init__(
        self,
        ledger: Ledger,
        pools: Iterable[PoolCard],
        telling: Telling,
        bulletin: Bulletin,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._pools = {pool.queues.public: pool for pool in pools}
        self._telling = telling
        self._bulletin = bulletin
        self._clock = clock
        self._book: dict[Key, _Running] = {}
        self._reading: set[Key] = set()  # jobs being looked up in the ledger
        self._outdated: set[Key] = set()  # ... whose run ended meanwhile
        self._errands = Errands()

    def active(self, queue: str) -> int:
        """Return how many jobs of a queue are in hand."""
        return sum(1 for key in self._book if key[0] == queue)

    # --- claims -----------------------------------------------------------------------------

    async def claim(self, holder: Holder, claim: Claim) -> Verdict:
        """Return what a worker is to do with a delivery."""
        known = await self._recognise(claim)
        job_id = known.id if known else claim.job_id or uuid.uuid4().hex
        while True:
            running = self._book.get((claim.queue, job_id))
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
            running = key in self._book
            return _running_now(claim.job_id) if running else await self._look_up(key)
        if not claim.redelivered:
            return None
        for (queue, job_id), held in self._book.items():
            if queue == claim.queue and held.claim.fingerprint == claim.fingerprint:
                return _running_now(job_id)
        return await self._ledger.recognise(claim.queue, claim.fingerprint)

    async def _look_up(self, key: Key) -> Known | None:
        """Return what is committed of a job; read again if its run ended while we read."""
        self._reading.add(key)
        try:
            while True:
                self._outdated.discard(key)
                known = await self._ledger.known(*key)
                if key not in self._outdated:
                    return known
        finally:
            self._reading.discard(key)
            self._outdated.discard(key)

    async def _begin(self, worker: str, claim: Claim, run: Run) -> None:
        pool = self._pools[claim.queue].name
        await self._ledger.begin(
            claim, job_id=run.job_id, pool=pool, worker=worker, attempt=run.attempts + 1
        )

    async def _grant(self, holder: Holder, claim: Claim, verdict: Verdict) -> Verdict:
        match verdict:
            case Run(job_id=job_id, attempts=attempts):
                running = _Running(claim, holder, attempts, asyncio.Event())
                self._book[claim.queue, job_id] = running
                # Not awaited here: the writer keeps the order, so the outcome comes after it.
                self._errands.run(self._begin(holder[0], claim, verdict))
            case Later(job_id=job_id, seq=seq, delay=delay):
                await self._ledger.defer(claim.queue, job_id, seq=seq, delay=delay)
                self._tell("delayed", claim.queue, job_id, holder[0], {"delay": delay})
            case Drop(job_id=job_id, why=why):
                log.info("claim dropped", job=job_id, queue=claim.queue, why=why)
            case Condemn(job_id=job_id, failure=failure):
                log.warning("job condemned", job=job_id, queue=claim.queue, why=failure.message)
        return verdict

    def started(self, message: messages.Started) -> None:
        """Tell the listeners that a processor is being called."""
        data = {"attempt": message.attempt}
        self._tell("active", message.queue_name, message.job_id, message.worker_id, data)

    # --- outcomes ---------------------------------------------------------------------------

    async def completed(self, message: messages.JobResult) -> None:
        """Commit a result and its notice."""
        queue, job_id = message.queue_name, message.job_id
        running = self._book.get((queue, job_id))
        record = (
            self._record(running.claim, job_id, JobState.COMPLETED)
            if running is not None
            else await self._ledger.show(job_id)
        )
        told: tuple[Notice, ...] = ()
        if record is not None:
            told = notices.write_completed(
                record, message.result, sinks=self._telling.sinks, texts=self._telling.texts
            )
        await self._ledger.complete(
            queue,
            job_id,
            worker=message.worker_id,
            result=message.result,
            duration=message.duration,
            notices=told,
            tag=running.claim.tag if running else 0,
        )
        self._finished(queue, job_id, told)
        data = {"duration": message.duration, "result": message.result}
        self._tell("completed", queue, job_id, message.worker_id, data)

    async def failed(self, message: messages.JobError) -> None:
        """Commit what an ``error`` of a job says: an attempt, the last one, or a cancellation."""
        queue, job_id = message.queue_name, message.job_id or ""
        failure = message.failure or Failure(message.error)
        if message.cancelled:
            await self._ledger.cancel(queue, job_id, worker=message.worker_id)
            name = "cancelled"
        elif message.retry is not None:
            await self._retry(message, message.retry, failure)
            name = "retrying"
        else:
            attempts = self._attempts(queue, job_id) + 1
            await self._ledger.give_up(
                queue, job_id, failure=failure, attempts=attempts, worker=message.worker_id
            )
            name = "failing"
        self._finished(queue, job_id, ())
        data = {"error": failure.message, "duration": message.duration}
        self._tell(name, queue, job_id, message.worker_id, data)

    async def _retry(
        self, message: messages.JobError, retry: messages.Retrying, failure: Failure
    ) -> None:
        queue, job_id = message.queue_name, message.job_id or ""
        await self._ledger.retry(
            queue,
            job_id,
            failure=failure,
            delay=retry.delay,
            seq=retry.seq,
            attempts=self._attempts(queue, job_id) + 1,
            worker=message.worker_id,
        )

    async def buried(self, letter: DeadLetter, worker: str) -> None:
        """Commit a dead letter and its notice, once."""
        job_id = letter.job_id or uuid.uuid4().hex
        pool = self._pools[letter.queue].name
        record = self._letter_record(letter, job_id)
        told = notices.write_failed(
            record, letter.failure, sinks=self._telling.sinks, texts=self._telling.texts
        )
        is_new = await self._ledger.bury(letter, job_id=job_id, pool=pool, notices=told)
        if not is_new:
            return
        self._finished(letter.queue, job_id, told)
        log.warning("job failed", job=job_id, queue=letter.queue, why=letter.failure.message)
        data = {"error": letter.failure.message, "code": letter.failure.code}
        self._tell("failed", letter.queue, job_id, worker, data)

    def settled(self, message: messages.Settled) -> None:
        """Note that nothing is owed for this job any more."""
        self._errands.run(self._ledger.settle(message.queue_name, message.job_id))

    def progressed(self, message: messages.Progressed) -> None:
        """Note how far a job is, and what it logged."""
        queue, job_id = message.queue_name, message.job_id
        if message.line:
            self._errands.run(self._ledger.line(queue, job_id, message.line))
        if message.percent is not None:
            note = self._ledger.progress(queue, job_id, message.percent, message.note)
            self._errands.run(note)
            data = {"percent": message.percent, "note": message.note}
            self._tell("progress", queue, job_id, "", data)

    # --- workers that ended -----------------------------------------------------------------

    async def blamed(self, worker: str, jobs: Sequence[Key], exit_words: str) -> None:
        """Commit one crash for each of these jobs, then let whoever waits for them go on."""
        for queue, job_id in jobs:
            await self._ledger.crash(queue, (job_id,), worker=worker, exit=exit_words)
            self._let_go(queue, job_id)
            self._tell("stalled", queue, job_id, worker, {"exit": exit_words})

    async def released(self, holder: Holder) -> None:
        """Return everything a dead process still had in hand; none of it is to blame."""
        keys = [key for key, running in self._book.items() if running.holder == holder]
        for queue, job_id in keys:
            await self._ledger.release(queue, (job_id,))
            self._let_go(queue, job_id)

    # --- inside -----------------------------------------------------------------------------

    def _finished(self, queue: str, job_id: str, told: Sequence[Notice]) -> None:
        self._let_go(queue, job_id)
        if told:
            self._telling.poke()

    def _let_go(self, queue: str, job_id: str) -> None:
        if (queue, job_id) in self._reading:
            self._outdated.add((queue, job_id))
        running = self._book.pop((queue, job_id), None)
        if running is not None:
            running.ended.set()

    def _attempts(self, queue: str, job_id: str) -> int:
        running = self._book.get((queue, job_id))
        return running.attempts if running else 0

    def _tell(
        self, name: str, queue: str, job_id: str, worker: str, data: Mapping[str, object]
    ) -> None:
        at = self._clock.utcnow()
        self._bulletin.publish(
            Event(name=name, at=at, queue=queue, id=job_id, worker=worker, data=data)
        )

    def _record(self, claim: Claim, job_id: str, state: JobState) -> JobRecord:
        return JobRecord(
            id=job_id,
            pool=self._pools[claim.queue].name,
            queue=claim.queue,
            state=state,
            priority=claim.priority,
            data=msgspec.json.decode(claim.body),
            sender=claim.sender,
            noreply=claim.noreply,
            attempts=claim.attempts,
            finished_at=self._clock.utcnow(),
        )

    def _letter_record(self, letter: DeadLetter, job_id: str) -> JobRecord:
        return JobRecord(
            id=job_id,
            pool=self._pools[letter.queue].name,
            queue=letter.queue,
            state=JobState.FAILED,
            priority=_urgency(letter),
            data=_decoded(letter.body),
            sender=letter.sender,
            noreply=letter.noreply,
            attempts=letter.attempts,
            finished_at=self._clock.utcnow(),
        )


def _running_now(job_id: str) -> Known:
    """Return enough to wait by; it is looked up again when the run has ended."""
    return Known(id=job_id, state=JobState.ACTIVE)


def _urgency(letter: DeadLetter) -> Priority:
    try:
        return priority_named(letter.properties.headers.get(PRIORITY, Priority.NORMAL))
    except MalformedError:
        return Priority.NORMAL


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode(errors="replace")
