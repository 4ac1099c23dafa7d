"""A ledger full of jobs of all kinds, poured in: what the questions of `bench.ledger` are put to.

Two of five jobs are of chains of four, one chain is long; every finished job has a run.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from supervisor.core.records import JobState
from supervisor.ledger.migrate import migrate
from supervisor.ledger.rooms import Room, room_of
from supervisor.ledger.tables.jobs import attempts, jobs
from supervisor.ledger.values import stamp

POOLS = ("download", "cutter", "preview", "email", "webhooks")
BODY = b'{"link": "http://127.0.0.1/a.mp4", "from": "user123", "note": "%s"}' % (b"x" * 150)
START = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = 5_000
SENDERS, SCHEDULES, GROUPS = 5_000, 50, 200
LONG = 1_000  # jobs that the first one of the ledger has in its chain

Values = Mapping[str, object]


def fill(url: str, finished: int, waiting: int) -> None:
    """Make a ledger with so many jobs."""
    room = room_of(url, "bench")
    room.take()
    migrate(room)
    with room.writing.begin() as connection:
        for first in range(0, finished + waiting, AT_ONCE):
            last = min(first + AT_ONCE, finished + waiting)
            pour(room, connection, range(first, last), finished=finished)
    vacuum(room)
    room.release()


def pour(room: Room, connection: Connection, numbers: range, *, finished: int) -> None:
    """Enter these jobs as they lie after their runs; from ``finished`` on they wait."""
    rows = [row(number, is_waiting=number >= finished) for number in numbers]
    room.pour(connection, jobs, rows)
    if runs := list(_runs(rows)):
        room.pour(connection, attempts, runs)


def vacuum(room: Room) -> None:
    """Do what a server does by itself now and then, unless it was made quick for tests."""
    if room.is_shared:
        options = {"isolation_level": "AUTOCOMMIT"}
        with room.writing.connect().execution_options(**options) as connection:
            connection.execute(text("VACUUM ANALYZE"))


def row(number: int, *, is_waiting: bool) -> Values:
    """Return one job of many: state, age and belongings follow from its number."""
    pool = POOLS[number % len(POOLS)]
    state = JobState.COMPLETED if number % 20 else JobState.FAILED
    if is_waiting:
        state = JobState.WAITING if number % 10 else JobState.DELAYED
    at = stamp(START + timedelta(seconds=number))
    is_delayed, is_dead = state is JobState.DELAYED, state is JobState.FAILED
    return {
        "queue": f"{pool}_queue",
        "id": f"job-{number:08}",
        "pool": pool,
        "name": "video:cut" if number % 7 else "email:send",
        "state": state.value,
        "priority": 3,
        "body": BODY,
        "properties": b"{}",
        "sender": f"user{number % SENDERS}",
        "origin": f"schedule:{number % SCHEDULES}" if number % 30 == 0 else "",
        "error_group": f"group-{number % GROUPS}" if is_dead else "",
        "error": b'{"message": "the link is gone", "code": "not_found"}' if is_dead else None,
        "created_at": at,
        "started_at": None if is_waiting else at,
        "finished_at": None if is_waiting else at + 1_000_000,
        "result": None if is_waiting else b'{"files": ["a.mp4"]}',
        "due_at": at + (number % 2) * 10**15 if is_delayed else None,
        **_relatives(number),
    }


def _relatives(number: int) -> Values:
    """Return of which chain a job is: that of the first, of the first in its ten, or of none."""
    first = 0 if number < LONG else number - number % 10
    if number >= LONG and number % 10 > 3:
        return dict.fromkeys(("root_queue", "root_id", "parent_queue", "parent_id"), "")
    queue, name = f"{POOLS[first % len(POOLS)]}_queue", f"job-{first:08}"
    is_first = number == first
    return {
        "root_queue": queue,
        "root_id": name,
        "parent_queue": "" if is_first else queue,
        "parent_id": "" if is_first else name,
    }


def _runs(rows: list[Values]) -> Iterator[Values]:
    for job in rows:
        if job["finished_at"] is not None:
            yield {
                "queue": job["queue"],
                "job_id": job["id"],
                "number": 1,
                "worker": f"{job['pool']}-1",
                "started_at": job["started_at"],
                "finished_at": job["finished_at"],
            }
