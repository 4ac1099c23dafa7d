"""How long people wait for lists, counts and a job when the ledger holds a million finished ones.

    python -m bench.ledger [sqlite] [postgresql] [--finished N] [--waiting N]

Fills a new ledger of each kind in bulk (`ledger_rows.py`; not by the road that jobs take), then
asks what people ask: the best of several. PostgreSQL is a private server of the tests. What a write
costs is measured by the ordinary road, with the triggers that count and watch chains and without.
Before that, retention removes jobs and as many come: the ledger must not grow by that.
"""

import argparse
import asyncio
import inspect
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from bench.ledger_rows import AT_ONCE, BODY, POOLS, START, fill, pour, vacuum
from msgspec.structs import replace
from sqlalchemy import Connection, text
from tests.support.postgresql import PrivatePostgres, programs

from consumers import logs
from consumers.clock import SystemClock
from consumers.desk import Claim
from consumers.jobs import Properties, fingerprint
from supervisor.bulletin import Bulletin
from supervisor.cleaning import Cleaning
from supervisor.core.letters import LetterFilter
from supervisor.core.records import JobFilter, JobState, Relative
from supervisor.core.retention import Rule
from supervisor.ledger import families, figures, letters, listing, places
from supervisor.ledger.retention import Expired
from supervisor.ledger.rooms import Room, room_of
from supervisor.ledger.store import Ledger

LIMIT = 100.0  # ms that each question may take
TURNS = 3  # of retention; the first one makes room for those that follow
MOST_GROWTH = 1.05  # in two turns, each of which brings a twentieth
SLACK = 10.0  # MB; what a file's log may just hold
MANY = 10_000_000  # more jobs than there are: later ones are numbered from here

_LETTERS = {
    "a user": LetterFilter(sender="user20"),
    "nobody": LetterFilter(sender="nobody"),
    "an error": LetterFilter(group="group-20"),
    "no error": LetterFilter(group="none"),
}

Question = Callable[[Connection], object]


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    asked = parser.parse_args()
    logs.configure("warning")
    slow = 0
    for kind in asked.kinds:
        place = _file() if kind == "sqlite" else _server()
        with place as url:
            slow += asyncio.run(_measure(kind, url, asked.finished, asked.waiting))
    sys.exit(f"{slow} bars missed: {LIMIT:g} ms a question, no growth" if slow else 0)


@contextmanager
def _file() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/ledger.db"


@contextmanager
def _server() -> Iterator[str]:
    found = programs()
    if found is None:
        sys.exit("PostgreSQL is not installed")
    with PrivatePostgres(found) as server, server.database() as url:
        yield url


async def _measure(kind: str, url: str, finished: int, waiting: int) -> int:
    begun = time.perf_counter()
    fill(url, finished, waiting)
    _say(f"\n{kind}: {finished:,} finished, {waiting:,} waiting, filled in "
          f"{time.perf_counter() - begun:.0f} s")  # fmt: skip
    ledger = await Ledger.open(url, clock=SystemClock(), node="bench")
    try:
        slow = await _ask_all(ledger)
        slow += await _retain(ledger, url, finished)
        await _write_some(ledger)
    finally:
        await ledger.close()
    return slow


async def _ask_all(ledger: Ledger) -> int:
    slow = 0
    for name, question in _questions(ledger.clock.utcnow()).items():
        took = [await _time(ledger, question) for _ in range(5)]
        slow += min(took) > LIMIT
        _say(f"  {name:38} {min(took):8.1f} ms{'  SLOW' if min(took) > LIMIT else ''}")
    return slow


def _questions(now: datetime) -> dict[str, Question]:
    """Return what is asked: lists by what few jobs and by what no job has, counts, and one job."""
    page = partial(listing.page, now=now)
    found: dict[str, Question] = {
        "newest 100": partial(page, wanted=JobFilter(limit=100)),
        "oldest 100": partial(page, wanted=JobFilter(limit=100, oldest=True)),
        "100 in the middle": partial(page, wanted=JobFilter(limit=100, after=500_000)),
        "counts": partial(listing.counts, now=now),
        "show, by id": partial(listing.show, job_id="job-00000500"),
        "show, the first of a long chain": partial(listing.show, job_id="job-00000000"),
        "an id's beginning": partial(listing.beginning_with, start="job-0050"),
        "oldest waiting of email": partial(figures.oldest_waiting, pool="email"),
        "a waiting job's place": _place,
        "what came of a job": _family,
        "newest 100 dead letters": partial(letters.page, wanted=LetterFilter(), limit=100),
        "dead letters by error": partial(letters.groups, wanted=LetterFilter()),
        **{
            f"newest 100 dead letters of {words}": partial(letters.page, wanted=wanted, limit=100)
            for words, wanted in _LETTERS.items()
        },
    }
    found = {name: _asked(question, now) for name, question in found.items()}
    for state in (JobState.WAITING, JobState.DELAYED, JobState.FAILED, JobState.ACTIVE):
        for pool in (None, "email", "nobody"):
            words = f"newest 100 {state.value}{f' of {pool}' if pool else ''}"
            found[words] = partial(page, wanted=JobFilter(state=state, pool=pool, limit=100))
    for words, narrow in _narrow().items():
        found[f"newest 100 {words}"] = partial(page, wanted=replace(narrow, limit=100))
    return found


def _asked(question: Callable[..., object], now: datetime) -> Question:
    """Return a question with what else it must be told."""
    more = {"now": now, "after": None}
    known = inspect.signature(question).parameters
    return partial(question, **{name: value for name, value in more.items() if name in known})


def _narrow() -> dict[str, JobFilter]:
    """Return lists of what few jobs have, and of what none has."""
    early, late = START + timedelta(hours=1), START + timedelta(days=3650)
    return {
        "of a pool": JobFilter(pool="email"),
        "of a user": JobFilter(sender="user17"),
        "of a user who has none": JobFilter(sender="nobody"),
        "of a user, waiting": JobFilter(sender="user17", state=JobState.WAITING),
        "of a user, failed": JobFilter(sender="user20", state=JobState.FAILED),
        "of a type": JobFilter(name="email:send"),
        "of a type that none has": JobFilter(name="none"),
        "of a schedule": JobFilter(origin="schedule:30"),
        "of a schedule without jobs": JobFilter(origin="schedule:none"),
        "of an error": JobFilter(group="group-20"),
        "of an error that none has": JobFilter(group="none"),
        "since long ago": JobFilter(since=early),
        "since a moment to come": JobFilter(since=late),
        "until long ago": JobFilter(until=early),
        "of a chain": JobFilter(root=Relative("download_queue", "job-00000000")),
        "that follow a job": JobFilter(parent=Relative("download_queue", "job-00000000")),
    }


def _place(connection: Connection) -> object:
    (job,) = listing.find(connection, JobFilter(state=JobState.WAITING, limit=1), now=START)
    return places.rivals(connection, job)


def _family(connection: Connection, now: datetime) -> object:
    job = listing.one(connection, "download_queue", "job-00000000", now=now)
    return families.family(connection, job, limit=100, now=now)


async def _time(ledger: Ledger, question: Callable[[Connection], object]) -> float:
    begun = time.perf_counter()
    await ledger.read(question)
    return (time.perf_counter() - begun) * 1000


async def _write_some(ledger: Ledger, number: int = 2_000) -> None:
    """Begin and complete jobs as workers do, fifteen at a time."""
    names = [f"new-{each}" for each in range(number)]
    for what in ("warm-up", "with triggers", "without"):
        if what == "without":
            await ledger.write(_stop_counting)
        begun, commits = time.perf_counter(), ledger.commits
        waiting = iter(f"{what}-{name}" for name in names)
        await asyncio.gather(*(_do_jobs(ledger, waiting) for _ in range(15)))
        took = (time.perf_counter() - begun) / number * 1000
        if what == "warm-up":
            continue
        _say(f"  {'a job begun and completed, ' + what:34} {took:8.2f} ms "
              f"({number * 2 / (ledger.commits - commits):.1f} writes a commit)")  # fmt: skip
    await ledger.write(_count_again)


async def _do_jobs(ledger: Ledger, names: Iterator[str]) -> None:
    for name in names:
        properties = Properties(message_id=name)
        words = fingerprint("email_queue", BODY, properties)
        claim = Claim("email_queue", BODY, properties, words, name, "user123", 0)
        await ledger.begin(claim, job_id=name, pool="email", worker="email-1", attempt=1)
        await ledger.complete("email_queue", name, worker="email-1", result={}, duration=0.1)


def _stop_counting(connection: Connection) -> None:
    _switch(connection, "DISABLE")


def _count_again(connection: Connection) -> None:
    _switch(connection, "ENABLE")


def _switch(connection: Connection, how: str) -> None:
    """Take the triggers away, for a while on PostgreSQL, for good in a file that is thrown away."""
    for name in ("jobs_entered", "jobs_changed", "jobs_removed", "chain_turns", "chain_shrinks"):
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE jobs {how} TRIGGER {name}"))
        elif how == "DISABLE":
            connection.execute(text(f"DROP TRIGGER {name}"))


async def _retain(ledger: Ledger, url: str, finished: int) -> int:
    """Let retention remove jobs and enter as many again; return 1 if the ledger grew by it."""
    room = room_of(url, "bench-looks")
    cleaning = Cleaning({}, Rule(), ledger, Bulletin(), ledger.clock)
    sizes = []
    for turn in range(TURNS + 1):
        with room.reading.begin() as connection:
            sizes.append(room.size(connection) / 1e6)
        if turn < TURNS:
            await _turn_over(room, ledger, cleaning, turn, finished // 20)
    room.release()
    is_growing = sizes[-1] > sizes[1] * MOST_GROWTH + SLACK
    found = ", ".join(f"{size:,.0f}" for size in sizes)
    verdict = "  GROWS" if is_growing else ""
    _say(f"  size, before and after turns of retention: {found} MB{verdict}")
    return is_growing


async def _turn_over(
    room: Room, ledger: Ledger, cleaning: Cleaning, turn: int, number: int
) -> None:
    before = START + timedelta(seconds=(turn + 1) * number)
    begun, removed = time.perf_counter(), 0
    for pool in POOLS:
        for state in (JobState.COMPLETED, JobState.FAILED):
            removed += await cleaning.clean(Expired(f"{pool}_queue", state, before))
    _say(f"  {removed:,} removed by retention in {time.perf_counter() - begun:.1f} s")
    first = MANY * (turn + 2)
    for start in range(first, first + removed, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, first + removed))
        await ledger.write(
            lambda connection, numbers=numbers: pour(room, connection, numbers, finished=10 * MANY)
        )
    await asyncio.to_thread(vacuum, room)


if __name__ == "__main__":
    main()
