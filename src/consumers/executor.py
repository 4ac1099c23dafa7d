"""One delivery from its claim to its ack: judged, run, recorded, settled.

Nothing is acked before the desk has noted what became of it, or before its copy is confirmed.
The session that brought the delivery settles it; when that has ended, the redelivery is
recognised by the desk.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from consumers import copies, jobs, logs
from consumers.broker.port import Delivery, Message, Session
from consumers.clock import Clock
from consumers.copies import End
from consumers.desk import Claim, Condemn, Desk, Drop, Later, Run
from consumers.errors import MalformedError, UnroutableError
from consumers.jobs import Envelope, Job
from consumers.outcome import Failure, Outcome
from consumers.replies import reply
from consumers.retry import RetryPolicy
from consumers.settle import Bury, Finish, Forget, Settlement, TryAgain, settle
from consumers.topology import PoolQueues

REFUSED = 5.0  # seconds between two tries to store a copy

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Hand:
    """A delivery and the session that brought it."""

    session: Session
    delivery: Delivery

    @property
    def message(self) -> Message:
        """Return what was delivered."""
        return self.delivery.message

    async def ack(self) -> None:
        """Settle the delivery."""
        await self.session.ack(self.delivery)

    async def replace(self, queue: str, copy: Message, *, delay: float = 0.0) -> None:
        """Store the copy, then ack the original: a duplicate is possible, a loss is not."""
        await self.session.publish(queue, copy, delay=delay)
        await self.ack()

    async def answer(self, answer: Mapping[str, object]) -> None:
        """Tell whoever waits at ``reply_to``."""
        if self.message.properties.reply_to:
            await reply(self.session, self.message.properties, answer)


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

    async def execute(self, hand: Hand, envelope: Envelope) -> float | None:
        """Take one delivery to its end; return how long its processor ran, None if it did not."""
        verdict = await self._desk.claim(_claim(self._queues.public, hand.delivery, envelope))
        match verdict:
            case Run():
                return await self._run_and_settle(
                    hand, _job(self._queues, envelope, verdict), verdict
                )
            case Later(job_id=job_id, delay=delay, seq=seq, attempts=attempts):
                copy = copies.again(hand.message, job_id=job_id, seq=seq, attempts=attempts)
                await self._replace(hand, self._queues.priority, copy, delay=delay)
            case Condemn(job_id=job_id, failure=failure, attempts=attempts):
                await self._bury(hand, job_id, failure, attempts)
            case Drop(job_id=job_id, why=why):
                log.info("delivery dropped", job=job_id, why=why)
                await hand.ack()
        self._desk.settled(verdict.job_id)
        return None

    async def refuse(self, hand: Hand, error: MalformedError) -> None:
        """Send a message that is no job to the dead letters, with the field named."""
        own = hand.message.properties
        job_id = str(own.headers.get(jobs.JOB_ID) or own.message_id or uuid.uuid4().hex)
        log.warning("message refused", queue=hand.delivery.queue, job=job_id, why=error.message)
        failure = Failure(error.message, code=error.code, hint=error.hint, permanent=True)
        await self._bury(hand, job_id, failure, attempts=0)

    async def move(self, hand: Hand, *, delay: float) -> None:
        """Send a foreign job with an urgency or a delay of its own to the private lane."""
        copy = copies.moved(hand.message)
        await self._replace(hand, self._queues.priority, copy, delay=delay)

    async def _run_and_settle(self, hand: Hand, job: Job, verdict: Run) -> float:
        self._desk.started(job)
        outcome = await self._run(job)
        roll = self._clock.roll()
        settlement = settle(outcome, self._retry, attempts=verdict.attempts, roll=roll)
        await self._settle(hand, job, settlement, seq=verdict.seq + 1)
        self._desk.settled(job.id)
        return outcome.duration

    async def _settle(self, hand: Hand, job: Job, settlement: Settlement, *, seq: int) -> None:
        match settlement:
            case Finish(completed=completed):
                await self._desk.completed(job, completed)
                await hand.answer({"success": True, "data": completed.result})
                await hand.ack()
            case TryAgain(failure=failure, delay=delay, attempts=attempts, duration=duration):
                await self._desk.retrying(job, failure, delay=delay, seq=seq, duration=duration)
                copy = copies.again(hand.message, job_id=job.id, seq=seq, attempts=attempts)
                await self._replace(hand, self._queues.priority, copy, delay=delay)
            case Bury(failure=failure, attempts=attempts, duration=duration):
                await self._desk.giving_up(job, failure, duration=duration)
                await hand.answer({"success": False, "error": failure.message})
                await self._bury(hand, job.id, failure, attempts)
            case Forget(duration=duration):
                await self._desk.cancelled(job, duration=duration)
                await hand.ack()

    async def _bury(self, hand: Hand, job_id: str, failure: Failure, attempts: int) -> None:
        end = End(self._queues.public, failure, attempts, self._clock.utcnow())
        copy = copies.dead(hand.message, job_id=job_id, end=end)
        await self._replace(hand, self._queues.dead, copy)

    async def _replace(self, hand: Hand, queue: str, copy: Message, *, delay: float = 0.0) -> None:
        """Replace a delivery by its copy; while the copy is refused, the delivery is kept.

        A queue that is full or was deleted stops us here, slot by slot, and says so: better than
        to lose the job or to run it in circles.
        """
        while True:
            try:
                return await hand.replace(queue, copy, delay=delay)
            except UnroutableError as error:
                log.error("copy refused, trying again", queue=queue, why=str(error))  # noqa: TRY400
                await self._clock.sleep(REFUSED)
                await hand.session.declare(self._queues)


def _claim(queue: str, delivery: Delivery, envelope: Envelope) -> Claim:
    message = delivery.message
    return Claim(
        queue=queue,
        body=message.body,
        properties=message.properties,
        fingerprint=jobs.fingerprint(queue, message.body, message.properties),
        redelivered=delivery.redelivered,
        job_id=envelope.job_id,
        sender=envelope.sender,
        noreply=envelope.noreply,
        priority=envelope.priority,
        attempts=envelope.attempts,
        seq=envelope.seq,
        tag=delivery.number,
    )


def _job(queues: PoolQueues, envelope: Envelope, verdict: Run) -> Job:
    return Job(
        id=verdict.job_id,
        queue=queues.public,
        data=envelope.data,
        attempt=verdict.attempts + 1,
        sender=envelope.sender,
        noreply=envelope.noreply,
        priority=envelope.priority,
    )
