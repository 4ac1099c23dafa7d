"""Pauses: pools that operators hold, as the ledger has it; looked at often, for others write too.

What follows from it is decided in ``core/pausing.py``.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Protocol

from consumers import logs
from consumers.clock import Clock
from supervisor.bulletin import Bulletin
from supervisor.core import pausing
from supervisor.core.conditions import OPERATOR
from supervisor.core.pausing import Pauses as Paused
from supervisor.core.records import PoolCard
from supervisor.ledger import controls
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.ports import Event

EVERY = 2.0  # seconds between two looks at what other coordinators were told

log = logs.get(__name__)


class Gates(Protocol):
    """The workers, as far as they can be held."""

    def hold(self, pool: str | None, name: str, why: str) -> None:
        """Have a pool's workers (None: all) take nothing new, those to come as well."""

    def release(self, pool: str | None, name: str) -> None:
        """Lift it again."""


class Pauses:
    """Knows which pools are paused, and keeps their workers so."""

    def __init__(
        self,
        pools: Iterable[PoolCard],
        ledger: Ledger,
        gates: Gates,
        bulletin: Bulletin,
        clock: Clock,
    ) -> None:
        self._queues = {pool.name: pool.queues.public for pool in pools}
        self._ledger = ledger
        self._gates = gates
        self._bulletin = bulletin
        self._clock = clock
        self._now: Paused = {}
        # Who looks follows what was written before the look, and nothing newer.
        self._turn = asyncio.Lock()

    def now(self) -> Paused:
        """Return the pools that are paused, and why."""
        return self._now

    async def begin(self) -> None:
        """Hold what was paused before, ere a worker starts. Raises LedgerError."""
        await self._look()

    async def run(self) -> None:
        """Follow what others write, until cancelled."""
        while True:
            await self._clock.sleep(EVERY)
            try:
                await self._look()
            except LedgerError as error:
                log.debug("pauses not looked at", why=str(error))

    async def pause(self, pools: Collection[str], why: str) -> None:
        """Pause pools; it is on the disk when this returns. Raises LedgerError."""
        queues = [self._queues[pool] for pool in pools]
        now = self._clock.utcnow()
        async with self._turn:
            await self._ledger.write(partial(controls.pause, queues=queues, why=why, now=now))
            self._follow(await self._ledger.read(controls.paused))

    async def resume(self, pools: Collection[str]) -> None:
        """Let pools go on; it is on the disk when this returns. Raises LedgerError."""
        queues = [self._queues[pool] for pool in pools]
        now = self._clock.utcnow()
        async with self._turn:
            await self._ledger.write(partial(controls.resume, queues=queues, now=now))
            self._follow(await self._ledger.read(controls.paused))

    async def _look(self) -> None:
        async with self._turn:
            self._follow(await self._ledger.read(controls.paused))

    def _follow(self, paused_queues: Mapping[str, str]) -> None:
        before, self._now = self._now, pausing.wanted(paused_queues, self._queues)
        change = pausing.change(before, self._now)
        for pool, why in change.hold.items():
            self._gates.hold(pool, OPERATOR, why)
            log.info("pool paused", pool=pool, why=why)
            self._tell("paused", pool, why)
        for pool in change.release:
            self._gates.release(pool, OPERATOR)
            log.info("pool resumed", pool=pool)
            self._tell("resumed", pool, before[pool])

    def _tell(self, name: str, pool: str, why: str) -> None:
        at, data = self._clock.utcnow(), {"pool": pool, "why": why}
        self._bulletin.publish(Event(name=name, at=at, queue=self._queues[pool], data=data))
