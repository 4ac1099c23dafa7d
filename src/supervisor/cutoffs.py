"""Workers that have trouble with a broker which the coordinator itself can reach: who, and why.

While the broker is away for all, the postroom says so; here is said what befalls workers alone: a
queue deleted under them, a limit of the broker, an alarm that stops publishers. One line a reason,
however many workers it befalls.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

from consumers import logs
from consumers.clock import Clock
from consumers.errands import Errands
from supervisor.core.fleet import Fleet
from workers.messages import CONNECTING

GATHER = 1.0  # seconds in which the same trouble of others joins the line

log = logs.get(__name__)


class Reach(Protocol):
    """Whether the coordinator itself reaches the broker."""

    @property
    def is_connected(self) -> bool:
        """Answer whether it does now."""

    @property
    def outages(self) -> int:
        """Return how often it did not, so far."""


class CutOffs:
    """Watches the fleet and says in one line which workers have which trouble."""

    def __init__(self, reach: Reach, clock: Clock) -> None:
        self._reach = reach
        self._clock = clock
        self._known: dict[str, str] = {}  # the trouble of each worker that has one
        self._news: dict[str, str] = {}  # of those that were not told yet, even if it is over
        self._outages = 0  # when the first of the news came
        self._told: set[str] = set()  # workers whose recovery is worth a line
        self._errands = Errands()

    def see(self, fleet: Fleet) -> None:
        """Compare the fleet with what is known; to be called at every change."""
        now = {
            worker.id: worker.broker
            for worker in fleet.workers.values()
            if worker.pid is not None and worker.broker not in ("", CONNECTING)
        }
        news = {worker: why for worker, why in now.items() if self._known.get(worker) != why}
        well = self._known.keys() - now.keys()
        self._known = now
        if news and not self._news and self._reach.is_connected:
            self._outages = self._reach.outages
            self._errands.run(self._tell_soon())
        if self._reach.is_connected:
            self._news |= news
        self._tell_well(well)

    async def close(self) -> None:
        """Say nothing more."""
        await self._errands.cancel()

    async def _tell_soon(self) -> None:
        await self._clock.sleep(GATHER)
        news, self._news = self._news, {}
        if not self._reach.is_connected or self._reach.outages != self._outages:
            return  # it was the broker itself, and the postroom has said so
        for why, workers in _by_reason(news).items():
            log.warning("workers have trouble with the broker", workers=workers, why=why)
        self._told |= news.keys()
        self._tell_well(news.keys() - self._known.keys())

    def _tell_well(self, workers: Iterable[str]) -> None:
        well = sorted(self._told & set(workers))
        if well:
            self._told -= set(well)
            log.info("workers are well with the broker again", workers=well)


def _by_reason(news: Mapping[str, str]) -> Mapping[str, list[str]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for worker, why in sorted(news.items()):
        grouped[why].append(worker)
    return grouped
