"""Parking: a job that takes long is kept by the coordinator, as a copy, in place of its delivery.

RabbitMQ closes the channel of a consumer that has not acked within half an hour (its
``consumer_timeout``). So well before that a worker publishes a copy into the node's private queue
of jobs in flight, acks the original, and works on undisturbed: the coordinator refreshes the copy
from time to time, and settles it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from consumers import copies, logs
from consumers.broker.port import Message, Session
from consumers.clock import Clock
from consumers.desk import Desk, Park
from consumers.errors import BrokerError, ForbiddenError, UnroutableError
from consumers.hand import Hand
from consumers.jobs import Job
from consumers.refusals import Errand
from consumers.topology import PoolQueues

AGAIN = 30.0  # seconds until a job that could not be parked is tried again
NEXT_TRY = 1.0  # seconds until a copy whose session failed is published by the next

log = logs.get(__name__)


@dataclass(slots=True)
class _Attempt:
    """How far the parking of a job is."""

    due: float
    is_over: bool = False  # its run has ended
    is_storing: bool = False  # not to be broken off


class Parking:
    """A tenant of a worker's sessions: parks jobs, and is the ferry of those that are parked."""

    def __init__(
        self, inflight: str, queues: PoolQueues, desk: Desk, clock: Clock, *, after: float
    ) -> None:
        self._inflight = inflight
        self._queues = queues
        self._after = after  # seconds from a delivery's arrival
        self._desk = desk
        self._clock = clock
        self._session: Session | None = None
        self._arrived = asyncio.Event()
        self._hands: dict[tuple[str, str], Hand] = {}  # of the jobs that run, by queue and id
        self._tasks: set[asyncio.Task[None]] = set()

    # --- the tenant -------------------------------------------------------------------------

    async def open(self, session: Session) -> None:
        """Publish by this session from now on."""
        self._session = session
        self._arrived.set()

    def lost(self) -> None:
        """Wait for the next session."""
        self._session = None
        self._arrived.clear()

    # --- the ferry --------------------------------------------------------------------------

    async def session(self) -> Session:
        """Return the session there is, or the next one."""
        while self._session is None:
            await self._arrived.wait()
        return self._session

    async def publish(self, queue: str, copy: Message, *, delay: float) -> None:
        """Store a copy, by one session after another until one has it confirmed.

        A publish of which nobody knows the outcome is done again: the copies have one number,
        and only one of them runs.
        """
        while True:
            session = await self.session()
            try:
                return await session.publish(queue, copy, delay=delay)
            except (UnroutableError, ForbiddenError):
                raise
            except BrokerError as error:
                log.info("copy waits for the next session", queue=queue, why=str(error))
                await self._rest(session)

    async def declare(self, pool: PoolQueues) -> None:
        """Make sure the pool's queues exist, by one session or the next."""
        while True:
            session = await self.session()
            try:
                return await session.declare(pool)
            except ForbiddenError:
                raise
            except BrokerError as error:
                log.info("queues not declared", queue=pool.public, why=str(error))
                await self._rest(session)

    async def _rest(self, failed: Session) -> None:
        """Give the next session time to come; longer if there is none, and it was not the line."""
        await self._clock.sleep(NEXT_TRY)
        if self._session is failed:
            await self._clock.sleep(AGAIN)

    # --- parking ----------------------------------------------------------------------------

    @asynccontextmanager
    async def during(self, hand: Hand, job: Job, *, came_at: float) -> AsyncIterator[None]:
        """Park a job that still runs when its delivery has been in hand for too long.

        The run is not disturbed, nor its end held up: a copy that is being stored just then comes
        too late, and the coordinator will know.
        """
        attempt = _Attempt(due=came_at + self._after)
        task = asyncio.ensure_future(self._park_in_time(hand, job, attempt))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self._hands[job.queue, job.id] = hand
        try:
            yield
        finally:
            attempt.is_over = True
            if not attempt.is_storing:
                task.cancel()

    def forget(self, job: Job, hand: Hand) -> None:
        """Take note that a job is settled, or will never be by this hand."""
        if self._hands.get((job.queue, job.id)) is hand:
            del self._hands[job.queue, job.id]

    def errand(self, hand: Hand, verdict: Park) -> Errand:
        """Return how to park a delivery of a job that runs already."""
        store = partial(self._take_over, hand, verdict)
        return Errand(self._inflight, store, mend=_nothing_to_mend, ended=hand.ended)

    async def adopted(self, queue: str, job_id: str, seq: int) -> None:
        """Let go of a delivery: the coordinator holds a newer copy of the job that runs here."""
        hand = self._hands.get((queue, job_id))
        if hand is not None and hand.seq < seq:
            await hand.park(self)

    async def _take_over(self, hand: Hand, verdict: Park) -> None:
        copy = self._copy(hand, verdict.job_id, verdict.seq, verdict.attempts)
        await hand.session.publish(self._inflight, copy)
        is_acked = await hand.park(self)
        home = copies.home_of(hand.message, self._queues.public)
        self._desk.parked(home, verdict.job_id, verdict.seq, is_owed=not is_acked)

    async def _park_in_time(self, hand: Hand, job: Job, attempt: _Attempt) -> None:
        await self._clock.sleep(max(0.0, attempt.due - self._clock.monotonic()))
        said = ""
        while not (hand.is_parked or attempt.is_over):
            why = await self._park(hand, job, attempt)
            if why and why != said:
                log.warning("job not parked yet, trying again", job=job.id, why=why)
                said = why
            if why and not attempt.is_over:
                await self._clock.sleep(AGAIN)

    async def _park(self, hand: Hand, job: Job, attempt: _Attempt) -> str:
        """Park a running job; return why it could not be done, nothing when it was."""
        seq = await self._desk.parking(job)
        if not seq:
            return "the coordinator does not keep jobs in flight just now"
        if self._session is None:
            return "no session with the broker"
        copy = self._copy(hand, job.id, seq, job.attempt - 1)
        attempt.is_storing = True
        try:
            await self._session.publish(self._inflight, copy)
        except BrokerError as error:
            return str(error)
        finally:
            attempt.is_storing = False
        is_acked = await hand.park(self)
        self._desk.parked(job.queue, job.id, seq, is_owed=not is_acked)
        log.info("long job parked", job=job.id, queue=self._inflight)
        return ""

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("parking failed", exc_info=error)

    def _copy(self, hand: Hand, job_id: str, seq: int, attempts: int) -> Message:
        again = copies.again(hand.message, job_id=job_id, seq=seq, attempts=attempts)
        return copies.parked(again, queue=self._queues.public)


async def _nothing_to_mend() -> None:
    """Wait for the coordinator: the queue of jobs in flight is its own."""
