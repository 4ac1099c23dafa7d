"""One pool worked off by a supervisor that is started for it alone, and then ends."""

import asyncio
import faulthandler
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec

from consumers import logs, loop
from consumers.clock import Clock, SystemClock
from supervisor.app import CANNOT_START, opened, prepare
from supervisor.blueprints import json_logs
from supervisor.config.settings import Http, Role, Settings
from supervisor.core.fleet import Stopping
from supervisor.core.on_demand import Summary, Wish
from supervisor.house import House
from supervisor.ledger import chains, publishing
from supervisor.ledger.store import Ledger
from supervisor.poster import REFUSED

LAST_NOTICES = 10.0  # seconds in which notices of this errand are delivered before it ends
LAST_JOBS = 30.0  # seconds in which none of the jobs that follow gets into its queue
PUT_OFF = timedelta(seconds=REFUSED)  # until what a queue refused is published again
LOOK = 0.1  # seconds

log = logs.get(__name__)


class ErrandError(Exception):
    """The work could not be begun; the message says why."""


def work(settings: Settings, pool: str, wish: Wish, *, config_path: Path) -> Summary:
    """Work one pool off and return what came of it.

    Raises:
        ErrandError: state folder, ledger or socket cannot be had.
    """
    faulthandler.enable()
    logs.configure(settings.logs.level, json=json_logs(settings))
    log.info("configuration read", config=str(config_path), state=str(settings.state))
    try:
        return loop.run(_serve(reduced(settings, pool), pool, _staffed(settings, pool, wish)))
    except CANNOT_START as error:
        raise ErrandError(str(error)) from error


def reduced(settings: Settings, pool: str) -> Settings:
    """Return the settings of a supervisor for one pool: nothing else runs, listens or comes.

    Served are the pool and those that its jobs may move to. All others are only known, as jobs of
    theirs may follow: what is in their queues is for other supervisors.
    """
    served: dict[str, None] = {}
    name = pool
    while name and name not in served:
        served[name] = None
        name = settings.workers[name].on_memory.requeue
    known = {
        name: msgspec.structs.replace(each, instances=0) for name, each in settings.workers.items()
    }
    return msgspec.structs.replace(
        settings,
        workers=known,
        served=frozenset(served),
        schedules=None,
        http=Http(),
        role=Role.ALL,
    )


def _staffed(settings: Settings, pool: str, wish: Wish) -> Wish:
    """Return the wish with the number of workers that the pool has otherwise."""
    usual = settings.workers[pool].instances
    return wish if wish.instances else msgspec.structs.replace(wish, instances=usual or None)


async def _serve(settings: Settings, pool: str, wish: Wish) -> Summary:
    clock, node = SystemClock(), prepare(settings)
    async with (
        opened(settings, node, clock) as (ledger, queues),
        House(settings, ledger, queues, clock) as house,
    ):
        working = asyncio.create_task(_work(house, ledger, pool, wish))
        working.add_done_callback(lambda _: house.finish())
        await house.coordinator.run()
        summary = await working
        await _tell_all(ledger, clock)
    return summary


async def _work(house: House, ledger: Ledger, pool: str, wish: Wish) -> Summary:
    """Work the pool off, then wait for what follows its jobs to be in the queues."""
    summary = await house.pools.run(pool, wish)

    def is_hopeless() -> bool:
        is_stopping = house.coordinator.fleet.stopping is not Stopping.NO
        return is_stopping or summary.ended == "broker"

    left = await publish_all(ledger, house.coordinator.fleet.policies, is_hopeless)
    if left:
        log.warning("jobs are not published yet, the next supervisor here does it", jobs=left)
    return msgspec.structs.replace(summary, unpublished=left)


async def publish_all(
    ledger: Ledger, pools: Collection[str], is_hopeless: Callable[[], bool]
) -> int:
    """Wait until all that is due is published; return how many jobs are left after a while.

    As long as they become fewer, it is waited for.
    """
    clock = ledger.clock
    fewest, until = None, clock.monotonic() + LAST_JOBS
    while left := await ledger.read(
        partial(publishing.unposted, pools=tuple(pools), now=clock.utcnow(), soon=PUT_OFF)
    ):
        if fewest is None or left < fewest:
            fewest, until = left, clock.monotonic() + LAST_JOBS
        if is_hopeless() or clock.monotonic() >= until:
            break
        await clock.sleep(LOOK)
    return left


async def _tell_all(ledger: Ledger, clock: Clock) -> None:
    """Wait for the notices that are due: nobody else delivers them before the next errand."""
    until = clock.monotonic() + LAST_NOTICES
    while clock.monotonic() < until and await _has_news(ledger, clock):
        await clock.sleep(LOOK)


async def _has_news(ledger: Ledger, clock: Clock) -> bool:
    """Answer whether there is a notice to be delivered, or a chain that one may be written of."""
    return await ledger.read(chains.anything) or bool(await ledger.due(clock.utcnow(), 1))
