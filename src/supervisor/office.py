"""The office: what the doors (HTTP API, CLI, demo) may ask of a running coordinator."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from consumers import jobs, logs
from consumers.broker.port import Message
from consumers.clock import Clock
from consumers.errors import BrokerError, MalformedError
from consumers.jobs import Priority, Properties, priority_named
from consumers.oversized import warnings
from consumers.topology import LONGEST_DELAY
from supervisor.bulletin import Bulletin
from supervisor.clerk import Clerk
from supervisor.conditions import Conditions
from supervisor.core.fleet import Fleet, Stopping
from supervisor.core.readiness import Condition
from supervisor.core.records import Incident, JobFilter, JobRecord, JobState, NewJob, PoolCard
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.perform import Performer
from supervisor.ports import (
    BadOrderError,
    Event,
    NotNowError,
    Order,
    QueueView,
    SiteView,
    Status,
    UnknownJobError,
    UnknownPoolError,
    WorkerView,
)
from supervisor.postroom import Postroom
from supervisor.switchboard import Switchboard
from supervisor.views import Moment, health, worker_view
from workers import sites

DISTRIBUTION = "rabbit-supervisor"
LONGEST_ID = 200  # bytes; AMQP has room for 255
SHORTEST_START = 4  # characters of an id that may stand for all of it
CATCH_UP_EVERY = 2.0  # seconds, while the broker is away

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the office looks things up."""

    ledger: Ledger
    postroom: Postroom
    clerk: Clerk
    switchboard: Switchboard
    performer: Performer
    bulletin: Bulletin
    conditions: Conditions
    fleet: Callable[[], Fleet]
    media: Path


class Office:
    """Implements ``ports.Control``."""

    def __init__(
        self, pools: Iterable[PoolCard], sources: Sources, clock: Clock, *, body_limit: int
    ) -> None:
        self._pools = {pool.name: pool for pool in pools}
        self._sources = sources
        self._clock = clock
        self._body_limit = body_limit
        self._born = clock.monotonic()
        self._counts: Mapping[str, Mapping[JobState, int]] = {}  # as of the last look

    # --- jobs -------------------------------------------------------------------------------

    async def submit(self, order: Order) -> JobRecord:
        """Enter a job, then publish it; the same id again returns the job there is."""
        job = self._job(order)
        try:
            record, is_new = await self._sources.ledger.create(job, state=JobState.PENDING)
        except LedgerError as error:
            why = f"the job was not stored, publish it again when the ledger takes it: {error}"
            raise NotNowError(why) from error
        if not is_new:
            return record
        # Told before it is published: a worker may have it before the broker's confirm is here.
        self._tell("delayed" if job.delay else "waiting", job)
        try:
            await self._publish(job)
        except NotNowError:
            await self._sources.ledger.withdraw(job.queue, job.id)
            self._tell("removed", job)
            raise
        await self._sources.ledger.published(job.queue, job.id)
        return await self.job(job.id)

    async def catch_up(self) -> None:
        """Publish what an earlier life had entered and not published; returns when it is done."""
        said = ""
        while True:
            try:
                for job in await self._sources.ledger.unpublished():
                    await self._republish(job)
                break
            except (LedgerError, NotNowError) as error:
                if str(error) != said:
                    log.info("jobs of an earlier life wait to be published", why=str(error))
                said = str(error)
                await self._clock.sleep(CATCH_UP_EVERY)

    async def _republish(self, job: NewJob) -> None:
        if job.pool not in self._pools:
            log.warning("job waits for a pool that is not configured", job=job.id, pool=job.pool)
            return
        await self._publish(job)
        await self._sources.ledger.published(job.queue, job.id)
        log.info("job of an earlier life published", job=job.id, queue=job.queue)

    async def job(self, job_id: str) -> JobRecord:
        """Return one job with its history; the start of its id will do if no other begins so."""
        record = await self._sources.ledger.show(job_id)
        if record is None and len(job_id) >= SHORTEST_START:
            record = await self._only_one(job_id)
        if record is None:
            why = f"no job {job_id} in the ledger: `jobs` lists those there are"
            raise UnknownJobError(why)
        return record

    async def _only_one(self, start: str) -> JobRecord | None:
        found, count = await self._sources.ledger.beginning_with(start)
        if count > 1:
            why = f"{count} jobs have ids that begin with {start}: write more of it"
            raise UnknownJobError(why)
        return None if found is None else await self._sources.ledger.show(found)

    async def jobs(self, wanted: JobFilter) -> tuple[JobRecord, ...]:
        """Return the newest jobs that fit."""
        if wanted.pool is not None:
            self._pool(wanted.pool)
        return tuple(await self._sources.ledger.find(wanted))

    def _pool(self, name: str) -> PoolCard:
        if name not in self._pools:
            why = f"no pool {name!r} is configured; there are: {', '.join(self._pools)}"
            raise UnknownPoolError(why)
        return self._pools[name]

    def _job(self, order: Order) -> NewJob:
        pool = self._pool(order.pool)
        body = msgspec.json.encode(order.data)
        if not 0 <= order.delay <= LONGEST_DELAY:
            why = f"delay: must be 0 to {LONGEST_DELAY:,.0f} seconds, is {order.delay:g}"
            raise BadOrderError(why)
        try:
            priority = priority_named(order.priority)
            envelope = jobs.read(body, Properties(), limit=self._body_limit)
        except MalformedError as error:
            raise BadOrderError(_as_ordered(error)) from error
        job_id = _checked_id(order.id) if order.id is not None else uuid.uuid4().hex
        return NewJob(
            id=job_id,
            pool=pool.name,
            queue=pool.queues.public,
            body=body,
            properties=Properties(
                message_id=job_id,
                content_type="application/json",
                priority=priority.amqp,
                timestamp=self._clock.utcnow(),
            ),
            priority=priority,
            sender=envelope.sender,
            noreply=envelope.noreply,
            delay=order.delay,
        )

    async def _publish(self, job: NewJob) -> None:
        queues = self._pools[job.pool].queues
        is_plain = job.priority is Priority.NORMAL and not job.delay
        lane = queues.public if is_plain else queues.priority
        try:
            message = Message(job.body, job.properties)
            await self._sources.postroom.publish(lane, message, delay=job.delay)
        except BrokerError as error:
            why = f"the job was not stored, publish it again when the broker is back: {error}"
            raise NotNowError(why) from error

    def _tell(self, name: str, job: NewJob) -> None:
        event = Event(name=name, at=self._clock.utcnow(), queue=job.queue, id=job.id)
        self._sources.bulletin.publish(event)

    # --- the house --------------------------------------------------------------------------

    async def status(self) -> Status:
        """Return the state of the house as of now."""
        fleet = self._sources.fleet()
        workers = tuple(self._workers(fleet))
        counts = await self._count()
        return Status(
            version=version(DISTRIBUTION),
            pid=os.getpid(),
            uptime=self._clock.monotonic() - self._born,
            state="running" if fleet.stopping is Stopping.NO else "draining",
            broker=self._sources.postroom.view,
            health=health(workers, self._sources.switchboard.retired),
            workers=workers,
            queues=tuple([await self._queue(pool, counts) for pool in self._pools.values()]),
            conditions=self.conditions(),
            sites=await asyncio.to_thread(self._sites),
        )

    def conditions(self) -> tuple[Condition, ...]:
        """Return why jobs are not consumed as they should be; asks nobody, answers at once."""
        return self._sources.conditions.now()

    async def incidents(self, worker: str | None, limit: int) -> tuple[Incident, ...]:
        """Return why workers were restarted, the newest first; of one worker if it is named."""
        return await self._sources.ledger.incidents(worker, limit)

    def _sites(self) -> tuple[SiteView, ...]:
        now = self._clock.utcnow().timestamp()
        found = sites.cooling(self._sources.media, now=now)
        return tuple(SiteView(site.name, site.why, left) for site, left in found)

    async def _count(self) -> Mapping[str, Mapping[JobState, int]]:
        """Return how many jobs are in which state; the last figures from a ledger in trouble."""
        try:
            self._counts = await self._sources.ledger.counts()
        except LedgerError as error:
            log.debug("jobs not counted", why=str(error))
        return self._counts

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens from now on."""
        return self._sources.bulletin.listen()

    def _workers(self, fleet: Fleet) -> list[WorkerView]:
        moment = Moment(self._clock.monotonic(), self._clock.utcnow())
        return [
            worker_view(
                worker,
                fleet.policy_of(worker),
                self._sources.switchboard.metrics.get(worker.id),
                self._sources.performer.last_restarts.get(worker.id),
                moment,
            )
            for worker in fleet.workers.values()
        ]

    async def _queue(
        self, pool: PoolCard, all_counts: Mapping[str, Mapping[JobState, int]]
    ) -> QueueView:
        counts = all_counts.get(pool.queues.public, {})
        oversized = await self._sources.postroom.oversized(pool.name)
        staying = self._staying(pool.name)
        return QueueView(
            queue=pool.queues.public,
            pool=pool.name,
            ready=await self._sources.postroom.depth(pool.name),
            active=self._sources.clerk.active(pool.queues.public),
            delayed=counts.get(JobState.DELAYED, 0),
            dead=counts.get(JobState.FAILED, 0),
            completed=counts.get(JobState.COMPLETED, 0),
            duplicates=self._sources.clerk.duplicates(pool.queues.public),
            oversized=oversized,
            staying=staying,
            warnings=warnings(pool.queues.dead, aside=oversized or 0, staying=staying),
        )

    def _staying(self, pool: str) -> int:
        """Return how many letters too large a pool's workers have in hand, and we ourselves."""
        workers = self._sources.fleet().workers.values()
        reports = self._sources.switchboard.metrics
        told = [reports[each.id] for each in workers if each.pool == pool and each.id in reports]
        return self._sources.postroom.staying(pool) + sum(each.staying_letters for each in told)


def _checked_id(job_id: str) -> str:
    is_short = 0 < len(job_id.encode(errors="replace")) <= LONGEST_ID
    if not is_short or not job_id.isprintable():
        why = f"id: must be 1 to {LONGEST_ID} bytes of printable text, is {job_id[:40]!r}"
        raise BadOrderError(why)
    return job_id


def _as_ordered(error: MalformedError) -> str:
    """Return what is wrong with a message in the words of an order's fields."""
    said = {jobs.PRIORITY: "priority", "body": "data"}.get(error.field, f"data.{error.field}")
    return said + error.message.removeprefix(error.field)
