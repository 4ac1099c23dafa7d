"""Which failed jobs of a queue are to run again, the one that failed first at the head."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from supervisor.core.records import JobState
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import stamp

MOST = 100_000  # jobs that are looked up at once


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which failed jobs of a queue: when they failed, how many, of which group of errors."""

    queue: str
    since: datetime | None = None
    until: datetime | None = None
    limit: int = MOST
    group: str | None = None


def find(connection: Connection, wanted: Wanted) -> tuple[str, ...]:
    """Return the ids of the failed jobs that fit, the one that failed first at the head."""
    query = (
        select(jobs.c.id)
        .where(jobs.c.queue == wanted.queue, jobs.c.state == JobState.FAILED.value)
        .order_by(jobs.c.finished_at, jobs.c.number)
        .limit(min(wanted.limit, MOST))
    )
    if wanted.since is not None:
        query = query.where(jobs.c.finished_at >= stamp(wanted.since))
    if wanted.until is not None:
        query = query.where(jobs.c.finished_at <= stamp(wanted.until))
    if wanted.group is not None:
        query = query.where(jobs.c.error_group == wanted.group)
    return tuple(connection.scalars(query))
