"""Failed jobs that are to run again: which, and their next copies, entered to be published."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from supervisor.core.records import JobState
from supervisor.ledger import pending
from supervisor.ledger.pending import Again
from supervisor.ledger.tables import jobs
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


def again(
    connection: Connection, queue: str, ids: Sequence[str], *, pause: float, now: datetime
) -> int:
    """Enter the next copies of failed jobs, to be published one every ``pause`` seconds from now.

    Returns how many that were: those that somebody else was faster with are left alone.
    """
    number = 0
    for job_id in ids:
        post_at = now + timedelta(seconds=number * pause)
        copy = Again(post_at=post_at, among=frozenset({JobState.FAILED}))
        number += pending.again(connection, queue, job_id, copy, now=now) > 0
    return number
