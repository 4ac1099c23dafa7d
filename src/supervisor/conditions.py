"""Watching the machine: while it is not fit for work, every worker is held; then they go on.

What is right is decided in ``core/conditions.py`` and ``core/readiness.py``; here is looked,
placed, lifted and told.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from consumers import logs
from consumers.clock import Clock
from consumers.errands import Errands
from supervisor.bulletin import Bulletin
from supervisor.core import conditions, readiness
from supervisor.core.conditions import Holds, Limits, Measures, Place, Space
from supervisor.core.fleet import Fleet
from supervisor.core.readiness import Condition, Parking, Scene
from supervisor.gauges import Gauge, SilentError, available_memory, space
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.ports import BrokerView, Event

EVERY = 2.0  # seconds between two looks
WITHIN = 3.0  # seconds that one look may take
SILENT = 20.0  # seconds without an answer of the ledger, which says within 5 s that it is busy

log = logs.get(__name__)


class Gates(Protocol):
    """The workers, as far as they can be held."""

    def hold(self, pool: str | None, name: str, why: str) -> None:
        """Have a pool's workers (None: all) take nothing new, those to come as well."""

    def release(self, pool: str | None, name: str) -> None:
        """Lift it again."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is looked at, and who is told."""

    ledger: Ledger
    gates: Gates
    bulletin: Bulletin
    fleet: Callable[[], Fleet]
    broker: Callable[[], BrokerView]
    parking: Callable[[], Parking] = Parking  # always well where nothing is parked
    stored: Callable[[], int | None] = lambda: None  # bytes of results, where that matters
    paused: Callable[[], Holds] = dict  # by pool, in the operator's words


class Conditions:
    """Knows at any moment why jobs are not consumed as they should be, and holds the workers.

    ``folders`` are those that need room, by the name of their hold, the media's first.
    """

    def __init__(
        self, limits: Limits, folders: Mapping[str, Path], around: Surroundings, clock: Clock
    ) -> None:
        self._limits = limits
        self._folders = folders
        self._gauges = {name: Gauge(partial(space, path)) for name, path in folders.items()}
        self._around = around
        self._clock = clock
        self._measures = Measures()
        self._holds: Holds = {}
        self._held_since: dict[str, float] = {}
        self._unserved_since: dict[str, float] = {}
        self._unparked_since: float | None = None
        self._told: Mapping[tuple[str, str], str] = {}  # by pool and hold
        self._probes = Errands()
        around.ledger.troubles.changed = self._follow

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(EVERY)

    async def look(self) -> None:
        """Measure everything and place and lift what follows from it."""
        if self._around.ledger.troubles.now is not None and not self._probes:
            self._probes.run(self._probe())  # beside: a busy ledger takes seconds to say so
        self._measures = await self._measure()
        self._follow()
        now = self._clock.monotonic()
        unserved = readiness.unserved(self._around.fleet())
        self._unserved_since = {pool: self._unserved_since.get(pool, now) for pool in unserved}
        if self._around.parking().is_open or not self._around.broker().connected:
            self._unparked_since = None
        elif self._unparked_since is None:
            self._unparked_since = now

    def is_paused(self, pool: str) -> bool:
        """Answer whether an operator paused a pool."""
        return pool in self._around.paused()

    def now(self) -> tuple[Condition, ...]:
        """Return every reason why jobs are not consumed as they should be."""
        broker = self._around.broker()
        scene = Scene(
            self._around.fleet(),
            "" if broker.connected else broker.why or f"not connected to {broker.address}",
            self._holds,
            self._around.paused(),
            self._held_since,
            self._unserved_since,
            self._around.parking(),
            self._unparked_since,
        )
        return readiness.conditions(scene, self._clock.monotonic())

    # --- looking ----------------------------------------------------------------------------

    async def _measure(self) -> Measures:
        if not self._limits.disk:
            return Measures(memory=available_memory())
        found = await asyncio.gather(*(self._space(name) for name in self._folders))
        places = [
            Place(name, str(folder), each)
            for (name, folder), each in zip(self._folders.items(), found, strict=True)
        ]
        return Measures(places, memory=available_memory())

    async def _space(self, name: str) -> Space | str:
        try:
            return await self._gauges[name].read(within=WITHIN)
        except OSError as error:
            return f"cannot be looked at ({error.strerror})"
        except SilentError as error:
            return str(error)

    async def _probe(self) -> None:
        try:
            await self._around.ledger.probe()
        except LedgerError as error:
            log.debug("ledger still in trouble", why=str(error))

    # --- placing, lifting, telling ----------------------------------------------------------

    def _follow(self) -> None:
        stored = self._around.stored()
        measures = replace(self._measures, ledger=self._ledger_trouble(), stored=stored)
        before, self._holds = self._holds, conditions.holds(measures, self._limits, self._holds)
        for name in before.keys() - self._holds.keys():
            self._release(name)
        for name, why in self._holds.items():
            if before.get(name) != why:
                self._hold(name, why)
        self._tell()

    def _ledger_trouble(self) -> str:
        ledger = self._around.ledger
        if ledger.troubles.now is not None:
            return ledger.troubles.now.why
        if ledger.unwritten > SILENT:  # a disk that hangs refuses nothing
            waited = f"{ledger.name}: has not answered for more than {SILENT:g} s"
            return f"{waited}; see whether its disk is there and well"
        return ""

    def _hold(self, name: str, why: str) -> None:
        self._held_since.setdefault(name, self._clock.monotonic())
        log.warning("workers held, they take nothing new", hold=name, why=why)
        self._around.gates.hold(None, name, why)

    def _release(self, name: str) -> None:
        lasted = self._clock.monotonic() - self._held_since.pop(name)
        log.info("hold lifted", hold=name, after=f"{lasted:.0f} s", still_held_by=list(self._holds))
        self._around.gates.release(None, name)

    def _tell(self) -> None:
        before, paused = self._told, self._around.paused()
        self._told = readiness.held(self._around.fleet(), self._holds, paused)
        for key in before.keys() - self._told.keys():
            self._publish("pool.resumed", key, before[key])
        for key, why in self._told.items():
            if before.get(key) != why:
                self._publish("pool.held", key, why)

    def _publish(self, name: str, key: tuple[str, str], why: str) -> None:
        data = {"pool": key[0], "hold": key[1], "why": why}
        self._around.bulletin.publish(Event(name=name, at=self._clock.utcnow(), data=data))
