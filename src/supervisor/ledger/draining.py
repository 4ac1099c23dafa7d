"""Jobs that wait are removed: their rows say so, and whatever of them still comes is dropped.

In batches, so that others write meanwhile.
"""

import enum
from datetime import datetime

from sqlalchemy import BindParameter, Connection, and_, bindparam, func, not_, or_, select, update

from supervisor.core.records import JobState
from supervisor.ledger.conditions import Trace
from supervisor.ledger.tables import jobs
from supervisor.ledger.values import stamp

BATCH = 500


class Scope(enum.IntEnum):
    """How far a drain goes."""

    WAITING = 1
    DELAYED = 2  # what is to run later goes as well


_STATES = (JobState.WAITING.value, JobState.PENDING.value, JobState.DELAYED.value)
_now: BindParameter[int] = bindparam("the_moment")
_is_later = or_(
    and_(jobs.c.post_at.is_not(None), jobs.c.post_at > _now),
    and_(jobs.c.due_at.is_not(None), jobs.c.due_at > _now),
)
# One state at a time: the index by state is read no further than needed.
_some = (
    select(jobs.c.number)
    .where(
        jobs.c.state == bindparam("the_state"),
        jobs.c.pool == bindparam("the_pool"),
        jobs.c.number <= bindparam("the_last"),
    )
    .order_by(jobs.c.number)
    .limit(BATCH)
)
_removal = update(jobs).values(
    state=JobState.REMOVED.value,
    worker="",
    finished_at=_now,
    # What was to run later is on its way, and dropped when it comes.
    loose=or_(jobs.c.loose, jobs.c.state == JobState.DELAYED.value),
    # Its message is gone with the others. Another one of the same words is another job: if one of
    # this kind was in a worker's hand, it rather runs than that a stranger is dropped for it.
    trace=Trace.NONE.value,
)
_of_now = _removal.where(jobs.c.number.in_(_some.where(not_(_is_later)).scalar_subquery()))
_of_all = _removal.where(jobs.c.number.in_(_some.scalar_subquery()))
_last = select(func.max(jobs.c.number))


def newest(connection: Connection) -> int:
    """Return the number of the newest job there is."""
    return connection.scalar(_last) or 0


def sweep(connection: Connection, pool: str, scope: Scope, *, last: int, now: datetime) -> int:
    """Remove some of a pool's jobs that wait, up to number ``last``; return how many that were.

    0: none is left.
    """
    statement = _of_all if scope is Scope.DELAYED else _of_now
    removed = 0
    for state in _STATES:
        values = {"the_state": state, "the_pool": pool, "the_last": last, "the_moment": stamp(now)}
        removed += connection.execute(statement, values).rowcount
    return removed
