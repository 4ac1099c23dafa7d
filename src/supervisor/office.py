"""The office: what the doors (HTTP API, CLI, demo) may ask of a running coordinator."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from consumers import logs
from consumers.clock import Clock
from consumers.oversized import warnings
from supervisor.bulletin import Bulletin
from supervisor.clerk import Clerk
from supervisor.conditions import Conditions
from supervisor.core.fleet import Fleet, Stopping
from supervisor.core.readiness import Condition
from supervisor.core.records import (
    Family,
    Incident,
    JobFilter,
    JobPage,
    JobRecord,
    JobState,
    NewJob,
    PoolCard,
    Relative,
)
from supervisor.desks.events import EVERYTHING, Listening, Wanted
from supervisor.desks.letters import Letters
from supervisor.desks.logs import Logs
from supervisor.desks.pools import Pools
from supervisor.desks.queues import Queues
from supervisor.desks.retries import Retries
from supervisor.desks.schedules import Schedules
from supervisor.desks.steering import Steering
from supervisor.doubles import Doubles
from supervisor.ledger import families, listing, pending
from supervisor.ledger.deduplications import Terms
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.lookup import find
from supervisor.orders import Door, job_of
from supervisor.perform import Performer
from supervisor.ports import (
    BadOrderError,
    ControlError,
    Deduplicate,
    Entered,
    EventsView,
    Mode,
    NotNowError,
    Order,
    QueueView,
    SiteView,
    Status,
    WorkerView,
    taken,
    unknown_pool,
)
from supervisor.poster import Poster
from supervisor.postroom import Postroom
from supervisor.switchboard import Switchboard
from supervisor.views import Moment, health, worker_view
from workers import sites

DISTRIBUTION = "rabbit-supervisor"
MOST_IN_A_COMMIT = 250  # jobs; others want to write too

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
    poster: Poster
    schedules: Schedules
    retries: Retries
    pools: Pools
    queues: Queues
    steering: Steering
    letters: Letters
    logs: Logs
    events: Callable[[], EventsView | None] = lambda: None


class Office:
    """Implements ``ports.Control``."""

    def __init__(
        self, pools: Iterable[PoolCard], sources: Sources, clock: Clock, *, body_limit: int
    ) -> None:
        self._pools = {pool.name: pool for pool in pools}
        self._sources = sources
        self._clock = clock
        self._body_limit = body_limit
        self._doubles = Doubles(sources.ledger, sources.clerk.book, clock)
        self._born = clock.monotonic()
        self._counts: Mapping[str, Mapping[JobState, int]] = {}  # as of the last look

    # --- jobs -------------------------------------------------------------------------------

    async def submit(self, order: Order, *, origin: str = "") -> JobRecord:
        """Enter a job and have it published; the same id again returns the job there is."""
        job, now = self._job(order, origin), self._clock.utcnow()
        try:
            job_id, is_new = await self._enter(job, order.deduplicate)
        except LedgerError as error:
            why = f"the job was not stored, publish it again when the ledger takes it: {error}"
            raise NotNowError(why) from error
        is_soon = is_new and job.post_at is None
        is_posted = is_soon and await self._sources.poster.posted((job.queue, job_id))
        # Where that takes longer it is pending: on the disk, and sure to be published.
        state = JobState.PENDING
        if is_posted:
            state = JobState.DELAYED if job.delay > 0 else JobState.WAITING
        if is_new and job_id == job.id:
            return job.record(state, created_at=now)
        find = partial(listing.one, queue=job.queue, job_id=job_id, now=self._clock.utcnow())
        return await self._sources.ledger.read(find)

    async def _enter(self, job: NewJob, wish: Deduplicate | None) -> tuple[str, bool]:
        """Return the job that an order came to, and whether there is something to publish."""
        if wish is None:
            enter = partial(pending.enter, job=job, now=self._clock.utcnow())
            return job.id, await self._sources.ledger.write(enter)
        terms = Terms(wish.key, wish.ttl, replaces=wish.mode is Mode.REPLACE)
        entry = await self._doubles.enter(job, terms)
        return entry.job_id, entry.has_changed

    async def submit_many(
        self, orders: Sequence[Order], *, origin: str = ""
    ) -> tuple[Entered | ControlError, ...]:
        """Enter many jobs in few commits and have them published."""
        judged = [self._judged(order, origin) for order in orders]
        sound = [job for job in judged if isinstance(job, NewJob)]
        entered: list[Entered | ControlError] = []
        try:
            for start in range(0, len(sound), MOST_IN_A_COMMIT):
                some = sound[start : start + MOST_IN_A_COMMIT]
                enter = partial(pending.enter_many, many=some, now=self._clock.utcnow())
                news = await self._sources.ledger.write(enter)
                entered += map(_entered, some, news)
        except LedgerError as error:
            why = f"not all jobs were stored, hand them in again with their ids: {error}"
            raise NotNowError(why) from error
        finally:
            self._sources.poster.poke()
        answers = iter(entered)
        return tuple(next(answers) if isinstance(job, NewJob) else job for job in judged)

    def _judged(self, order: Order, origin: str) -> NewJob | ControlError:
        if order.deduplicate is not None:
            return BadOrderError("deduplicate: is for orders that come one by one")
        try:
            return self._job(order, origin)
        except ControlError as error:
            return error

    async def job(self, job_id: str) -> JobRecord:
        """Return one job with its history; the start of its id will do if no other begins so."""
        return await find(self._sources.ledger, job_id)

    async def job_at(self, place: Relative) -> JobRecord | None:
        """Return the job of this very queue and id."""
        now = self._clock.utcnow()
        look = partial(listing.at, queue=place.queue, job_id=place.id, now=now)
        return await self._sources.ledger.read(look)

    async def jobs(self, wanted: JobFilter) -> tuple[JobRecord, ...]:
        """Return the newest jobs that fit."""
        if wanted.pool is not None:
            self._pool(wanted.pool)
        return tuple(await self._sources.ledger.find(wanted))

    async def page(self, wanted: JobFilter) -> JobPage:
        """Return a page of the jobs that fit."""
        if wanted.pool is not None:
            self._pool(wanted.pool)
        look = partial(listing.page, wanted=wanted, now=self._clock.utcnow())
        return await self._sources.ledger.read(look)

    async def family(self, job_id: str, *, limit: int) -> Family:
        """Return a job and what came of it."""
        job = await find(self._sources.ledger, job_id)
        look = partial(families.family, job=job, limit=limit, now=self._clock.utcnow())
        return await self._sources.ledger.read(look)

    def _pool(self, name: str) -> PoolCard:
        if name not in self._pools:
            raise unknown_pool(name, self._pools)
        return self._pools[name]

    def _job(self, order: Order, origin: str) -> NewJob:
        door, now = Door(origin, self._body_limit, self._pools), self._clock.utcnow()
        return job_of(order, self._pool(order.pool), door, now=now)

    @property
    def schedules(self) -> Schedules:
        """Return the desk for jobs that come by themselves."""
        return self._sources.schedules

    @property
    def logs(self) -> Logs:
        """Return the desk for logs."""
        return self._sources.logs

    @property
    def retries(self) -> Retries:
        """Return the desk for how jobs fare by attempts."""
        return self._sources.retries

    @property
    def pools(self) -> Pools:
        """Return the desk for how many workers there are, and for work on demand."""
        return self._sources.pools

    @property
    def queues(self) -> Queues:
        """Return the desk for queues."""
        return self._sources.queues

    @property
    def letters(self) -> Letters:
        """Return the desk for dead letters."""
        return self._sources.letters

    @property
    def steering(self) -> Steering:
        """Return the desk for jobs that people steer."""
        return self._sources.steering

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
            queues=await self._queues(counts),
            conditions=self.conditions(),
            sites=await asyncio.to_thread(self._sites),
            events=self._sources.events(),
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

    def events(self, wanted: Wanted = EVERYTHING, after: str | None = None) -> Listening:
        """Listen to what happens from now on, or since an event."""
        return self._sources.bulletin.listen(wanted, after=after)

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

    async def _queues(self, counts: Mapping[str, Mapping[JobState, int]]) -> tuple[QueueView, ...]:
        asked = [self._queue(pool, counts) for pool in self._pools.values()]
        return tuple(await asyncio.gather(*asked))

    async def _queue(
        self, pool: PoolCard, all_counts: Mapping[str, Mapping[JobState, int]]
    ) -> QueueView:
        counts = all_counts.get(pool.queues.public, {})
        figures = await self._sources.postroom.figures(pool.name)
        staying = self._staying(pool.name)
        return QueueView(
            queue=pool.queues.public,
            pool=pool.name,
            ready=figures.ready,
            active=self._sources.clerk.active(pool.queues.public),
            delayed=counts.get(JobState.DELAYED, 0),
            dead=counts.get(JobState.FAILED, 0),
            completed=counts.get(JobState.COMPLETED, 0),
            paused=self._sources.conditions.is_paused(pool.name),
            duplicates=self._sources.clerk.duplicates(pool.queues.public),
            oversized=figures.oversized,
            staying=staying,
            warnings=warnings(pool.queues.dead, aside=figures.oversized or 0, staying=staying),
            limit=pool.limits.words,
            is_waiting=self._sources.switchboard.is_waiting_for_rate(pool.name),
        )

    def _staying(self, pool: str) -> int:
        """Return how many letters too large a pool's workers have in hand, and we ourselves."""
        workers = self._sources.fleet().workers.values()
        reports = self._sources.switchboard.metrics
        told = [reports[each.id] for each in workers if each.pool == pool and each.id in reports]
        return self._sources.postroom.staying(pool) + sum(each.staying_letters for each in told)


def _entered(job: NewJob, entry: pending.Entry) -> Entered | ControlError:
    if entry is pending.Entry.TAKEN:
        return taken(job.id)
    return Entered(job.id, is_new=entry is pending.Entry.NEW)
