"""Desks for schedules and retries that only remember: for tests of the doors."""

from datetime import UTC, datetime

from consumers.errors import MalformedError
from consumers.jobs import priority_named
from consumers.retry import RetryPolicy
from supervisor.core.records import JobRecord, JobState
from supervisor.core.retries import RetryRow
from supervisor.desks.retries import RetriesView
from supervisor.desks.schedules import ScheduleOrder, ScheduleView
from supervisor.ports import (
    BadScheduleError,
    FixedScheduleError,
    UnknownPoolError,
    UnknownScheduleError,
)

NEXT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


class FakeSchedules:
    """Keeps schedules in a dict."""

    def __init__(self) -> None:
        self.known: dict[str, ScheduleView] = {}
        self.ran: list[str] = []

    async def every(self) -> tuple[ScheduleView, ...]:
        return tuple(self.known.values())

    async def one(self, name: str) -> ScheduleView:
        if name not in self.known:
            message = f"no schedule {name!r}"
            raise UnknownScheduleError(message)
        return self.known[name]

    async def add(self, order: ScheduleOrder) -> ScheduleView:
        _check(order)
        if order.name in self.known:
            message = f"there is a schedule {order.name} already"
            raise FixedScheduleError(message)
        return self._keep(order.name, order)

    async def put(self, name: str, order: ScheduleOrder) -> tuple[ScheduleView, bool]:
        _check(order)
        is_new = name not in self.known
        return self._keep(name, order), is_new

    async def remove(self, name: str) -> None:
        await self.one(name)
        del self.known[name]

    async def pause(self, name: str) -> ScheduleView:
        return await self._set(name, paused=True)

    async def resume(self, name: str) -> ScheduleView:
        return await self._set(name, paused=False)

    async def run(self, name: str) -> JobRecord:
        found = await self.one(name)
        self.ran.append(name)
        return JobRecord(
            id=f"schedule:{name}:now",
            pool=found.pool,
            queue=f"{found.pool}_queue",
            state=JobState.PENDING,
            priority=found.priority,
            data=found.data,
        )

    async def _set(self, name: str, *, paused: bool) -> ScheduleView:
        await self.one(name)
        self.known[name] = _view(name, ScheduleOrder("download", cron="0 3 * * *"), paused=paused)
        return self.known[name]

    def _keep(self, name: str, order: ScheduleOrder) -> ScheduleView:
        try:
            self.known[name] = _view(name, order, paused=False)
        except MalformedError as error:
            raise BadScheduleError(str(error)) from error
        return self.known[name]


class FakeRetries:
    """Knows one pool."""

    async def of(self, pool: str) -> RetriesView:
        if pool != "download":
            message = f"no pool {pool!r} is configured"
            raise UnknownPoolError(message)
        rows = (
            RetryRow(1, completed=90),
            RetryRow(2, completed=8, waiting=1),
            RetryRow(3, failed=2),
        )
        return RetriesView(pool, f"{pool}_queue", RetryPolicy(), rows)


def _check(order: ScheduleOrder) -> None:
    try:
        priority_named(order.priority)
    except MalformedError as error:
        raise BadScheduleError(str(error)) from error


def _view(name: str, order: ScheduleOrder, *, paused: bool) -> ScheduleView:
    return ScheduleView(
        name=name,
        pool=order.pool,
        data=order.data,
        cron=order.cron,
        every=order.every,
        zone=order.zone,
        priority=priority_named(order.priority),
        missed=order.missed,
        at_most=order.at_most,
        paused=paused,
        source="api",
        created_at=NEXT,
        last_at=None,
        next_at=None if paused else NEXT,
        next_runs=() if paused else (NEXT.isoformat(),),
    )
