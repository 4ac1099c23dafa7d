"""One delivery from its claim to its ack: judged, run, recorded, settled.

Nothing is acked before the desk has noted what became of it, or before its copy is confirmed.
The session that brought the delivery settles it; when that has ended, the redelivery is
recognised by the desk. If a queue was deleted there is none, perhaps: then the copy that follows a
run is published by the next session.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from consumers import copies, jobs, logs
from consumers.broker.port import Message
from consumers.clock import Clock
from consumers.copies import End
from consumers.desk import Claim, Condemn, Desk, Drop, Later, Move, Park, Run
from consumers.errors import BrokerError, MalformedError, UnroutableError, UnsayableError
from consumers.hand import Hand
from consumers.jobs import Envelope, Job, Priority
from consumers.limits import key_of
from consumers.outcome import NOT_BEGUN, Failure, Outcome
from consumers.parking import Parking
from consumers.refusals import Errand, Refusals
from consumers.retry import RetryPolicy, limited
from consumers.returns import Returns
from consumers.settle import Bury, Ending, Finish, Forget, GiveBack, TryAgain, settle
from consumers.solitude import Solitude, Turn
from consumers.topology import PoolQueues

HOLD = 1.0  # seconds an unstarted delivery may wait for a slot before others get it

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Sequel:
    """The copy that follows a run: where to, after how many seconds; its number if it has one."""

    queue: str
    copy: Message
    delay: float = 0.0
    seq: int = 0


class Executor:
    """Does for each delivery what the coordinator, the processor and the policy say."""

    def __init__(
        self,
        queues: PoolQueues,
        retry: RetryPolicy,
        desk: Desk,
        run: Callable[[Job], Awaitable[Outcome]],
        clock: Clock,
    ) -> None:
        self._queues = queues
        self._retry = retry
        self._desk = desk
        self._run = run
        self._clock = clock
        self.returns = Returns(queues)
        self.refusals = Refusals(clock)
        self.solitude = Solitude()
        self.solitude.patience = partial(clock.sleep, HOLD)
        self.limited_by = ""  # what tells apart on whose account a job runs, if that is limited
        # Where the broker takes back what is not acked in time; the embedded queues never do.
        self.parking: Parking | None = None

    async def execute(self, hand: Hand, envelope: Envelope) -> float | None:
        """Take one delivery to its end; return how long its processor ran, None if it did not."""
        came_at = self._clock.monotonic()
        home = self._home(hand)
        key = key_of(envelope.data, envelope.sender, self.limited_by)
        verdict = await self._desk.claim(_claim(home, hand, envelope, key))
        if isinstance(verdict, Run):
            job = _job(home, envelope, verdict)
            # Nothing waits between the end of its place and the first word about its outcome:
            # otherwise it could be blamed for what those do who begin then.
            with self.solitude.place(alone=verdict.alone) as turn:
                outcome = await self._run_job(hand, job, came_at, turn)
            hand.ran()
            await self._settle_run(hand, job, outcome, verdict)
            return None if outcome is NOT_BEGUN else outcome.duration
        await self._follow(hand, home, verdict)
        return None

    def lost(self, session: int) -> None:
        """Say that a session is over, by its number."""
        self._desk.lost(session)

    async def refuse(self, hand: Hand, error: MalformedError) -> None:
        """Send a message that is no job to the dead letters, with the field named."""
        job_id = jobs.identity(hand.message.properties) or uuid.uuid4().hex
        log.warning("message refused", queue=hand.delivery.queue, job=job_id, why=error.message)
        failure = Failure(error.message, code=error.code, hint=error.hint, permanent=True)
        await self._bury(hand, job_id, failure, attempts=0)

    async def move(self, hand: Hand, *, delay: float, urgency: Priority | None = None) -> None:
        """Send a foreign job with an urgency or a delay of its own to the private lane."""
        copy = copies.moved(hand.message, urgency)
        await self._replace(hand, self._queues.priority, copy, delay=delay)

    async def refresh(self, hand: Hand) -> None:
        """Replace a delivery that came back too often by a copy in the private lane."""
        await self._replace(hand, self._queues.priority, self.returns.copy(hand.delivery))

    async def give_back(self, hand: Hand, *, job_id: str = "") -> bool:
        """Return a delivery unsettled; True when a copy, of that id, took its place instead.

        For one that is parked the coordinator does it.
        """
        if not hand.is_parked and self.returns.would_wear(hand.delivery):
            copy = self.returns.copy(hand.delivery, job_id=job_id)
            try:
                await hand.replace(self._queues.priority, copy)
            except UnroutableError as error:
                log.warning("delivery not refreshed", queue=hand.delivery.queue, why=str(error))
            else:
                return True
        await hand.requeue()
        return False

    async def _follow(
        self, hand: Hand, home: str, verdict: Later | Move | Drop | Park | Condemn
    ) -> None:
        """Do what is to be done with a delivery that does not run."""
        match verdict:
            case Park():
                if self.parking is not None:  # or the coordinator would not have said so
                    await self._park(hand, home, verdict, self.parking)
            case Drop(job_id=job_id, why=why):
                log.info("delivery dropped", job=job_id, why=why)
                await self._conclude(hand, (home, job_id), None)
            case _:
                sequel = self._ordered(hand, home, verdict)
                await self._conclude(hand, (home, verdict.job_id), sequel)

    def _ordered(self, hand: Hand, home: str, verdict: Later | Move | Condemn) -> Sequel:
        """Return the copy that the coordinator wants in a delivery's place."""
        job_id, attempts = verdict.job_id, verdict.attempts
        match verdict:
            case Move(lane=lane, seq=seq):
                copy = copies.again(hand.message, job_id=job_id, seq=seq, attempts=attempts)
                return Sequel(lane, copies.known_by(copy, home), seq=seq)
            case Later(delay=delay, seq=seq):
                copy = copies.again(hand.message, job_id=job_id, seq=seq, attempts=attempts)
                return Sequel(self._queues.priority, copy, delay, seq)
            case Condemn(failure=failure):
                return Sequel(self._queues.dead, self._dead(hand, job_id, failure, attempts))

    async def _park(self, hand: Hand, home: str, verdict: Park, parking: Parking) -> None:
        try:
            await self.refusals.see_to(parking.errand(hand, verdict))
        except BrokerError:
            self._desk.unsettled(home, verdict.job_id, is_nameless=hand.is_nameless)
            raise

    async def _run_job(self, hand: Hand, job: Job, came_at: float, turn: Turn) -> Outcome:
        if self.parking is None:
            return await self._run_in_turn(job, turn)
        # Also while it waits for its turn: those before it may take their time.
        async with self.parking.during(hand, job, came_at=came_at):
            return await self._run_in_turn(job, turn)

    async def _run_in_turn(self, job: Job, turn: Turn) -> Outcome:
        if not await turn():
            return NOT_BEGUN
        self._desk.started(job)
        return await self._run(job)

    async def _settle_run(self, hand: Hand, job: Job, outcome: Outcome, verdict: Run) -> None:
        roll, policy = self._clock.roll(), limited(self._retry, job.max_attempts)
        settlement = settle(outcome, policy, attempts=verdict.attempts, roll=roll)
        try:
            if isinstance(settlement, GiveBack):
                await self._interrupt(hand, job, settlement)
            else:
                sequel = await self._note(hand, job, settlement)
                await self._conclude(hand, (job.queue, job.id), sequel, has_run=True)
        finally:
            if self.parking is not None:
                self.parking.forget(job, hand)

    async def _interrupt(self, hand: Hand, job: Job, back: GiveBack) -> None:
        """Let a job wait again that the machine broke off; what comes again is that very job."""
        await self._desk.interrupted(job, back.failure, duration=back.duration)
        try:
            if await self.give_back(hand, job_id=job.id):
                nameless = hand.is_nameless
                self._desk.settled(job.queue, job.id, has_run=True, is_nameless=nameless)
        except BrokerError:
            nameless = hand.is_nameless
            self._desk.unsettled(job.queue, job.id, has_run=True, is_nameless=nameless)
            raise

    async def _note(self, hand: Hand, job: Job, ending: Ending) -> Sequel | None:
        """Have an outcome noted; return the copy that follows, if one does."""
        match ending:
            case Finish(completed=completed):
                await self._desk.completed(job, completed)
            case TryAgain(failure=failure, delay=delay, attempts=attempts, duration=duration):
                seq = await self._desk.retrying(job, failure, delay=delay, duration=duration)
                copy = copies.again(hand.message, job_id=job.id, seq=seq, attempts=attempts)
                return Sequel(self._queues.priority, copy, delay, seq)
            case Bury(failure=failure, attempts=attempts, duration=duration):
                await self._desk.giving_up(job, failure, duration=duration)
                letter = self._dead(hand, job.id, failure, attempts, duration=duration)
                return Sequel(self._queues.dead, letter)
            case Forget(duration=duration):
                await self._desk.cancelled(job, duration=duration)
        return None

    async def _conclude(
        self, hand: Hand, key: tuple[str, str], sequel: Sequel | None, *, has_run: bool = False
    ) -> None:
        """Settle a delivery for good, or see at least to the copy that follows it."""
        hand.acking = partial(self._desk.acking, *key)
        try:
            if sequel is None:
                await hand.ack()
            else:
                await self._replace(hand, sequel.queue, sequel.copy, delay=sequel.delay)
            seq = sequel.seq if sequel is not None else 0
            self._desk.settled(*key, seq=seq, has_run=has_run, is_nameless=hand.is_nameless)
        except asyncio.CancelledError:
            if not hand.is_acking:  # told to stop before the line had answered
                self._desk.unsettled(*key, has_run=has_run, is_nameless=hand.is_nameless)
            raise
        except BrokerError as error:
            self._desk.unsettled(*key, has_run=has_run, is_nameless=hand.is_nameless)
            if sequel is None or self.parking is None or not await hand.is_orphaned():
                raise
            log.info("copy is left to the next session", job=key[1], why=str(error))
            hand.entrust(self.parking)
            await self._replace(hand, sequel.queue, sequel.copy, delay=sequel.delay)
            if sequel.seq:
                self._desk.parked(*key, sequel.seq, is_owed=True)

    async def _bury(self, hand: Hand, job_id: str, failure: Failure, attempts: int) -> None:
        await self._replace(hand, self._queues.dead, self._dead(hand, job_id, failure, attempts))

    def _dead(
        self, hand: Hand, job_id: str, failure: Failure, attempts: int, *, duration: float = 0.0
    ) -> Message:
        end = End(self._home(hand), failure, attempts, self._clock.utcnow(), duration)
        return copies.dead(hand.message, job_id=job_id, end=end)

    def _home(self, hand: Hand) -> str:
        return copies.home_of(hand.message, self._queues.public)

    async def _replace(self, hand: Hand, queue: str, copy: Message, *, delay: float = 0.0) -> None:
        """Replace a delivery by its copy; while the copy is refused, the delivery is kept.

        A queue that is full or was deleted stops the consumer, and says so: better than to lose
        the job or to run it in circles.
        """
        errand = Errand(
            queue,
            store=partial(_store, hand, queue, copy, delay),
            mend=partial(hand.declare, self._queues),
            ended=hand.ended,
        )
        await self.refusals.see_to(errand)


async def _store(hand: Hand, queue: str, copy: Message, delay: float) -> None:
    """Replace a delivery by its copy; one that cannot be said in AMQP loses foreign headers."""
    try:
        await hand.replace(queue, copy, delay=delay)
    except UnsayableError as error:
        log.warning("copy does not fit AMQP, foreign headers left out", queue=queue, why=str(error))
        await hand.replace(queue, copies.slimmed(copy), delay=delay)


def _claim(queue: str, hand: Hand, envelope: Envelope, key: str) -> Claim:
    message, delivery = hand.message, hand.delivery
    return Claim(
        queue=queue,
        body=message.body,
        properties=message.properties,
        fingerprint=jobs.fingerprint(queue, message.body, message.properties),
        redelivered=hand.was_redelivered,
        job_id=envelope.job_id,
        sender=envelope.sender,
        noreply=envelope.noreply,
        priority=envelope.priority,
        attempts=envelope.attempts,
        seq=envelope.seq,
        tag=delivery.number,
        session=delivery.generation,
        limit_key=key,
        name=envelope.type,
        max_attempts=envelope.max_attempts,
    )


def _job(queue: str, envelope: Envelope, verdict: Run) -> Job:
    return Job(
        id=verdict.job_id,
        queue=queue,
        data=envelope.data,
        attempt=verdict.attempts + 1,
        sender=envelope.sender,
        noreply=envelope.noreply,
        priority=envelope.priority,
        faults=verdict.faults,
        type=envelope.type,
        max_attempts=envelope.max_attempts,
        seq=verdict.seq,
    )
