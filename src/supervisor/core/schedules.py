"""When a schedule runs: by a cron line in a time zone, or every so many seconds. Pure.

Cron lines mean what they mean to Debian's cron, summer time included, as cronsim has it. A line of
six fields begins with seconds. This is the only file that knows cronsim.
"""

import enum
import itertools
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

from consumers.jobs import Priority

TARDY = timedelta(seconds=60)  # a run that is later than this was missed
COUNTED = 10_000  # missed runs that are counted one by one
LONGEST_LINE = 200  # characters of a cron line
SHORTEST_PERIOD = 1.0  # seconds
LONGEST_PERIOD = 366 * 86400.0
CAUGHT_UP = 100  # missed runs that are caught up with, unless the schedule says otherwise

ZONE_RULE = "belongs to cron; every counts seconds, which are the same everywhere"
NAME_RULE = "must be 1 to 63 letters, digits, - and _, a letter first"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_NICKNAMES: Mapping[str, str] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Missed(enum.Enum):
    """What becomes of runs whose moment passed while nobody looked."""

    SKIP = "skip"
    CATCH_UP = "catch_up"


class RhythmError(ValueError):
    """A rhythm that cannot be; ``field`` is the part of it that is wrong."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


@dataclass(frozen=True, slots=True)
class Cron:
    """By the clock on the wall of a time zone."""

    line: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many seconds, counted from 1970: all coordinators agree on the moments."""

    period: timedelta


Rhythm = Cron | Every


class Timetable(msgspec.Struct, frozen=True):
    """What a schedule does and when, as people say it; ``cron`` or ``every`` (seconds)."""

    pool: str
    body: bytes = b"{}"  # of each of its jobs
    cron: str | None = None
    every: float | None = None
    zone: str = "UTC"
    priority: Priority = Priority.NORMAL
    missed: Missed = Missed.SKIP
    at_most: int = CAUGHT_UP  # missed runs to catch up with

    @property
    def rhythm(self) -> Rhythm:
        """Return when it runs. Raises RhythmError."""
        if self.cron is None and self.every is None:
            raise RhythmError("cron", "is missing; say one of cron and every")
        if self.cron is not None and self.every is not None:
            raise RhythmError("cron", "say either cron or every, and not both")
        if self.every is not None:
            return every(self.every)
        return cron(self.cron or "", self.zone)


class Schedule(msgspec.Struct, frozen=True):
    """A schedule as it is remembered. ``source`` says who may change it: the file, or anybody."""

    name: str
    timetable: Timetable
    source: str = "api"
    paused: bool = False
    created_at: datetime | None = None
    last_at: datetime | None = None  # the moment of its last run
    next_at: datetime | None = None
    last_job: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """What follows at a moment: runs to enter, the oldest first, and when to look again.

    ``left_out`` runs were missed and are not entered; from ``COUNTED`` on there may be more.
    """

    runs: tuple[datetime, ...]
    left_out: int
    next_at: datetime | None


def is_name(text: str) -> bool:
    """Answer whether a schedule may be called so: its name is part of its jobs' ids."""
    return _NAME.fullmatch(text) is not None


def cron(line: str, zone: str) -> Cron:
    """Return a rhythm by the clock. Raises RhythmError."""
    rhythm = Cron(_plain(line), _zone(zone))
    try:
        found = next(_forwards(rhythm, EPOCH + timedelta(days=20_000)), None)
    except CronSimError as error:
        what = str(error)[:1].lower() + str(error)[1:]
        why = f"is no cron line: {what}; write minute hour day month weekday, like 0 3 * * *"
        raise RhythmError("cron", f"{why}, is {line[:60]!r}") from error
    if found is None:
        raise RhythmError("cron", f"never comes, within fifty years: {line!r}")
    return rhythm


def every(seconds: float) -> Every:
    """Return a rhythm of equal steps. Raises RhythmError."""
    if not SHORTEST_PERIOD <= seconds <= LONGEST_PERIOD:
        why = f"must be {SHORTEST_PERIOD:g} s to {LONGEST_PERIOD:,.0f} s, is {seconds:g} s"
        raise RhythmError("every", why)
    return Every(timedelta(seconds=seconds))


def next_run(rhythm: Rhythm, after: datetime) -> datetime | None:
    """Return the first moment after ``after`` (UTC, as all moments here), None: there is none."""
    return next(_forwards(rhythm, after), None)


def upcoming(rhythm: Rhythm, after: datetime, count: int) -> tuple[datetime, ...]:
    """Return the next so many moments."""
    return tuple(itertools.islice(_forwards(rhythm, after), count))


def look(timetable: Timetable, next_at: datetime, *, now: datetime) -> Due:
    """Return what follows for a schedule that was to run at ``next_at``, which has come."""
    rhythm = timetable.rhythm
    is_skipping = timetable.missed is Missed.SKIP
    kept, total = _passed(rhythm, next_at, now, 1 if is_skipping else timetable.at_most)
    if is_skipping and now - kept[-1] > TARDY:
        kept = ()
    return Due(kept, total - len(kept), next_run(rhythm, now))


def revised(timetable: Timetable, next_at: datetime | None, *, now: datetime) -> datetime | None:
    """Return when a schedule runs next, if ``next_at`` may come from a clock that was wrong."""
    following = next_run(timetable.rhythm, now)
    if next_at is None or following is None:
        return next_at or following
    return min(next_at, following)


def moment_in(when: datetime, zone: str) -> str:
    """Return a moment in a zone's own time, as ISO 8601 with its offset."""
    return when.astimezone(_zone(zone)).isoformat()


def run_id(name: str, when: datetime) -> str:
    """Return the id of the job of a run: the same on every coordinator."""
    return f"schedule:{name}:{when.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def _plain(line: str) -> str:
    known = _NICKNAMES.get(line.strip().lower(), line)
    if len(known) > LONGEST_LINE:
        raise RhythmError("cron", f"must be at most {LONGEST_LINE} characters, is {len(known)}")
    return " ".join(known.split())


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        why = f"is no time zone this machine knows, like Europe/Lisbon or UTC, is {name[:60]!r}"
        raise RhythmError("zone", why) from error


def _forwards(rhythm: Rhythm, after: datetime) -> Iterator[datetime]:
    """Yield the moments after a moment, in their order."""
    if isinstance(rhythm, Every):
        first = (after - EPOCH) // rhythm.period + 1
        yield from (EPOCH + number * rhythm.period for number in itertools.count(first))
    else:
        for found in CronSim(rhythm.line, after.astimezone(rhythm.zone)):
            # In the hour that comes twice cronsim may begin with a moment that has passed.
            if (moment := found.astimezone(UTC)) > after:
                yield moment


def _passed(
    rhythm: Rhythm, since: datetime, now: datetime, most: int
) -> tuple[tuple[datetime, ...], int]:
    """Return the newest moments from ``since``, which is one, to ``now``, and how many passed."""
    if isinstance(rhythm, Every):
        newest = (now - EPOCH) // rhythm.period
        total = max(newest - (since - EPOCH) // rhythm.period + 1, 1)
        first = newest - min(total, most) + 1
        return tuple(EPOCH + n * rhythm.period for n in range(first, newest + 1)), total
    kept = deque([since], maxlen=most)
    total = 1
    for moment in _forwards(rhythm, since):
        if moment > now:
            break
        if total == COUNTED:
            return _newest(rhythm, now, most), total
        kept.append(moment)
        total += 1
    return tuple(kept), total


def _newest(rhythm: Cron, now: datetime, most: int) -> tuple[datetime, ...]:
    # From a little later: going back, cronsim passes over the hour that comes twice.
    later = (now + timedelta(hours=3)).astimezone(rhythm.zone)
    backwards = (found.astimezone(UTC) for found in CronSim(rhythm.line, later, reverse=True))
    passed = itertools.dropwhile(lambda moment: moment > now, backwards)
    return tuple(itertools.islice(passed, most))[::-1]
