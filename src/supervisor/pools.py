"""Pools as operators see and change them: how many workers, new processes, work on demand.

What is changed here holds until the program ends: the next start is as the configuration says.
"""

import asyncio
from collections.abc import Callable, Mapping

from consumers import logs
from consumers.clock import Clock
from consumers.jobs import ONE_TO_FIVE
from supervisor.config.mistakes import did_you_mean
from supervisor.config.rules import queues_of
from supervisor.config.settings import Pool
from supervisor.core.bounds import MOST_WORKERS
from supervisor.core.events import RestartWorkerAsked, ScaleAsked
from supervisor.core.fleet import Fleet, Stopping
from supervisor.core.on_demand import Summary, Wish
from supervisor.core.scaling import workers_of
from supervisor.desks.pools import PoolView, Restarted
from supervisor.inbox import Inbox
from supervisor.on_demand import OnDemand
from supervisor.ports import (
    BadOrderError,
    ConflictError,
    ElsewhereError,
    NotNowError,
    UnknownWorkerError,
    unknown_pool,
)

FOLLOWED = 5.0  # seconds in which an order is seen to be followed
LOOK = 0.02  # seconds
_ELSEWHERE = (
    "this supervisor takes jobs only (role: api) and starts no worker; ask one that works, or run "
    "`work POOL` on its machine"
)

log = logs.get(__name__)


class PoolOffice:
    """Implements ``desks.pools.Pools``."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        fleet: Callable[[], Fleet],
        inbox: Inbox,
        on_demand: OnDemand,
        clock: Clock,
    ) -> None:
        self._pools = pools
        self._fleet = fleet
        self._inbox = inbox
        self._on_demand = on_demand
        self._clock = clock
        self.works = True  # False in the role api: the workers are elsewhere

    def views(self) -> tuple[PoolView, ...]:
        """Return all pools in the order of the configuration."""
        return tuple(map(self.view, self._pools))

    def view(self, pool: str) -> PoolView:
        """Return one pool. Raises UnknownPoolError."""
        found, fleet = self._named(pool), self._fleet()
        queues = queues_of(found)
        return PoolView(
            name=pool,
            queue=queues.public,
            dead_letter=queues.dead,
            processor=found.processor,
            types=found.types,
            instances=fleet.policies[pool].instances,
            workers=len(workers_of(fleet, pool)),
            concurrency=found.concurrency,
            running=self._on_demand.is_running(pool),
            priorities=tuple(found.priority_map or ONE_TO_FIVE),
        )

    async def scale(self, pool: str, instances: int) -> PoolView:
        """Have a pool be of so many workers from now on."""
        self._named(pool)
        if not 0 <= instances <= MOST_WORKERS:
            message = f"instances: must be 0 to {MOST_WORKERS}, is {instances}"
            raise BadOrderError(message)
        self._refuse_where_none_work()
        self._refuse_at_the_end()
        log.info("pool scaled", pool=pool, instances=instances)
        self._inbox.put(ScaleAsked(pool, instances, "scaled by an operator"))
        await self._followed(lambda: self._fleet().policies[pool].instances == instances)
        return self.view(pool)

    def step(self, more: int) -> None:
        """Have the first pool of the configuration be of one worker more, or less."""
        if not self.works:
            log.warning("not scaled by a signal", why=_ELSEWHERE)
            return
        pool = next(iter(self._pools))
        instances = self._fleet().policies[pool].instances + more
        if 0 <= instances <= MOST_WORKERS:
            log.info("pool scaled by a signal", pool=pool, instances=instances)
            self._inbox.put(ScaleAsked(pool, instances, "scaled by a signal"))

    async def restart(self, worker: str) -> Restarted:
        """Have one worker replaced when its jobs are done."""
        if worker not in self._fleet().workers:
            hint = did_you_mean(worker, tuple(self._fleet().workers))
            message = f"there is no worker {worker!r}; {hint}"
            raise UnknownWorkerError(message)
        return self._restart((worker,))

    async def restart_all(self, pool: str) -> Restarted:
        """Have every worker of a pool replaced when its jobs are done."""
        self._named(pool)
        return self._restart(tuple(each.id for each in workers_of(self._fleet(), pool)))

    def _restart(self, workers: tuple[str, ...]) -> Restarted:
        self._refuse_at_the_end()
        log.info("workers restarted", workers=workers)
        for worker in workers:
            self._inbox.put(RestartWorkerAsked(worker, "restarted by an operator"))
        return Restarted(workers)

    async def run(self, pool: str, wish: Wish) -> Summary:
        """Work a pool off and return what came of it; it goes on without whoever asked."""
        self._named(pool)
        self._refuse_where_none_work()
        return await asyncio.shield(self._on_demand.start(pool, wish))

    def begin(self, pool: str, wish: Wish) -> Summary:
        """Begin to work a pool off and return at once."""
        self._named(pool)
        self._refuse_where_none_work()
        _ = self._on_demand.start(pool, wish)  # whoever asks later sees how far it is
        return self._on_demand.last(pool)

    def meant(self, pool: str | None) -> str:
        """Return which pool is meant by somebody who need not name it."""
        idle = [name for name, each in self._pools.items() if not each.instances]
        for names in ([pool] if pool else list(self._pools), idle):
            if len(names) == 1:
                return names[0]
        message = f"pool: name one of {', '.join(self._pools)}"
        raise ConflictError(message)

    def last_run(self, pool: str) -> Summary:
        """Return how far the run is, or what came of the last one."""
        self._named(pool)
        return self._on_demand.last(pool)

    def _named(self, pool: str) -> Pool:
        if pool not in self._pools:
            raise unknown_pool(pool, self._pools)
        return self._pools[pool]

    def _refuse_where_none_work(self) -> None:
        if not self.works:
            raise ElsewhereError(_ELSEWHERE)

    def _refuse_at_the_end(self) -> None:
        if self._fleet().stopping is not Stopping.NO:
            raise NotNowError("the supervisor stops; nothing is started any more")

    async def _followed(self, is_done: Callable[[], bool]) -> None:
        until = self._clock.monotonic() + FOLLOWED
        while not is_done() and self._clock.monotonic() < until:
            await self._clock.sleep(LOOK)
