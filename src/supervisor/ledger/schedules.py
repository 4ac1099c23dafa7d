"""Schedules as they are remembered, and their runs: entered and counted off in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, null, select, update

from consumers.jobs import Priority
from supervisor.core.records import JobState, NewJob
from supervisor.core.schedules import Due, Missed, Schedule, Timetable, next_run
from supervisor.ledger import pending
from supervisor.ledger.dialects import insert
from supervisor.ledger.tables.entries import schedules
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import moment_or_none, stamp

CONFIG = "config"  # the source of those in supervisor.yaml

_this = schedules.c.name == bindparam("the_name")
# Those of other pools are left to the coordinators that have them.
_is_ours = schedules.c.pool.in_(bindparam("the_pools", expanding=True))
_last_state = (
    select(jobs.c.state)
    .where(jobs.c.id == schedules.c.last_job)
    .order_by(jobs.c.number.desc())
    .limit(1)
    .scalar_subquery()
)
_every = select(schedules, _last_state.label("last_state")).order_by(schedules.c.name)
_due = (
    select(schedules)
    .where(schedules.c.next_at <= bindparam("the_moment"), _is_ours)
    .order_by(schedules.c.next_at)
)
_earliest = select(func.min(schedules.c.next_at)).where(
    _is_ours, schedules.c.name.not_in(bindparam("the_others", expanding=True))
)
_running = select(schedules).where(~schedules.c.paused, _is_ours)
_entry = insert(schedules).on_conflict_do_nothing(index_elements=[schedules.c.name])
_removal = delete(schedules).where(_this)
_tick = (
    update(schedules)
    .where(
        _this,
        schedules.c.next_at.is_not_distinct_from(bindparam("the_old")),
        ~schedules.c.paused,
    )
    .values(next_at=bindparam("the_next"))
)
_ran = (
    update(schedules)
    .where(_this)
    .values(last_at=bindparam("the_moment"), last_job=bindparam("the_job"))
)
_pause = update(schedules).where(_this).values(paused=True, next_at=null())
_resume = (
    update(schedules)
    .where(_this, schedules.c.paused)
    .values(paused=False, next_at=bindparam("the_next"))
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A schedule, and how its last job stands: None if there is none, or it is not kept."""

    schedule: Schedule
    last_state: JobState | None


def standings(connection: Connection, name: str | None = None) -> tuple[Standing, ...]:
    """Return all schedules by their names, or the one of that name if there is one."""
    query = _every if name is None else _every.where(schedules.c.name == name)
    return tuple(
        Standing(_schedule(row), JobState(row.last_state) if row.last_state else None)
        for row in connection.execute(query)
    )


def due(connection: Connection, pools: Collection[str], *, now: datetime) -> tuple[Schedule, ...]:
    """Return the schedules of these pools that are to run, the longest overdue first."""
    values = {"the_moment": stamp(now), "the_pools": list(pools)}
    return tuple(_schedule(row) for row in connection.execute(_due, values))


def earliest(
    connection: Connection, pools: Collection[str], *, besides: Collection[str] = ()
) -> datetime | None:
    """Return when the next run for one of these pools is, but for the schedules of these names."""
    values = {"the_pools": list(pools), "the_others": list(besides)}
    return moment_or_none(connection.scalar(_earliest, values))


def running(connection: Connection, pools: Collection[str]) -> tuple[Schedule, ...]:
    """Return the schedules of these pools that are not paused."""
    return tuple(_schedule(row) for row in connection.execute(_running, {"the_pools": list(pools)}))


def tick(
    connection: Connection, schedule: Schedule, due: Due, runs: Sequence[NewJob], *, now: datetime
) -> int | None:
    """Enter the runs of a schedule and say when it runs next; return how many jobs are new.

    None, and nothing is changed, if it is not as it was: another coordinator has seen to it, or
    somebody changed it.
    """
    moved = {
        "the_name": schedule.name,
        "the_old": None if schedule.next_at is None else stamp(schedule.next_at),
        "the_next": None if due.next_at is None else stamp(due.next_at),
    }
    if connection.execute(_tick, moved).rowcount != 1:
        return None
    entered = sum(pending.enter(connection, job, now=now) for job in runs)
    if runs:
        ran(connection, schedule.name, runs[-1].id, at=due.runs[-1])
    return entered


def ran(connection: Connection, name: str, job_id: str, *, at: datetime) -> None:
    """Note which job a schedule's last run is."""
    connection.execute(_ran, {"the_name": name, "the_moment": stamp(at), "the_job": job_id})


def run_now(connection: Connection, name: str, job: NewJob, *, now: datetime) -> bool:
    """Enter a run out of turn; False if there is no such schedule any more."""
    if not standings(connection, name):
        return False
    pending.enter(connection, job, now=now)
    ran(connection, name, job.id, at=now)
    return True


def add(connection: Connection, schedule: Schedule) -> bool:
    """Remember a new schedule; False if there is one of that name."""
    return connection.execute(_entry, _row(schedule)).rowcount == 1


def change(connection: Connection, name: str, timetable: Timetable, *, now: datetime) -> bool:
    """Give a schedule another timetable; False if there is none of that name."""
    found = standings(connection, name)
    if found:
        _amend(connection, found[0].schedule, timetable, now=now)
    return bool(found)


def remove(connection: Connection, name: str) -> bool:
    """Forget a schedule; the jobs it entered stay. False if there is none of that name."""
    return connection.execute(_removal, {"the_name": name}).rowcount == 1


def pause(connection: Connection, name: str) -> None:
    """Have a schedule not run; what passes meanwhile is not missed."""
    connection.execute(_pause, {"the_name": name})


def resume(connection: Connection, name: str, *, next_at: datetime | None) -> None:
    """Have a paused schedule run again."""
    moved = {"the_name": name, "the_next": None if next_at is None else stamp(next_at)}
    connection.execute(_resume, moved)


def synchronise(
    connection: Connection, wanted: Mapping[str, Timetable], *, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Make the schedules of the configuration what it says; return those added and removed.

    A paused one stays paused, and one whose rhythm is as it was goes on where it was: what it
    missed while nobody ran is missed. Those that came by the API stay, but for a name that the
    configuration takes.
    """
    known = {each.schedule.name: each.schedule for each in standings(connection)}
    for name, timetable in wanted.items():
        if name in known:
            _amend(connection, known[name], timetable, now=now, source=CONFIG)
        else:
            following = next_run(timetable.rhythm, now)
            add(connection, Schedule(name, timetable, CONFIG, created_at=now, next_at=following))
    gone = [n for n, each in known.items() if each.source == CONFIG and n not in wanted]
    for name in gone:
        remove(connection, name)
    return tuple(name for name in wanted if name not in known), tuple(gone)


def _amend(
    connection: Connection,
    old: Schedule,
    timetable: Timetable,
    *,
    now: datetime,
    source: str | None = None,
) -> None:
    next_at = old.next_at
    if not old.paused and (next_at is None or _beat(timetable) != _beat(old.timetable)):
        next_at = next_run(timetable.rhythm, now)
    values = _said(timetable) | {"next_at": None if next_at is None else stamp(next_at)}
    values["source"] = source or old.source
    connection.execute(update(schedules).where(schedules.c.name == old.name).values(values))


def _beat(timetable: Timetable) -> tuple[object, ...]:
    return timetable.cron, timetable.every, timetable.zone


def _row(schedule: Schedule) -> dict[str, object]:
    created, following = schedule.created_at, schedule.next_at
    return _said(schedule.timetable) | {
        "name": schedule.name,
        "source": schedule.source,
        "paused": schedule.paused,
        "created_at": None if created is None else stamp(created),
        "next_at": None if following is None else stamp(following),
    }


def _said(timetable: Timetable) -> dict[str, object]:
    return {
        "pool": timetable.pool,
        "cron": timetable.cron,
        "every": timetable.every,
        "zone": timetable.zone,
        "body": timetable.body,
        "priority": timetable.priority.value,
        "missed": timetable.missed.value,
        "at_most": timetable.at_most,
    }


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(
        name=row.name,
        timetable=Timetable(
            pool=row.pool,
            body=row.body,
            cron=row.cron,
            every=row.every,
            zone=row.zone,
            priority=Priority(row.priority),
            missed=Missed(row.missed),
            at_most=row.at_most,
        ),
        source=row.source,
        paused=row.paused,
        created_at=moment_or_none(row.created_at),
        last_at=moment_or_none(row.last_at),
        next_at=moment_or_none(row.next_at),
        last_job=row.last_job,
    )
