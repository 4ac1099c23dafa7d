"""The clerk: writes down what became of jobs before anyone acks them, and tells who listens.

Its answers to workers mean *committed*. Which deliveries may run is the arbiter's to say; both
look into the same book.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.dead_letters import FOREIGN
from consumers.desk import Claim, Condemn, DeadLetter, Drop, Later, Move, Park, Run, Verdict
from consumers.errands import Errands
from consumers.errors import MalformedError
from consumers.jobs import PRIORITY, Priority, decoded, priority_named
from consumers.outcome import Failure
from supervisor.arbiter import Arbiter
from supervisor.book import Book, Holder, Key, Running, pool_of
from supervisor.bulletin import Bulletin
from supervisor.core import notices
from supervisor.core.chains import Following, followers
from supervisor.core.claims import SETTLED, STALE
from supervisor.core.records import NO_KIN, Charge, JobRecord, JobState, Kin, Notice, PoolCard
from supervisor.ledger import listing
from supervisor.ledger.attempts import history
from supervisor.ledger.store import Ledger
from supervisor.news import in_one_line
from supervisor.parking import ParkingLot
from supervisor.ports import Event
from supervisor.replies import Replies
from supervisor.settlements import Settlements
from workers import messages

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Telling:
    """How users are told: which sinks, and in which words."""

    sinks: Sequence[str]
    texts: notices.Texts
    poke: Callable[[], None]  # something is due


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
        cards = tuple(pools)
        self._pools = {pool.queues.public: pool for pool in cards}
        self._by_name = {pool.name: pool for pool in cards}
        self._telling = telling
        self._bulletin = bulletin
        self._clock = clock
        self._book = Book()
        self._arbiter = Arbiter(ledger, cards, self._book, clock)
        self._arbiter.learnt = self._learnt
        self.probes = self._arbiter.recognition.probes
        self.settlements = Settlements(ledger, self._book, clock)
        self.replies: Replies | None = None  # who tells those that asked for an answer
        self.followed: Callable[[], None] = _nobody_cares  # there are jobs to be published
        self._errands = Errands()
        self._duplicates: Counter[str] = Counter()

    def park_in(self, lot: ParkingLot) -> None:
        """Have jobs that take long parked there from now on."""
        self._arbiter.lot = self.settlements.lot = lot

    def connect(self, send: Callable[[Holder, messages.Cancel], None]) -> None:
        """Have workers be told of runs that nobody wants any more."""
        self._arbiter.send = send

    @property
    def book(self) -> Book:
        """The jobs that are in hand just now."""
        return self._book

    @property
    def telling(self) -> Telling:
        """How users are told just now."""
        return self._telling

    @property
    def texts(self) -> notices.Texts:
        """The words in which users are told; new ones are for the notices to come."""
        return self._telling.texts

    @texts.setter
    def texts(self, texts: notices.Texts) -> None:
        self._telling = replace(self._telling, texts=texts)

    def active(self, queue: str) -> int:
        """Return how many jobs of a queue are in hand."""
        return self._book.active(queue)

    def duplicates(self, queue: str) -> int:
        """Return how many messages of a queue were second publishes of an id, and did not run."""
        return self._duplicates[queue]

    def _learnt(self, claim: Claim, job_id: str) -> None:
        """Tell of a job that another program published: this is the first we hear of it."""
        self._tell("waiting", (claim.queue, job_id), "", {})

    async def claim(self, holder: Holder, claim: Claim) -> Verdict:
        """Return what a worker is to do with a delivery."""
        verdict = await self._arbiter.judge(holder, claim)
        match verdict:
            case Later(job_id=job_id, delay=delay):
                kin = await self._arbiter.kin((claim.queue, job_id))
                self._tell("delayed", (claim.queue, job_id), holder[0], {"delay": delay}, kin)
            case Move(job_id=job_id, pool=pool, why=why):
                log.warning("job moved", job=job_id, queue=claim.queue, pool=pool, why=why)
                kin = await self._arbiter.kin((claim.queue, job_id))
                data = {"pool": pool, "why": why}
                self._tell("waiting", (claim.queue, job_id), holder[0], data, kin)
            case Drop(job_id=job_id, why=why):
                self._duplicates[claim.queue] += _is_second_publish(claim, verdict)
                log.info("claim dropped", job=job_id, queue=claim.queue, why=why)
            case Condemn(job_id=job_id, failure=failure):
                log.warning("job condemned", job=job_id, queue=claim.queue, why=failure.message)
            case Park(job_id=job_id):
                self._duplicates[claim.queue] += _is_first_delivery(claim)
                log.debug("one more delivery parked", job=job_id, queue=claim.queue)
            case Run():
                pass
        return verdict

    def started(self, message: messages.Started) -> None:
        """Tell the listeners that a processor is being called."""
        key = (message.queue_name, message.job_id)
        running = self._book.running(key)
        data: dict[str, object] = {"attempt": message.attempt}
        if running is not None:
            data = {"data": in_one_line(running.claim.body)} | data
        self._tell("active", key, message.worker_id, data)

    # --- outcomes ---------------------------------------------------------------------------

    async def completed(self, message: messages.JobResult) -> None:
        """Commit a result with what comes of it: jobs that follow or, if none does, its notice."""
        queue, job_id = message.queue_name, message.job_id
        running = await self._begun((queue, job_id))
        following, told = await self._sequel(running, message)
        is_first = await self._ledger.complete(
            queue,
            job_id,
            worker=message.worker_id,
            result=message.result,
            duration=message.duration,
            notices=told,
            followers=following.jobs,
            tag=running.claim.tag if running else 0,
        )
        self._finished(queue, job_id, told, is_final=True)
        if not is_first:
            return
        self._follow(message, following)
        if self.replies is not None and running is not None:
            self.replies.completed(running.claim.properties, message.result, message.duration)
        data = {"result": message.result, "duration": message.duration}
        kin = NO_KIN if running is None else running.kin
        self._tell("completed", (queue, job_id), message.worker_id, data, kin)

    async def _sequel(
        self, running: Running | None, message: messages.JobResult
    ) -> tuple[Following, tuple[Notice, ...]]:
        """Return what comes of a result, if it is the first of its job: jobs, or else a notice.

        Tried again after an error of the ledger it is made anew: of what failed, nothing is there.
        """
        queue, job_id = message.queue_name, message.job_id
        if running is not None:
            record = self._record(running, job_id)
        elif await self._ledger.known(queue, job_id) is not None:
            now = self._clock.utcnow()
            look = partial(listing.one, queue=queue, job_id=job_id, now=now)
            record = await self._ledger.read(look)
        else:
            return Following(), ()
        following = followers(record, message.result, self._by_name, now=self._clock.utcnow())
        if following.jobs:
            return following, ()  # its user is told of all of them at once, when they have ended
        sinks, texts = self._telling.sinks, self._telling.texts
        return following, notices.write_completed(record, message.result, sinks=sinks, texts=texts)

    def _follow(self, message: messages.JobResult, following: Following) -> None:
        """Have the jobs published that follow a job, and say of others why there are none."""
        facts = {"job": message.job_id, "queue": message.queue_name}
        for remark in following.remarks:
            log.warning("job not followed", **facts, why=remark)
            self._errands.run(self._ledger.line(facts["queue"], facts["job"], remark))
        if following.jobs:
            log.info("job followed", **facts, jobs=len(following.jobs))
            self.followed()

    async def failed(self, message: messages.JobError) -> int:
        """Commit what an ``error`` of a job says: an attempt, the last one, or a cancellation.

        Returns the number of the copy that follows, 0 if none does.
        """
        queue, job_id, seq = message.queue_name, message.job_id or "", 0
        failure = message.failure or Failure(message.error)
        running = await self._begun((queue, job_id))
        is_news = True
        if message.cancelled:
            is_news = await self._ledger.cancel(queue, job_id, worker=message.worker_id)
        elif message.retry is not None:
            seq, is_news = await self._retry(message, message.retry, failure)
        else:
            attempts = self._attempts(queue, job_id) + 1
            await self._ledger.give_up(
                queue, job_id, failure=failure, attempts=attempts, worker=message.worker_id
            )
        self._finished(queue, job_id, (), is_final=message.cancelled)
        if is_news:  # of another outcome, that came first, is told already
            self._tell_failure(message, failure, NO_KIN if running is None else running.kin)
        return seq

    def _tell_failure(self, message: messages.JobError, failure: Failure, kin: Kin) -> None:
        """Tell of a run that failed; of the last one, when its dead letter is written."""
        data: dict[str, object] = {"duration": message.duration}
        if message.cancelled:
            name = "cancelled"
        elif message.retry is not None:
            name, delay = "retrying", message.retry.delay
            data = {"error": failure.message, "delay": delay} | data
        else:
            return
        key = (message.queue_name, message.job_id or "")
        self._tell(name, key, message.worker_id, data, kin)

    async def interrupted(self, message: messages.JobError) -> None:
        """Commit that the machine broke a run off: the job waits again, and nothing is counted."""
        queue, job_id = message.queue_name, message.job_id or ""
        await self._begun((queue, job_id))
        await self._ledger.release(queue, (job_id,), why=message.error)
        self._tell("waiting", (queue, job_id), message.worker_id, {"why": message.error})
        self._book.close((queue, job_id))

    async def _retry(
        self, message: messages.JobError, retry: messages.Retrying, failure: Failure
    ) -> tuple[int, bool]:
        queue, job_id = message.queue_name, message.job_id or ""
        return await self._ledger.retry(
            queue,
            job_id,
            failure=failure,
            delay=retry.delay,
            attempts=self._attempts(queue, job_id) + failure.counts,
            worker=message.worker_id,
        )

    async def buried(self, letter: DeadLetter, worker: str) -> None:
        """Commit a dead letter and its notice, once."""
        job_id = letter.job_id or uuid.uuid4().hex
        record = self._letter_record(letter, job_id)
        told = notices.write_failed(
            record, letter.failure, sinks=self._telling.sinks, texts=self._telling.texts
        )
        runs = await self._ledger.read(partial(history, queue=letter.queue, job_id=job_id))
        kin = await self._ledger.bury(letter, job_id=job_id, pool=record.pool, notices=told)
        if kin is None:  # it is there already
            return
        self._finished(letter.queue, job_id, told, is_final=True)
        # Who brings a letter is any worker of its pool: of whom people want to know is who ran it.
        ran = {"worker": runs[-1].worker} if runs else {"pool": record.pool}
        facts = {"job": job_id, "queue": letter.queue, "why": letter.failure.message}
        log.warning("job failed", **facts, **ran)
        failure, duration = letter.failure, letter.duration
        if self.replies is not None and failure.code != FOREIGN:
            self.replies.failed(letter.properties, failure.message, duration)
        data = {"error": failure.message, "code": failure.code, "duration": duration}
        self._tell("failed", (letter.queue, job_id), worker, data, kin)

    def progressed(self, message: messages.Progressed) -> None:
        """Note how far a job is, and what it logged."""
        queue, job_id = message.queue_name, message.job_id
        if message.line:
            self._errands.run(self._ledger.line(queue, job_id, message.line))
        if message.percent is not None:
            note = self._ledger.progress(queue, job_id, message.percent, message.note)
            self._errands.run(note)
            data = {"percent": message.percent, "note": message.note}
            self._tell("progress", (queue, job_id), "", data)

    # --- workers that ended -----------------------------------------------------------------

    async def blamed(
        self, worker: str, jobs: Sequence[Key], words: str, charge: Charge = Charge.CRASH
    ) -> None:
        """Commit one death for each of these jobs, then let whoever waits for them go on."""
        for key in jobs:
            await self._begun(key)
        for queue in dict.fromkeys(queue for queue, _ in jobs):
            # One commit for all of a queue's jobs (a worker has one queue, or one job alone): tried
            # again after an error, none of them is counted twice.
            ids = tuple(job_id for other, job_id in jobs if other == queue)
            await self._ledger.crash(queue, ids, worker=worker, exit=words, charge=charge)
        for key in jobs:
            self._tell("waiting", key, worker, {"exit": words, "blame": charge.value})
            self._book.close(key)

    # --- inside -----------------------------------------------------------------------------

    def _finished(self, queue: str, job_id: str, told: Sequence[Notice], *, is_final: bool) -> None:
        self._book.close((queue, job_id), is_final=is_final)
        if told:
            self._telling.poke()

    async def _begun(self, key: Key) -> Running | None:
        """Return what is in hand, once the ledger has it."""
        running = self._book.running(key)
        if running is not None:
            await running.begun.wait()
        return running

    def _attempts(self, queue: str, job_id: str) -> int:
        running = self._book.running((queue, job_id))
        return running.attempts if running else 0

    def _tell(
        self, name: str, key: Key, worker: str, data: Mapping[str, object], kin: Kin | None = None
    ) -> None:
        """Tell of a job; without ``kin`` it is in somebody's hand."""
        said = msgspec.structs.asdict(self._book.kin(key) if kin is None else kin)
        event = Event(name, self._clock.utcnow(), *key, worker=worker, data=data, **said)
        self._bulletin.publish(event)

    def _record(self, running: Running, job_id: str) -> JobRecord:
        claim = running.claim
        return JobRecord(
            id=job_id,
            pool=pool_of(running.holder),
            queue=claim.queue,
            state=JobState.COMPLETED,
            priority=claim.priority,
            data=decoded(claim.body),
            sender=claim.sender,
            noreply=claim.noreply,
            attempts=running.attempts,
            finished_at=self._clock.utcnow(),
        )

    def _letter_record(self, letter: DeadLetter, job_id: str) -> JobRecord:
        return JobRecord(
            id=job_id,
            pool=self._pools[letter.queue].name if letter.queue in self._pools else letter.queue,
            queue=letter.queue,
            state=JobState.FAILED,
            priority=_urgency(letter),
            data=decoded(letter.body),
            sender=letter.sender,
            noreply=letter.noreply,
            attempts=letter.attempts,
            finished_at=self._clock.utcnow(),
        )


def _nobody_cares() -> None:
    """Take no notice."""


def _is_second_publish(claim: Claim, drop: Drop) -> bool:
    """Answer whether a publisher, and not the broker or we, sent the id of a known job again."""
    return _is_first_delivery(claim) and drop.why in {SETTLED, STALE}


def _is_first_delivery(claim: Claim) -> bool:
    return not (claim.redelivered or claim.seq)


def _urgency(letter: DeadLetter) -> Priority:
    try:
        return priority_named(letter.properties.headers.get(PRIORITY, Priority.NORMAL))
    except MalformedError:
        return Priority.NORMAL
