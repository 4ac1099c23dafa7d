"""One job for a key: while a key is in force, another order with it makes no second job."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from supervisor.core.records import JobState, NewJob
from supervisor.core.steering import WAITING
from supervisor.ledger import next_copies, pending
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.dialects import insert
from supervisor.ledger.next_copies import Again
from supervisor.ledger.tables.entries import deduplications
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import stamp, stamp_after

# It never runs: another order with its key would be answered as accepted, and come to nothing.
_TAKEN_BACK = frozenset({JobState.CANCELLED, JobState.REMOVED})
_holder = select(deduplications.c.job_id, deduplications.c.until).where(
    deduplications.c.queue == bindparam("the_queue"),
    deduplications.c.key == bindparam("the_key"),
)
_state = select(jobs.c.state).where(THIS_JOB)
_origin = select(jobs.c.origin).where(THIS_JOB)
_row = insert(deduplications)
_keep = _row.on_conflict_do_update(
    index_elements=[deduplications.c.queue, deduplications.c.key],
    set_={"job_id": _row.excluded.job_id, "until": _row.excluded.until},
)


@dataclass(frozen=True, slots=True)
class Terms:
    """A key, for how many seconds it is in force (None: while its job is not finished), and how.

    ``replaces``: a job that waits still gets the new order's data; otherwise the order is dropped.
    """

    key: str
    ttl: float | None = None
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """The job an order came to; ``has_changed`` when it is to be published, be it once more."""

    job_id: str
    has_changed: bool


def holder(connection: Connection, queue: str, key: str, *, now: datetime) -> str:
    """Return the job that a key stands for just now; nothing if it is free."""
    found = connection.execute(_holder, {"the_queue": queue, "the_key": key}).one_or_none()
    if found is None:
        return ""
    state = connection.execute(_state, job_key(queue, found.job_id)).scalar_one_or_none()
    if state is None or JobState(state) in _TAKEN_BACK:
        return ""
    if found.until is None:
        return "" if JobState(state).is_final else str(found.job_id)
    return str(found.job_id) if found.until > stamp(now) else ""


def enter(
    connection: Connection, job: NewJob, terms: Terms, expected: str, *, now: datetime
) -> Entry | None:
    """Enter a job, or what its key comes to; None if another job holds the key than expected.

    Whoever expects one keeps it to himself meanwhile (``Book.steering``): that it waits holds.
    """
    found = holder(connection, job.queue, terms.key, now=now)
    if found != expected:
        return None
    if found and not (terms.replaces and _may_change(connection, job, found)):
        return Entry(found, has_changed=False)
    if found:
        copy = Again(
            delay=job.delay,
            priority=job.priority,
            body=job.body,
            post_at=job.post_at,
            among=WAITING,
        )
        if next_copies.again(connection, job.queue, found, copy, now=now):
            _remember(connection, job.queue, found, terms, now=now)
            return Entry(found, has_changed=True)
    # What runs or is over has had its data: the new ones are a job of their own.
    is_new = pending.enter(connection, job, now=now)
    if is_new:
        _remember(connection, job.queue, job.id, terms, now=now)
    return Entry(job.id, has_changed=is_new)


def _may_change(connection: Connection, job: NewJob, found: str) -> bool:
    """Answer whether who hands a job in may change another: with a token, only one of his own."""
    if not job.origin:
        return True
    origin: str = connection.execute(_origin, job_key(job.queue, found)).scalar_one()
    return origin == job.origin


def _remember(
    connection: Connection, queue: str, job_id: str, terms: Terms, *, now: datetime
) -> None:
    until = None if terms.ttl is None else stamp_after(now, terms.ttl)
    row = {"queue": queue, "key": terms.key, "job_id": job_id, "until": until}
    connection.execute(_keep, row)
