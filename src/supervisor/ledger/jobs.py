"""How a job gets into the ledger: entered by us before it is published, or met in a queue."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    delete,
    false,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from consumers.desk import Claim
from consumers.jobs import Priority
from supervisor.core.records import JobState, NewJob
from supervisor.ledger.attempts import Run, open_run
from supervisor.ledger.conditions import THIS_JOB, UNFINISHED, Trace, job_key
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.tables import jobs
from supervisor.ledger.values import pack, properties_of, stamp, stamp_after

_entry = insert(jobs).on_conflict_do_nothing(index_elements=[jobs.c.queue, jobs.c.id])
_published = (
    update(jobs)
    .where(THIS_JOB, jobs.c.state == JobState.PENDING.value)
    .values(
        state=case(
            (jobs.c.due_at.is_(null()), JobState.WAITING.value), else_=JobState.DELAYED.value
        )
    )
)
_withdrawal = delete(jobs).where(THIS_JOB, jobs.c.state == JobState.PENDING.value)
_unpublished = (
    select(jobs)
    .where(jobs.c.state == JobState.PENDING.value)
    .order_by(jobs.c.number)
    .limit(bindparam("the_limit"))
)

_ARRIVAL = (
    "queue",
    "id",
    "pool",
    "state",
    "priority",
    "body",
    "properties",
    "sender",
    "noreply",
    "fingerprint",
    "trace",
    "attempts",
    "seq",
    "worker",
    "created_at",
)
_arrival = insert(jobs)
_new = _arrival.excluded
# A job that has failed for good begins anew when somebody publishes a newer copy of it.
_REPLAYED = and_(jobs.c.state == JobState.FAILED.value, _new.seq > jobs.c.seq)
# A copy that came was stored; its original is all but surely acked, unless that was said.
_UNLESS_OWED = case((jobs.c.trace == Trace.OPEN.value, Trace.NONE.value), else_=jobs.c.trace)
_IS_COPY = and_(_new.trace == Trace.NONE.value, jobs.c.trace != Trace.NONE.value)
# A delivery of a known job: what the ledger knows already is never older than the message.
_claim = Prepared(
    _arrival.on_conflict_do_update(
        index_elements=[jobs.c.queue, jobs.c.id],
        where=or_(UNFINISHED, _REPLAYED),
        set_={
            "state": _new.state,
            "worker": _new.worker,
            "priority": _new.priority,
            "fingerprint": case((_IS_COPY, jobs.c.fingerprint), else_=_new.fingerprint),
            "trace": case((_IS_COPY, _UNLESS_OWED), else_=_new.trace),
            "started_at": _new.started_at,
            "due_at": null(),
            "progress": 0,
            "note": "",
            "attempts": case(
                (or_(_REPLAYED, _new.attempts > jobs.c.attempts), _new.attempts),
                else_=jobs.c.attempts,
            ),
            **{
                column.name: case((_REPLAYED, fresh), else_=column)
                for column, fresh in (
                    (jobs.c.crashes, 0),
                    (jobs.c.timeouts, 0),
                    (jobs.c.memory_crashes, 0),
                    (jobs.c.given_up, false()),
                    (jobs.c.error, null()),
                    (jobs.c.finished_at, null()),
                )
            },
            "confirmed": case((_new.seq >= jobs.c.seq, true()), else_=jobs.c.confirmed),
            "seq": case((_new.seq > jobs.c.seq, _new.seq), else_=jobs.c.seq),
        },
    ),
    columns=(*_ARRIVAL, "started_at"),
)
_admission = _arrival.on_conflict_do_nothing(index_elements=[jobs.c.queue, jobs.c.id])


@dataclass(frozen=True, slots=True)
class Taking:
    """A claim that was granted: to which job, and who has it in hand (nobody yet: "")."""

    claim: Claim
    job_id: str
    pool: str
    worker: str = ""
    attempt: int = 1


def create(connection: Connection, job: NewJob, *, state: JobState, now: datetime) -> bool:
    """Enter a job; False says that there is one of that id in its queue already."""
    row = {
        "queue": job.queue,
        "id": job.id,
        "pool": job.pool,
        "state": state.value,
        "priority": job.priority.value,
        "body": job.body,
        "properties": pack(job.properties),
        "sender": job.sender,
        "noreply": job.noreply,
        "created_at": stamp(now),
        "due_at": stamp_after(now, job.delay) if job.delay > 0 else None,
    }
    return connection.execute(_entry, row).rowcount == 1


def published(connection: Connection, queue: str, job_id: str) -> bool:
    """Note that a pending job is in its queue now; False if it was not pending."""
    return connection.execute(_published, job_key(queue, job_id)).rowcount == 1


def withdraw(connection: Connection, queue: str, job_id: str) -> bool:
    """Forget a pending job: it could not be published; False if it was not pending."""
    return connection.execute(_withdrawal, job_key(queue, job_id)).rowcount == 1


def unpublished(connection: Connection, limit: int, *, now: datetime) -> tuple[NewJob, ...]:
    """Return the jobs that were entered and perhaps never published, the oldest first."""
    rows = connection.execute(_unpublished, {"the_limit": limit})
    return tuple(
        NewJob(
            id=row.id,
            pool=row.pool,
            queue=row.queue,
            body=row.body,
            properties=properties_of(row.properties),
            priority=Priority(row.priority),
            sender=row.sender,
            noreply=row.noreply,
            delay=max(0.0, ((row.due_at or 0) - stamp(now)) / 1_000_000),
        )
        for row in rows
    )


def admit(connection: Connection, taking: Taking, *, now: datetime) -> bool:
    """Enter a job met in a queue that is not to run yet; False if it is known already."""
    row = _row(taking, state=JobState.WAITING, now=now)
    return connection.execute(_admission, row).rowcount == 1


def begin(connection: Connection, taking: Taking, *, now: datetime) -> bool:
    """Note that a worker has a job in hand; False, and nothing changed, if it is finished."""
    row = _row(taking, state=JobState.ACTIVE, now=now) | {"started_at": stamp(now)}
    if _claim.run(connection, row).rowcount != 1:
        return False
    run = Run(taking.claim.queue, taking.job_id, taking.attempt, taking.worker)
    open_run(connection, run, now=now)
    return True


def _row(taking: Taking, *, state: JobState, now: datetime) -> dict[str, object]:
    claim = taking.claim
    return {
        "queue": claim.queue,
        "id": taking.job_id,
        "pool": taking.pool,
        "state": state.value,
        "priority": claim.priority.value,
        "body": claim.body,
        "properties": pack(claim.properties),
        "sender": claim.sender,
        "noreply": claim.noreply,
        "fingerprint": claim.fingerprint,
        "trace": (Trace.OPEN if claim.job_id is None else Trace.NONE).value,
        "attempts": claim.attempts,
        "seq": claim.seq,
        "worker": taking.worker,
        "created_at": stamp(now),
    }
