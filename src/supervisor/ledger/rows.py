"""A row of the jobs as people see it; a job's history, its lines and its chain are elsewhere."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from consumers.jobs import Priority, decoded
from supervisor.core.records import NO_KIN, JobRecord, JobState, Kin, Relative
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
        due_at=moment_or_none(_due(row, now=now)),
        name=row.name,
        max_attempts=row.max_attempts,
        origin=row.origin,
        parent=_relative(row.parent_queue, row.parent_id),
        root=_relative(row.root_queue, row.root_id),
    )


def is_first(row: AnyRow) -> bool:
    """Answer whether a row is that of a job which others followed, and which followed none."""
    return bool((row.root_queue, row.root_id) == (row.queue, row.id))


def kin(row: Row[*tuple[Any, ...]]) -> Kin:
    """Return of which jobs that of a row came."""
    return Kin(row.root_id, row.parent_id) if row.parent_id else NO_KIN


def _relative(queue: str, job_id: str) -> Relative | None:
    return Relative(queue, job_id) if job_id else None


def _state(row: AnyRow, *, now: datetime) -> JobState:
    state = JobState(row.state)
    if state is JobState.DELAYED and row.due_at <= stamp(now):
        return JobState.WAITING  # nobody tells when a delay is over; the job's turn will
    return state


def _due(row: AnyRow, *, now: datetime) -> int | None:
    """Return from when on a job may run; one that is sent later, not before that."""
    is_later = row.state == JobState.PENDING.value and row.post_at > stamp(now)
    due: int | None = row.post_at if is_later and row.due_at is None else row.due_at
    return due
