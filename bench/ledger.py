"""How long people wait for lists, counts and a job when the ledger holds a million finished ones.

    python -m bench.ledger [sqlite] [postgresql] [--finished N] [--waiting N]

Fills a new ledger of each kind in bulk (not by the road that jobs take), then asks what people ask:
the best of several. PostgreSQL is a private server of the tests. What a write costs is measured
by the ordinary road, with the counting triggers and without them.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, insert, text
from tests.support.postgresql import PrivatePostgres, programs

from consumers.clock import SystemClock
from consumers.desk import Claim
from consumers.jobs import Properties, fingerprint
from supervisor.core.records import JobFilter, JobState
from supervisor.ledger import figures, listing, places, retention
from supervisor.ledger.migrate import migrate
from supervisor.ledger.retention import Expired
from supervisor.ledger.rooms import Room, room_of
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables import jobs
from supervisor.ledger.values import stamp

POOLS = ("download", "cutter", "preview", "email", "webhooks")
BODY = b'{"link": "http://127.0.0.1/a.mp4", "from": "user123", "note": "%s"}' % (b"x" * 150)
AT_ONCE = 5_000
START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 100.0  # ms that each question may take


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    asked = parser.parse_args()
    slow = 0
    for kind in asked.kinds:
        place = _file() if kind == "sqlite" else _server()
        with place as url:
            slow += asyncio.run(_measure(kind, url, asked.finished, asked.waiting))
    sys.exit(f"{slow} questions took more than {LIMIT:g} ms" if slow else 0)


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
    _fill(url, finished, waiting)
    _say(f"\n{kind}: {finished:,} finished, {waiting:,} waiting, filled in "
          f"{time.perf_counter() - begun:.0f} s")  # fmt: skip
    ledger = await Ledger.open(url, clock=SystemClock(), node="bench")
    try:
        slow = await _ask_all(ledger)
        await _write_some(ledger)
        await _retain(ledger, url)
    finally:
        await ledger.close()
    return slow


def _fill(url: str, finished: int, waiting: int) -> None:
    room = room_of(url, "bench")
    room.take()
    migrate(room)
    with room.writing.begin() as connection:
        for first in range(0, finished + waiting, AT_ONCE):
            last = min(first + AT_ONCE, finished + waiting)
            rows = [_row(number, number >= finished) for number in range(first, last)]
            room.pour(connection, jobs, rows)
    _vacuum(room)
    room.release()


def _vacuum(room: Room) -> None:
    """Do what a server does by itself now and then, unless it was made quick for tests."""
    if room.is_shared:
        options = {"isolation_level": "AUTOCOMMIT"}
        with room.writing.connect().execution_options(**options) as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _row(number: int, is_waiting: bool) -> dict[str, object]:  # noqa: FBT001 - a row of a table
    pool = POOLS[number % len(POOLS)]
    state = JobState.COMPLETED if number % 20 else JobState.FAILED
    if is_waiting:
        state = JobState.WAITING if number % 10 else JobState.DELAYED
    at = stamp(START + timedelta(seconds=number))
    is_delayed = state is JobState.DELAYED
    return {
        "queue": f"{pool}_queue",
        "id": f"job-{number:08}",
        "pool": pool,
        "state": state.value,
        "priority": 3,
        "body": BODY,
        "properties": b"{}",
        "created_at": at,
        "started_at": None if is_waiting else at,
        "finished_at": None if is_waiting else at + 1_000_000,
        "result": None if is_waiting else b'{"files": ["a.mp4"]}',
        "due_at": at + (number % 2) * 10**15 if is_delayed else None,
    }


async def _ask_all(ledger: Ledger) -> int:
    now = ledger.clock.utcnow()
    questions: dict[str, Callable[[Connection], object]] = {
        "newest 100": partial(listing.find, wanted=JobFilter(limit=100), now=now),
        "counts": partial(listing.counts, now=now),
        "show, by id": partial(listing.show, job_id="job-00500000", now=now),
        "an id's beginning": partial(listing.beginning_with, start="job-0050"),
    }
    for state in (JobState.WAITING, JobState.DELAYED, JobState.FAILED, JobState.ACTIVE):
        wanted = JobFilter(state=state, limit=100)
        questions[f"newest 100 {state.value}"] = partial(listing.find, wanted=wanted, now=now)
        for pool in ("email", "nobody"):
            wanted = JobFilter(state=state, pool=pool, limit=100)
            question = partial(listing.find, wanted=wanted, now=now)
            questions[f"newest 100 {state.value} of {pool}"] = question
    questions["oldest waiting of email"] = partial(figures.oldest_waiting, pool="email")
    questions["a waiting job's place"] = _place
    slow = 0
    for name, question in questions.items():
        took = [await _time(ledger, question) for _ in range(5)]
        slow += min(took) > LIMIT
        _say(f"  {name:34} {min(took):8.1f} ms{'  SLOW' if min(took) > LIMIT else ''}")
    return slow


def _place(connection: Connection) -> object:
    job = listing.show(connection, "job-01050002", now=START)
    return job and places.rivals(connection, job)


async def _time(ledger: Ledger, question: Callable[[Connection], object]) -> float:
    begun = time.perf_counter()
    await ledger.read(question)
    return (time.perf_counter() - begun) * 1000


async def _write_some(ledger: Ledger, number: int = 2_000) -> None:
    """Begin and complete jobs as workers do, fifteen at a time."""
    names = [f"new-{each}" for each in range(number)]
    for what in ("warm-up", "with counts", "without"):
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
    for name in ("jobs_entered", "jobs_changed", "jobs_removed"):
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE jobs {how} TRIGGER {name}"))
        elif how == "DISABLE":
            connection.execute(text(f"DROP TRIGGER {name}"))


async def _retain(ledger: Ledger, url: str) -> None:
    """Let retention remove a tenth and enter as many again: the ledger must not grow."""
    room = room_of(url, "bench-looks")
    sizes = []
    for turn in range(3):
        with room.reading.begin() as connection:
            sizes.append(room.size(connection) / 1e6)
        await _turn_over(ledger, turn)
        _vacuum(room)
    room.release()
    found = ", ".join(f"{size:,.0f}" for size in sizes)
    _say(f"  size, before and after two turns of retention: {found} MB")


async def _turn_over(ledger: Ledger, turn: int, number: int = 20_000) -> None:
    before = START + timedelta(seconds=(turn + 1) * number)
    begun = time.perf_counter()
    removed = 0
    for pool in POOLS:
        for state in (JobState.COMPLETED, JobState.FAILED):
            expired = Expired(f"{pool}_queue", state, before)
            remove = partial(
                retention.remove, expired=expired, limit=number, now=ledger.clock.utcnow()
            )
            while some := await ledger.write(remove):
                removed += some
    _say(f"  {removed:,} removed by retention in {time.perf_counter() - begun:.1f} s")
    first = 2_000_000 + turn * number
    for start in range(first, first + removed, AT_ONCE):
        rows = [_row(each, False) for each in range(start, min(start + AT_ONCE, first + removed))]  # noqa: FBT003
        await ledger.write(lambda connection, rows=rows: connection.execute(insert(jobs), rows))


if __name__ == "__main__":
    main()
