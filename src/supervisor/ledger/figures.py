"""What queues hold, as numbers."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from supervisor.core.records import JobState
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import moment_or_none

# The sum keeps PostgreSQL from looking for the first of them among all jobs by their numbers, where
# a million finished ones may come before it: those of the pool that wait are in an index.
_first = (
    select(func.min(jobs.c.number + 0))
    .where(
        jobs.c.state == bindparam("the_state"),
        jobs.c.pool == bindparam("the_pool"),
    )
    .scalar_subquery()
)
_oldest = select(func.coalesce(jobs.c.due_at, jobs.c.created_at)).where(jobs.c.number == _first)


def oldest_waiting(connection: Connection, pool: str) -> datetime | None:
    """Return since when the job waits that came first of those that the ledger knows to wait."""
    found = [
        connection.scalar(_oldest, {"the_state": state.value, "the_pool": pool})
        for state in (JobState.WAITING, JobState.PENDING)
    ]
    moments = [moment for moment in found if moment is not None]
    return moment_or_none(min(moments)) if moments else None


def totals(counts: Mapping[str, Mapping[JobState, int]]) -> Mapping[JobState, int]:
    """Return how many jobs of all queues are in which state."""
    found = dict.fromkeys(JobState, 0)
    for states in counts.values():
        for state, number in states.items():
            found[state] += number
    return found
