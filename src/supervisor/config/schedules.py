"""Reading ``schedules``: jobs that come by themselves."""

from collections.abc import Mapping
from functools import partial

import msgspec

from consumers.errors import MalformedError
from consumers.jobs import Priority, Properties, Scale, priority_named, read
from supervisor.config.mistakes import did_you_mean
from supervisor.config.section import Section
from supervisor.config.settings import Pool
from supervisor.config.values import between, duration, member, text, whole
from supervisor.core.bounds import MOST_CAUGHT_UP
from supervisor.core.chains import check
from supervisor.core.schedules import (
    NAME_RULE,
    ZONE_RULE,
    Missed,
    RhythmError,
    Timetable,
    is_name,
)

_DEFAULT = Timetable(pool="")


def read_schedules(
    top: Section, pools: Mapping[str, Pool], *, body_limit: int
) -> Mapping[str, Timetable]:
    """Return the schedules, by their names."""
    schedules = top.section("schedules")
    found: dict[str, Timetable] = {}
    for name in schedules.names():
        if not is_name(name):
            schedules.wrong(name, f"is no name for a schedule; it {NAME_RULE}")
            continue
        found[name] = _schedule(schedules.section(name), pools, body_limit)
    return found


def _schedule(said: Section, pools: Mapping[str, Pool], body_limit: int) -> Timetable:
    pool = said.required("pool", text, "", why="name the pool its jobs are for")
    scale = pools[pool].priority_map if pool in pools else {}
    found = Timetable(
        pool=pool,
        body=_body(said, pools, body_limit),
        cron=said.value("cron", text, None),
        every=said.value("every", duration, None),
        zone=said.value("zone", text, _DEFAULT.zone),
        priority=said.value("priority", partial(_priority, scale=scale), _DEFAULT.priority),
        missed=said.value("missed", member(Missed), _DEFAULT.missed),
        at_most=said.value("at_most", between(whole, 1, MOST_CAUGHT_UP), _DEFAULT.at_most),
    )
    if found.pool and found.pool not in pools and not said.is_reported("pool"):
        said.wrong("pool", f"names {found.pool}, which is no pool; {_nearest(found.pool, pools)}")
    if "at_most" in said.names() and found.missed is Missed.SKIP:
        said.wrong("at_most", "belongs to missed: catch_up, but runs that are missed are skipped")
    said.finish()
    _check_rhythm(said, found)
    return found


def _check_rhythm(said: Section, found: Timetable) -> None:
    if said.is_reported("cron") or said.is_reported("every"):
        return
    if found.every is not None and "zone" in said.names():
        said.wrong("zone", ZONE_RULE)
    try:
        _ = found.rhythm
    except RhythmError as error:
        said.wrong(error.field, str(error))


def _body(said: Section, pools: Mapping[str, Pool], limit: int) -> bytes:
    body = msgspec.json.encode(said.free("data"))
    try:
        check(read(body, Properties(), limit=limit).data, pools)
    except MalformedError as error:
        said.wrong("data", str(error).removeprefix("body: "))
    return body


def _priority(value: str, scale: Scale) -> Priority:
    try:
        return priority_named(value, scale)
    except MalformedError as error:
        raise ValueError(str(error).partition(": ")[2]) from error


def _nearest(pool: str, pools: Mapping[str, Pool]) -> str:
    return did_you_mean(pool, tuple(pools))
