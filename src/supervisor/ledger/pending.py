"""Jobs that are to be published: each is entered in one transaction with whatever caused it.

A job in state ``pending`` is a promise: its copy ``seq`` will be published (``publishing.py``),
however often we are killed. The next copies of jobs that are known are entered by
``next_copies.py``.
"""

import enum
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from supervisor.core.records import JobState, NewJob, Relative
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.dialects import insert
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import pack, stamp, stamp_after

AT_ONCE = 500  # jobs that are handed to the database together

_ENTRY = (
    *("queue", "id", "pool", "name", "state", "priority", "body", "properties", "sender"),
    *("noreply", "confirmed", "created_at", "due_at", "max_attempts", "origin", "post_at"),
    *("limit_key", "parent_queue", "parent_id", "root_queue", "root_id"),
)
_enter = Prepared(
    insert(jobs).on_conflict_do_nothing(index_elements=[jobs.c.queue, jobs.c.id]), columns=_ENTRY
)
_origin = select(jobs.c.origin).where(THIS_JOB)


class Entry(enum.Enum):
    """What came of a new job."""

    NEW = enum.auto()
    KNOWN = enum.auto()  # it was there before
    TAKEN = enum.auto()  # its id is that of a job which somebody else handed in


def enter(connection: Connection, job: NewJob, *, now: datetime) -> bool:
    """Enter a new job that is to be published; False if its queue has one of that id."""
    return _enter.run(connection, _row(job, now=now)).rowcount == 1


def enter_all(connection: Connection, many: Sequence[NewJob], *, now: datetime) -> int:
    """Enter new jobs as ``enter`` does, in their order; return how many of them were new."""
    starts = range(0, len(many), AT_ONCE)
    batches = ([_row(job, now=now) for job in many[start : start + AT_ONCE]] for start in starts)
    return sum(_enter.run_many(connection, batch) for batch in batches)


def enter_many(connection: Connection, many: Sequence[NewJob], *, now: datetime) -> list[Entry]:
    """Enter new jobs that are to be published, in their order; say what came of each."""
    return [_entry(connection, job, now=now) for job in many]


def _entry(connection: Connection, job: NewJob, *, now: datetime) -> Entry:
    if enter(connection, job, now=now):
        return Entry.NEW
    if not job.origin:
        return Entry.KNOWN
    owner = connection.execute(_origin, job_key(job.queue, job.id)).scalar_one()
    return Entry.KNOWN if owner == job.origin else Entry.TAKEN


def _row(job: NewJob, *, now: datetime) -> dict[str, object]:
    return {
        "queue": job.queue,
        "id": job.id,
        "pool": job.pool,
        "name": job.name,
        "state": JobState.PENDING.value,
        "priority": job.priority.value,
        "body": job.body,
        "properties": pack(job.properties),
        "sender": job.sender,
        "noreply": job.noreply,
        "confirmed": False,
        "created_at": stamp(now),
        "due_at": stamp_after(now, job.delay) if job.delay > 0 else None,
        "max_attempts": job.max_attempts,
        "origin": job.origin,
        "post_at": stamp(job.post_at or now),
        "limit_key": job.limit_key,
        **_relative("parent", job.parent),
        **_relative("root", job.root),
    }


def _relative(name: str, other: Relative | None) -> dict[str, str]:
    queue, job_id = ("", "") if other is None else (other.queue, other.id)
    return {f"{name}_queue": queue, f"{name}_id": job_id}
