"""The storeroom: old results and what dead jobs left go, and what all results take is known.

Looked at now and then in a thread that may hang with its file system; ``workers.holdings`` knows
what lies where, and what a job reads or works in is left alone.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consumers import logs
from consumers.clock import Clock
from supervisor.core.troubles import StoreError
from supervisor.gauges import Gauge, SilentError
from workers import holdings, leftovers

EVERY = 60.0  # seconds between two looks at what there is
SOON = 5.0  # when the quota is not far away, or reached
TIDIED = 3600.0  # seconds between two tidyings
WITHIN = 30.0  # seconds that one of them is waited for

# Says of those jobs that are known, by the names of their folders, whether they never run again.
Ends = Callable[[Collection[str]], Awaitable[Mapping[str, bool]]]

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What is wanted of the media folder; 0: never mind."""

    keep: float = 0.0  # seconds that results stay
    quota: int = 0  # bytes that they may take


class Storeroom:
    """Tidies the media folder, and knows how full it is."""

    def __init__(self, media: Path, upkeep: Upkeep, ends: Ends, clock: Clock) -> None:
        self._media = media
        self._upkeep = upkeep
        self._ends = ends
        self._clock = clock
        self._tidying = Gauge(partial(holdings.tidy, media, keep=upkeep.keep))
        self._finding = Gauge(partial(leftovers.found, media))
        self._clearing = Gauge(lambda: leftovers.clear(media, self._ended))
        self._ended: Mapping[str, bool] = {}
        self._measuring = Gauge(partial(holdings.used, media))
        self._next_tidying = float("-inf")
        self._used: int | None = None

    def used(self) -> int | None:
        """Return the bytes of all results when last looked; None where nobody wants to know."""
        return self._used

    async def run(self) -> None:
        """Look after it, until cancelled."""
        while True:
            await self.look()
            is_near = self._used is not None and self._used >= self._upkeep.quota / 2
            await self._clock.sleep(SOON if is_near else EVERY)

    async def look(self) -> None:
        """Tidy if it is time, and see how much there is if that matters."""
        now = self._clock.monotonic()
        if now >= self._next_tidying:
            self._next_tidying = now + TIDIED
            await self._clear()
            if self._upkeep.keep:
                await self._tidy()
        if self._upkeep.quota:
            await self._measure()

    async def _clear(self) -> None:
        try:
            names = await self._finding.read(within=WITHIN)
            if not names:
                return
            self._ended = await self._ends(names)
            cleared = await self._clearing.read(within=WITHIN)
        except (OSError, SilentError, StoreError) as error:
            log.warning("work folders not cleared", folder=str(self._media), why=str(error))
            return
        if cleared:
            log.info("work folders of dead jobs removed", folders=cleared)

    async def _tidy(self) -> None:
        try:
            removed = await self._tidying.read(within=WITHIN)
        except (OSError, SilentError) as error:
            log.warning("media folder not tidied", folder=str(self._media), why=str(error))
            return
        if removed.results:
            kept = f"{self._upkeep.keep:g} s"
            log.info("old results removed", results=removed.results, size=removed.size, kept=kept)

    async def _measure(self) -> None:
        try:
            self._used = await self._measuring.read(within=WITHIN)
        except (OSError, SilentError) as error:
            log.warning("media folder not measured", folder=str(self._media), why=str(error))
