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
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.ports import Event
from workers import messages

log = logs.get(__name__)

LEDGER_PATIENCE = 1.0  # seconds between two tries of a ledger that does not take it

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
    begun: asyncio.Event  # set when the ledger has it, or nobody wants to know any more
    is_cut_off: bool = False  # its worker lost the session: the message will come again


@dataclass(slots=True, eq=False)
class _LookUp:
    """A job being read from the ledger; outdated when its run ends meanwhile."""

    key: Key
    is_outdated: bool = False


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
        self._look_ups: set[_LookUp] = set()
        self._gone: dict[str, int] = {}  # worker -> its newest incarnation known to be dead
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
            if self._is_gone(holder):
                return Drop(job_id, "its worker is gone")  # nobody hears it; nothing is granted
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
        cut_off = [
            job_id
            for (queue, job_id), running in self._book.items()
            if queue == claim.queue and running.is_cut_off
        ]
        found = await self._ledger.recognise(claim.queue, claim.fingerprint, running=cut_off)
        return None if found is None else await self._look_up((claim.queue, found.id))

    async def _look_up(self, key: Key) -> Known | None:
        """Return what is committed of a job; read again if its run ended while we read."""
        while True:
            look_up = _LookUp(key)
            self._look_ups.add(look_up)
            try:
                known = await self._ledger.known(*key)
            finally:
                self._look_ups.discard(look_up)
            if not look_up.is_outdated:
                return known

    async def _begin(self, running: _Running, job_id: str) -> None:
        """Have the ledger know the job; an outcome cannot be written before that."""
        claim, worker = running.claim, running.holder[0]
        pool, attempt = self._pools[claim.queue].name, running.attempts + 1
        while not self._is_gone(running.holder):
            try:
                await self._ledger.begin(
                    claim, job_id=job_id, pool=pool, worker=worker, attempt=attempt
                )
                break
            except LedgerError as error:
                log.warning("job not entered, trying again", job=job_id, why=str(error))
                await self._clock.sleep(LEDGER_PATIENCE)
        running.begun.set()

    async def _grant(self, holder: Holder, claim: Claim, verdict: Verdict) -> Verdict:
        match verdict:
            case Run(job_id=job_id, attempts=attempts):
                running = _Running(claim, holder, attempts, asyncio.Event(), asyncio.Event())
                self._book[claim.queue, job_id] = running
                # Not awaited here: the job need not wait, only its outcome does.
                self._errands.run(self._begin(running, job_id))
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
        running = await self._begun((queue, job_id))
        record = (
            self._record(running, job_id)
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
        await self._begun((queue, job_id))
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
        for key in jobs:
            await self._begun(key)
        for queue in dict.fromkeys(queue for queue, _ in jobs):
            # One commit for all of a queue's jobs (a worker has one queue): tried again after an
            # error, none of them is counted twice.
            ids = tuple(job_id for other, job_id in jobs if other == queue)
            await self._ledger.crash(queue, ids, worker=worker, exit=exit_words)
        for queue, job_id in jobs:
            self._let_go(queue, job_id)
            self._tell("stalled", queue, job_id, worker, {"exit": exit_words})

    def cut_off(self, holder: Holder) -> None:
        """Note that a worker lost its session: the broker delivers what it has in hand again."""
        for running in self._book.values():
            if running.holder == holder:
                running.is_cut_off = True

    async def released(self, holder: Holder) -> None:
        """Return everything a dead process still had in hand; none of it is to blame."""
        self._gone[holder[0]] = max(holder[1], self._gone.get(holder[0], 0))
        keys = [key for key, running in self._book.items() if running.holder == holder]
        for queue, job_id in keys:
            await self._begun((queue, job_id))
            await self._ledger.release(queue, (job_id,))
            self._let_go(queue, job_id)

    # --- inside -----------------------------------------------------------------------------

    def _finished(self, queue: str, job_id: str, told: Sequence[Notice]) -> None:
        self._let_go(queue, job_id)
        if told:
            self._telling.poke()

    def _let_go(self, queue: str, job_id: str) -> None:
        for look_up in self._look_ups:
            look_up.is_outdated |= look_up.key == (queue, job_id)
        running = self._book.pop((queue, job_id), None)
        if running is not None:
            running.ended.set()

    async def _begun(self, key: Key) -> _Running | None:
        """Return what is in hand, once the ledger has it."""
        running = self._book.get(key)
        if running is not None:
            await running.begun.wait()
        return running

    def _is_gone(self, holder: Holder) -> bool:
        return holder[1] <= self._gone.get(holder[0], 0)

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

    def _record(self, running: _Running, job_id: str) -> JobRecord:
        claim = running.claim
        return JobRecord(
            id=job_id,
            pool=self._pools[claim.queue].name,
            queue=claim.queue,
            state=JobState.COMPLETED,
            priority=claim.priority,
            data=msgspec.json.decode(claim.body),
            sender=claim.sender,
            noreply=claim.noreply,
            attempts=running.attempts,
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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")
