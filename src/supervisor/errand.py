"""One pool worked off by a supervisor that is started for it alone, and then ends."""

import asyncio
import faulthandler
from pathlib import Path

import msgspec

from consumers import logs, loop
from consumers.clock import Clock, SystemClock
from supervisor.app import CANNOT_START, opened, prepare
from supervisor.blueprints import json_logs
from supervisor.config.settings import Http, Role, Settings
from supervisor.core.on_demand import Summary, Wish
from supervisor.house import House
from supervisor.ledger import chains
from supervisor.ledger.store import Ledger

LAST_NOTICES = 10.0  # seconds in which notices of this errand are delivered before it ends
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
        return loop.run(_serve(reduced(settings), pool, _staffed(settings, pool, wish)))
    except CANNOT_START as error:
        raise ErrandError(str(error)) from error


def reduced(settings: Settings) -> Settings:
    """Return the settings of a supervisor for one pool: nothing else runs, listens or comes.

    All other pools are known, as its jobs may move to them or have jobs of theirs follow, and have
    no workers.
    """
    known = {
        name: msgspec.structs.replace(each, instances=0) for name, each in settings.workers.items()
    }
    return msgspec.structs.replace(
        settings, workers=known, schedules=None, http=Http(), role=Role.ALL
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
        working = asyncio.create_task(_work(house, pool, wish))
        working.add_done_callback(lambda _: house.finish())
        await house.coordinator.run()
        summary = await working
        await _tell_all(ledger, clock)
    return summary


async def _work(house: House, pool: str, wish: Wish) -> Summary:
    return await house.pools.run(pool, wish)


async def _tell_all(ledger: Ledger, clock: Clock) -> None:
    """Wait for the notices that are due: nobody else delivers them before the next errand."""
    until = clock.monotonic() + LAST_NOTICES
    while clock.monotonic() < until and await _has_news(ledger, clock):
        await clock.sleep(LOOK)


async def _has_news(ledger: Ledger, clock: Clock) -> bool:
    """Answer whether there is a notice to be delivered, or a chain that one may be written of."""
    return await ledger.read(chains.anything) or bool(await ledger.due(clock.utcnow(), 1))
