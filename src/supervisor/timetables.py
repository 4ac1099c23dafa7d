"""The schedules as people see and change them: what the doors ask, answered from the ledger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import msgspec

from consumers import jobs
from consumers.errors import MalformedError
from consumers.jobs import Properties, priority_named
from supervisor.core import schedules as rules
from supervisor.core.bounds import MOST_CAUGHT_UP
from supervisor.core.chains import check
from supervisor.core.records import JobRecord, PoolCard
from supervisor.core.schedules import RhythmError, Schedule, Timetable
from supervisor.desks.schedules import ScheduleOrder, ScheduleView
from supervisor.ledger import listing, schedules
from supervisor.ledger.schedules import CONFIG, Standing
from supervisor.ledger.store import Ledger
from supervisor.orders import as_ordered
from supervisor.ports import (
    BadScheduleError,
    ConflictError,
    FixedScheduleError,
    UnknownScheduleError,
    unknown_pool,
)
from supervisor.scheduler import job_of

RUNS_SHOWN = 3
NO_ZONE = "UTC"  # what an order says that names none


@dataclass(frozen=True, slots=True)
class Calls:
    """Whom to tell: of a schedule that changed, of a job that is to be published."""

    changed: Callable[[], None]
    entered: Callable[[], None]


class Timetables:
    """Implements ``desks.schedules.Schedules``."""

    def __init__(
        self, ledger: Ledger, pools: Mapping[str, PoolCard], calls: Calls, *, body_limit: int
    ) -> None:
        self._ledger = ledger
        self._pools = pools
        self._calls = calls
        self._body_limit = body_limit

    async def every(self) -> tuple[ScheduleView, ...]:
        """Return all schedules, by their names."""
        found = await self._ledger.read(schedules.standings)
        return tuple(self._view(standing) for standing in found)

    async def one(self, name: str) -> ScheduleView:
        """Return one schedule."""
        return self._view(await self._find(name))

    async def add(self, order: ScheduleOrder) -> ScheduleView:
        """Remember a new schedule."""
        name = _named(order.name)
        if not await self._ledger.write(partial(schedules.add, schedule=self._new(name, order))):
            why = (
                f"there is a schedule {name} already: change that one (`schedule add --replace`), "
                "or choose another name"
            )
            raise FixedScheduleError(why)
        self._calls.changed()
        return await self.one(name)

    async def put(self, name: str, order: ScheduleOrder) -> tuple[ScheduleView, bool]:
        """Have a schedule be so; the flag says that it is new."""
        if order.name not in {"", name}:
            why = f"name: is {order.name}, but the address says {name}; they are the same thing"
            raise ConflictError(why)
        schedule = self._new(_named(name), order)
        is_new = await self._ledger.write(partial(schedules.add, schedule=schedule))
        if not is_new:
            await self._check_free(name)
            now = self._ledger.clock.utcnow()
            change = partial(schedules.change, timetable=schedule.timetable, now=now)
            await self._ledger.write(partial(change, name=name))
        self._calls.changed()
        return await self.one(name), is_new

    async def remove(self, name: str) -> None:
        """Forget a schedule; the jobs it entered stay."""
        await self._check_free(name)
        await self._ledger.write(partial(schedules.remove, name=name))

    async def pause(self, name: str) -> ScheduleView:
        """Have a schedule not run."""
        await self._find(name)
        await self._ledger.write(partial(schedules.pause, name=name))
        return await self.one(name)

    async def resume(self, name: str) -> ScheduleView:
        """Have it run again, from its next moment on."""
        schedule = (await self._find(name)).schedule
        following = self._following(schedule.timetable)
        await self._ledger.write(partial(schedules.resume, name=name, next_at=following))
        self._calls.changed()
        return await self.one(name)

    async def run(self, name: str) -> JobRecord:
        """Enter one job of a schedule now."""
        schedule = (await self._find(name)).schedule
        card, now = self._pool(schedule.timetable.pool), self._ledger.clock.utcnow()
        job = job_of(schedule, card, rules.run_id(name, now), now=now)
        enter = partial(schedules.run_now, name=name, job=job, now=now)
        if not await self._ledger.write(enter):
            raise _unknown(name)
        self._calls.entered()
        key = partial(listing.one, queue=job.queue, job_id=job.id)
        return await self._ledger.read(partial(key, now=now))

    async def _find(self, name: str) -> Standing:
        if not rules.is_name(name):  # not every text may be asked of a database
            raise _unknown(name)
        found = await self._ledger.read(partial(schedules.standings, name=name))
        if not found:
            raise _unknown(name)
        return found[0]

    async def _check_free(self, name: str) -> None:
        if (await self._find(name)).schedule.source == CONFIG:
            why = (
                f"schedule {name} is in supervisor.yaml: change it there and start again; "
                "pause, resume and run work here"
            )
            raise FixedScheduleError(why)

    def _new(self, name: str, order: ScheduleOrder) -> Schedule:
        table = self._timetable(order)
        now, following = self._ledger.clock.utcnow(), self._following(table)
        return Schedule(name, table, created_at=now, next_at=following)

    def _timetable(self, order: ScheduleOrder) -> Timetable:
        card = self._pool(order.pool)
        body = msgspec.json.encode(order.data)
        try:
            priority = priority_named(order.priority, card.scale)
            check(jobs.read(body, Properties(), limit=self._body_limit).data, self._pools)
        except MalformedError as error:
            raise BadScheduleError(as_ordered(error)) from error
        if not 1 <= order.at_most <= MOST_CAUGHT_UP:
            why = f"atMost: must be 1 to {MOST_CAUGHT_UP:,}, is {order.at_most}"
            raise BadScheduleError(why)
        if order.every is not None and order.zone != NO_ZONE:
            why = f"zone: {rules.ZONE_RULE}"
            raise BadScheduleError(why)
        return Timetable(
            order.pool,
            body,
            cron=order.cron,
            every=order.every,
            zone=order.zone,
            priority=priority,
            missed=order.missed,
            at_most=order.at_most,
        )

    def _following(self, table: Timetable) -> datetime | None:
        try:
            return rules.next_run(table.rhythm, self._ledger.clock.utcnow())
        except RhythmError as error:
            why = f"{error.field}: {error}"
            raise BadScheduleError(why) from error

    def _pool(self, name: str) -> PoolCard:
        if name not in self._pools:
            raise unknown_pool(name, self._pools)
        return self._pools[name]

    def _view(self, standing: Standing) -> ScheduleView:
        schedule, table = standing.schedule, standing.schedule.timetable
        runs, why = self._runs(schedule)
        is_pool = table.pool in self._pools
        return ScheduleView(
            name=schedule.name,
            pool=table.pool,
            data=msgspec.json.decode(table.body),
            cron=table.cron,
            every=table.every,
            zone=table.zone,
            priority=table.priority,
            missed=table.missed,
            at_most=table.at_most,
            paused=schedule.paused,
            source=schedule.source,
            created_at=schedule.created_at,
            last_at=schedule.last_at,
            next_at=schedule.next_at,
            next_runs=runs,
            last_job=schedule.last_job,
            last_state=standing.last_state,
            warnings=why if is_pool else (*why, f"no pool {table.pool} is configured"),
        )

    def _runs(self, schedule: Schedule) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return its next runs in its own zone, or why there are none."""
        table, now = schedule.timetable, self._ledger.clock.utcnow()
        try:
            coming = rules.upcoming(table.rhythm, now, RUNS_SHOWN)
            shown = tuple(rules.moment_in(moment, table.zone) for moment in coming)
        except RhythmError as error:
            return (), (f"{error.field}: {error}",)
        return () if schedule.paused else shown, ()


def _named(name: str) -> str:
    if not rules.is_name(name):
        why = f"name: {rules.NAME_RULE}, is {name[:60]!r}"
        raise BadScheduleError(why)
    return name


def _unknown(name: str) -> UnknownScheduleError:
    return UnknownScheduleError(f"no schedule {name!r}: `schedule list` shows those there are")
