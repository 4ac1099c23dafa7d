"""The desk for pools: how many workers each has, and work done on demand."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from consumers.jobs import ONE_TO_FIVE
from supervisor.core.on_demand import Summary, Wish


class PoolView(msgspec.Struct, frozen=True, rename="camel"):
    """One pool as people see it; ``workers`` are those there are, leaving ones as well."""

    name: str
    queue: str
    dead_letter: str
    processor: str
    types: Mapping[str, str]  # processors by the type of job
    instances: int  # workers it shall have
    workers: int
    concurrency: int
    running: bool = False  # whether somebody has it run on demand just now
    priorities: tuple[int, ...] = tuple(ONE_TO_FIVE)  # numbers that stand for one; words do too


class Instances(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How many workers a pool shall have: the body of ``PUT /api/pools/{pool}/instances``."""

    instances: int


class AnyWish(Wish, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A wish that says of which pool, where several may be meant: ``POST /api/workers``."""

    pool: str | None = None


class Restarted(msgspec.Struct, frozen=True, rename="camel"):
    """Which workers were told to make place for a new process."""

    workers: tuple[str, ...]


class Pools(Protocol):
    """Who is asked about pools. What names one raises UnknownPoolError if there is none."""

    def views(self) -> tuple[PoolView, ...]:
        """Return all pools in the order of the configuration."""

    def view(self, pool: str) -> PoolView:
        """Return one pool."""

    async def scale(self, pool: str, instances: int) -> PoolView:
        """Have a pool be of so many workers from now on; not beyond the end of this program.

        Raises BadOrderError for a number that is out of reach, NotNowError while the house stops.
        """

    async def restart(self, worker: str) -> Restarted:
        """Have one worker replaced when its jobs are done.

        Raises UnknownWorkerError and NotNowError.
        """

    async def restart_all(self, pool: str) -> Restarted:
        """Have every worker of a pool replaced when its jobs are done. Raises NotNowError."""

    async def run(self, pool: str, wish: Wish) -> Summary:
        """Work a pool off and return what came of it.

        Raises BadOrderError, BusyError if somebody does so already, ConflictError if it is paused.
        """

    def begin(self, pool: str, wish: Wish) -> Summary:
        """Begin what ``run`` does, and return at once. Raises as it does."""

    def meant(self, pool: str | None) -> str:
        """Return the pool that is meant: the only one, or the only one without workers.

        Raises ConflictError where that is not clear.
        """

    def last_run(self, pool: str) -> Summary:
        """Return how far the run is, or what came of the last one. Raises NoRunError."""
