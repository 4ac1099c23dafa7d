"""A row of the jobs as people see it; a job's history, its lines and its chain are elsewhere."""

from datetime import datetime

from sqlalchemy import Row

from consumers.jobs import Priority, decoded
from supervisor.core.records import JobRecord, JobState, Relative
from supervisor.ledger.values import failure_of, moment_or_none, result_of, stamp

AnyRow = Row[tuple[object, ...]]


def record(row: AnyRow, *, now: datetime) -> JobRecord:
    """Return what a row says of its job."""
    return JobRecord(
        id=row.id,
        pool=row.pool,
        queue=row.queue,
        state=_state(row, now=now),
        priority=Priority(row.priority),
        data=decoded(row.body),
        sender=row.sender,
        noreply=row.noreply,
        attempts=row.attempts,
        crashes=row.crashes,
        memory_crashes=row.memory_crashes,
        seq=row.seq,
        progress=row.progress,
        note=row.note,
        worker=row.worker,
        result=result_of(row.result),
        error=failure_of(row.error),
        created_at=moment_or_none(row.created_at),
        started_at=moment_or_none(row.started_at),
        finished_at=moment_or_none(row.finished_at),
        due_at=moment_or_none(row.due_at),
        name=row.name,
        max_attempts=row.max_attempts,
        origin=row.origin,
        parent=_relative(row.parent_queue, row.parent_id),
        root=_relative(row.root_queue, row.root_id),
    )


def is_first(row: AnyRow) -> bool:
    """Answer whether a row is that of a job which others followed, and which followed none."""
    return bool((row.root_queue, row.root_id) == (row.queue, row.id))


def _relative(queue: str, job_id: str) -> Relative | None:
    return Relative(queue, job_id) if job_id else None


def _state(row: AnyRow, *, now: datetime) -> JobState:
    state = JobState(row.state)
    if state is JobState.DELAYED and row.due_at <= stamp(now):
        return JobState.WAITING  # nobody tells when a delay is over; the job's turn will
    return state
