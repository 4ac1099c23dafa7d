"""The desk for schedules: which jobs come by themselves, when, and what became of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec

from consumers.jobs import Priority
from supervisor.core.records import JobRecord, JobState
from supervisor.core.schedules import CAUGHT_UP, Missed


class ScheduleOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A schedule somebody wants: the body of ``POST /api/schedules``; ``every`` is seconds."""

    pool: str
    name: str = ""
    data: Mapping[str, object] = {}
    cron: str | None = None
    every: float | None = None
    zone: str = "UTC"
    priority: int | str = Priority.NORMAL  # a name, or a number that its pool knows
    missed: Missed = Missed.SKIP
    at_most: int = CAUGHT_UP  # missed runs to catch up with


class ScheduleView(msgspec.Struct, frozen=True, rename="camel"):
    """A schedule as people see it; ``next_runs`` are in its own zone, with their offsets."""

    name: str
    pool: str
    data: object
    cron: str | None
    every: float | None
    zone: str
    priority: Priority
    missed: Missed
    at_most: int
    paused: bool
    source: str  # config: from supervisor.yaml, api: made by somebody
    created_at: datetime | None
    last_at: datetime | None
    next_at: datetime | None
    next_runs: tuple[str, ...] = ()
    last_job: str = ""
    last_state: JobState | None = None  # of its last job, as long as that is kept
    warnings: tuple[str, ...] = ()  # why it does not run as it should


class Schedules(Protocol):
    """Who is asked about schedules.

    What names one raises UnknownScheduleError if there is none of that name; what changes one that
    is in supervisor.yaml raises FixedScheduleError, but for ``pause``, ``resume`` and ``run``.
    """

    async def every(self) -> tuple[ScheduleView, ...]:
        """Return all schedules, by their names."""

    async def one(self, name: str) -> ScheduleView:
        """Return one schedule."""

    async def add(self, order: ScheduleOrder) -> ScheduleView:
        """Remember a new schedule.

        Raises BadScheduleError, UnknownPoolError, and FixedScheduleError if its name is taken.
        """

    async def put(self, name: str, order: ScheduleOrder) -> tuple[ScheduleView, bool]:
        """Have a schedule be so, whether it was there or not; the flag says that it is new.

        Raises BadScheduleError, UnknownPoolError, and ConflictError if the order has another name.
        """

    async def remove(self, name: str) -> None:
        """Forget a schedule; the jobs it entered stay."""

    async def pause(self, name: str) -> ScheduleView:
        """Have a schedule not run; what passes meanwhile is not missed."""

    async def resume(self, name: str) -> ScheduleView:
        """Have it run again, from its next moment on."""

    async def run(self, name: str) -> JobRecord:
        """Enter one job of a schedule now, paused or not; its next moment stays."""
