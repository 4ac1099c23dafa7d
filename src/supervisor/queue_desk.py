"""The desk for queues, served: pools are looked up, orders checked, and the right one is asked."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from consumers import logs
from consumers.clock import Clock
from consumers.jobs import NO_NUL, NUL
from supervisor.cleaning import Cleaning
from supervisor.core.bounds import LONGEST_AGE, LONGEST_WHY, SLOWEST
from supervisor.core.letters import LetterFilter
from supervisor.core.pausing import WHY
from supervisor.core.records import JobState, PoolCard
from supervisor.desks.queues import (
    Cleaned,
    CleanOrder,
    Drained,
    HouseStats,
    Pause,
    PoolShape,
    QueueCard,
    QueueMetrics,
    QueueStats,
    Retried,
    RetryOrder,
    WorkerStats,
)
from supervisor.drains import Drains
from supervisor.intake import Intake
from supervisor.ledger import failed, figures, letters, replays, retention
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.failed import Wanted
from supervisor.ledger.replays import Heading, Turn
from supervisor.ledger.retention import Expired
from supervisor.ledger.store import Ledger
from supervisor.pauses import Pauses
from supervisor.ports import (
    BadOrderError,
    QueueView,
    Status,
    UnknownWorkerError,
    unknown_group,
    unknown_pool,
)
from supervisor.poster import Poster
from supervisor.stats import Scene, card_of, house_stats, metrics_of, stats_of, worker_stats

MOST_RETRIED = 10_000  # failed jobs that one order has run again: it is answered in time
AT_ONCE = 200  # failed jobs that one transaction has run again

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Hands:
    """Who does what is asked for."""

    ledger: Ledger
    pauses: Pauses
    drains: Drains
    cleaning: Cleaning
    poster: Poster
    intake: Intake

    async def begin(self) -> None:
        """Take up what was said in an earlier life, ere a worker starts. Raises LedgerError."""
        await self.pauses.begin()
        await self.drains.begin()
        resume = partial(replays.resume, now=self.ledger.clock.utcnow())
        if late := await self.ledger.write(resume):
            log.info("replays go on at their rate", replays=late)


class QueueDesk:
    """Implements ``desks.queues.Queues``."""

    def __init__(
        self,
        pools: Iterable[PoolCard],
        shapes: Mapping[str, PoolShape],
        hands: Hands,
        status: Callable[[], Awaitable[Status]],
        clock: Clock,
    ) -> None:
        self._pools = {pool.name: pool for pool in pools}
        self._shapes = shapes
        self._hands = hands
        self._status = status
        self._clock = clock
        self._counts: Mapping[str, Mapping[JobState, int]] = {}

    # --- steering ---------------------------------------------------------------------------

    async def pause(self, pool: str | None, why: str = "") -> tuple[Pause, ...]:
        """Take nothing new from a pool's queue, or from all."""
        if NUL in why:
            message = f"why: {NO_NUL}"
            raise BadOrderError(message)
        if len(why) > LONGEST_WHY:
            message = f"why: must be {LONGEST_WHY} characters or shorter, is {len(why)}"
            raise BadOrderError(message)
        pools = self._named(pool)
        await self._hands.pauses.pause([each.name for each in pools], why or WHY)
        return tuple(self._pause(each) for each in pools)

    async def resume(self, pool: str | None) -> tuple[Pause, ...]:
        """Consume again."""
        pools = self._named(pool)
        await self._hands.pauses.resume([each.name for each in pools])
        return tuple(self._pause(each) for each in pools)

    async def drain(self, pool: str, *, delayed: bool = False) -> Drained:
        """Remove what waits."""
        return await self._hands.drains.drain(self._pool(pool), delayed=delayed)

    async def clean(self, pool: str, order: CleanOrder) -> Cleaned:
        """Remove finished jobs for good."""
        card = self._pool(pool)
        if not order.state.is_final:
            message = f"state: only finished jobs are cleaned up, {order.state.value} ones are not"
            raise BadOrderError(message)
        _check_above("age", order.age, 0)
        _check_above("limit", order.limit, 1)
        before = self._clock.utcnow() - _seconds("age", order.age)
        expired = Expired(card.queues.public, order.state, before)
        removed = await self._hands.cleaning.clean(expired, limit=order.limit)
        kept = 0
        if removed < order.limit:  # all of them were looked at
            kept = await self._hands.ledger.read(partial(retention.kept, expired=expired))
        return Cleaned(card.name, card.queues.public, order.state, removed, kept)

    async def retry_failed(self, pool: str, order: RetryOrder) -> Retried:
        """Have failed jobs run again, in the order in which they failed."""
        queue, pause = self._pool(pool).queues.public, 0.0
        if order.rate is not None:
            _check_above("rate", order.rate, SLOWEST)
            pause = 1 / order.rate
        found = await self._hands.ledger.read(
            partial(failed.find, wanted=self._wanted(pool, order))
        )
        if order.group is not None and not found:
            await self._check_group(order.group)
        begin = self._clock.utcnow() + _seconds("after", order.after)
        turns = [
            Turn(queue, job_id, begin + timedelta(seconds=number * pause))
            for number, job_id in enumerate(found)
        ]
        done = await self._enter(Heading(f"pool {pool}, retry-failed", order.rate), turns)
        return Retried(pool, queue, done, order.after + max(0, done - 1) * pause)

    async def _check_group(self, group: str) -> None:
        """Refuse a group of which there is no failed job at all: its name may be mistyped."""
        only = LetterFilter(group=group)
        if not await self._hands.ledger.read(partial(letters.pick, wanted=only, limit=1)):
            raise unknown_group(group)

    async def _enter(self, heading: Heading, turns: Sequence[Turn]) -> int:
        """Enter the next copies of failed jobs as one replay; return how many that were."""
        done = 0
        for start in range(0, len(turns), AT_ONCE):
            some, now = turns[start : start + AT_ONCE], self._clock.utcnow()
            enter = partial(replays.enter, heading=heading, turns=some, now=now)
            number, entered = await self._hands.ledger.write(enter)
            heading, done = replace(heading, number=number), done + entered
            self._hands.poster.poke()
        return done

    def _wanted(self, pool: str, order: RetryOrder) -> Wanted:
        now, found = self._clock.utcnow(), Wanted(self._pool(pool).queues.public, group=order.group)
        since, until, limit = found.since, found.until, MOST_RETRIED
        if order.newer is not None:
            since = now - _seconds("newer", order.newer)
        if order.older is not None:
            until = now - _seconds("older", order.older)
        if order.limit is not None:
            _check_above("limit", order.limit, 1)
            limit = min(order.limit, MOST_RETRIED)
        return Wanted(found.queue, since, until, limit, order.group)

    # --- figures ----------------------------------------------------------------------------

    async def show(self, pool: str) -> QueueCard:
        """Return all there is to say of a pool's queue."""
        scene, view = await self._scene(pool)
        since = await self._hands.ledger.read(partial(figures.oldest_waiting, pool=pool))
        oldest = None
        if since is not None:
            oldest = max(0.0, (self._clock.utcnow() - since).total_seconds())
        return card_of(scene, view, self._hands.pauses.now().get(pool, ""), oldest)

    async def stats(self, pool: str) -> QueueStats:
        """Return what a queue holds."""
        return stats_of(*await self._scene(pool))

    async def metrics(self, pool: str) -> QueueMetrics:
        """Return what a queue holds, with its name."""
        return metrics_of(*await self._scene(pool))

    async def worker(self, worker: str) -> WorkerStats:
        """Return how busy a worker is."""
        views = {view.id: view for view in (await self._status()).workers}
        if worker not in views:
            why = f"no worker {worker!r} is here; there are: {', '.join(views)}"
            raise UnknownWorkerError(why)
        view = views[worker]
        return worker_stats(view, self._shapes[view.pool])

    async def house(self) -> HouseStats:
        """Return the whole house in numbers; of a ledger in trouble, the last ones there were."""
        is_there = True
        try:
            self._counts = await self._hands.ledger.counts()
        except LedgerError as error:
            log.debug("jobs not counted", why=str(error))
            is_there = False
        return house_stats(await self._as_of(self._counts, is_there=is_there))

    async def _scene(self, pool: str) -> tuple[Scene, QueueView]:
        self._pool(pool)
        scene = await self._as_of(await self._hands.ledger.counts())
        return scene, next(view for view in scene.status.queues if view.pool == pool)

    async def _as_of(
        self, counts: Mapping[str, Mapping[JobState, int]], *, is_there: bool = True
    ) -> Scene:
        return Scene(
            await self._status(),
            counts,
            self._shapes,
            is_ledger_well=is_there and self._hands.ledger.troubles.now is None,
            is_loading=self._hands.intake.is_loading,
        )

    def _named(self, pool: str | None) -> tuple[PoolCard, ...]:
        return tuple(self._pools.values()) if pool is None else (self._pool(pool),)

    def _pool(self, name: str) -> PoolCard:
        if name not in self._pools:
            raise unknown_pool(name, self._pools)
        return self._pools[name]

    def _pause(self, pool: PoolCard) -> Pause:
        why = self._hands.pauses.now().get(pool.name)
        return Pause(pool.name, pool.queues.public, paused=why is not None, why=why or "")


def _check_above(name: str, value: float, least: float) -> None:
    if not value >= least:
        message = f"{name}: must be {least:g} or more, is {value:g}"
        raise BadOrderError(message)


def _seconds(name: str, value: float) -> timedelta:
    _check_above(name, value, 0)
    try:
        return timedelta(seconds=min(value, LONGEST_AGE))
    except (OverflowError, ValueError) as error:
        message = f"{name}: must be a number of seconds, is {value:g}"
        raise BadOrderError(message) from error
