"""Jobs that wait are removed: their rows say so, and whatever of them still comes is dropped.

In batches, so that others write meanwhile.
"""

import enum
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BindParameter,
    Boolean,
    Connection,
    and_,
    bindparam,
    func,
    not_,
    or_,
    select,
    update,
)

from supervisor.core.records import JobState
from supervisor.core.steering import WAITING
from supervisor.ledger import next_copies
from supervisor.ledger.conditions import THIS_JOB, UNFINISHED, Trace, job_key
from supervisor.ledger.next_copies import Again
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import stamp

BATCH = 500


class Scope(enum.IntEnum):
    """How far a drain goes."""

    WAITING = 1
    DELAYED = 2  # what is to run later goes as well


_COPY = Again(delay=None, among=WAITING)
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
        jobs.c.id.not_in(bindparam("the_spared", expanding=True)),
        or_(jobs.c.started_at.is_(None), bindparam("has_begun", type_=Boolean())),
        or_(not_(_is_later), bindparam("is_all", type_=Boolean())),
    )
    .order_by(jobs.c.number)
    .limit(BATCH)
)
_removal = (
    update(jobs)
    .where(jobs.c.number.in_(_some.scalar_subquery()))
    .values(
        state=JobState.REMOVED.value,
        worker="",
        finished_at=_now,
        # What was to run later is on its way, and dropped when it comes.
        loose=or_(jobs.c.loose, jobs.c.state == JobState.DELAYED.value),
        # Its message is gone with the others. Another one of the same words is another job: if one
        # of this kind was in a worker's hand, it rather runs than that a stranger is dropped.
        trace=Trace.NONE.value,
    )
)
_left = (
    select(jobs.c.queue, jobs.c.id)
    .where(
        jobs.c.state == bindparam("the_state"),
        jobs.c.pool == bindparam("the_pool"),
        or_(not_(_is_later), bindparam("is_all", type_=Boolean())),
    )
    .order_by(jobs.c.number)
    .limit(BATCH)
)
_last = select(func.max(jobs.c.number))
_given_up = select(jobs.c.given_up).where(THIS_JOB, UNFINISHED)
_is_waiting = update(jobs).where(THIS_JOB, jobs.c.state == JobState.ACTIVE.value, jobs.c.given_up)
_is_waiting = _is_waiting.values(state=JobState.WAITING.value)
_giving_up = update(jobs).where(THIS_JOB).values(given_up=True)
_traceless = update(jobs).where(THIS_JOB).values(trace=Trace.NONE.value)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is to be removed of a pool: up to job number ``last``, but not those in hand."""

    pool: str
    scope: Scope
    last: int
    spared: Collection[str] = ()  # ids
    has_begun: bool = True  # what ran before and waits to run again goes as well


def newest(connection: Connection) -> int:
    """Return the number of the newest job there is."""
    return connection.scalar(_last) or 0


def sweep(connection: Connection, what: Sweep, *, now: datetime) -> int:
    """Remove some of a pool's jobs that wait at a moment; return how many that were.

    0: none is left.
    """
    values = {
        "the_pool": what.pool,
        "the_last": what.last,
        "the_moment": stamp(now),
        "the_spared": list(what.spared),
        "has_begun": what.has_begun,
        "is_all": what.scope is Scope.DELAYED,
    }
    counts = (
        connection.execute(_removal, values | {"the_state": state}).rowcount for state in _STATES
    )
    return sum(counts)


def renew(connection: Connection, pool: str, scope: Scope, *, now: datetime) -> int:
    """Have some of a pool's jobs that wait be published once more: their messages may be gone.

    Return how many that were; 0: none is left.
    """
    number = 0
    for state in (JobState.WAITING, JobState.DELAYED):
        values = {
            "the_state": state.value,
            "the_pool": pool,
            "the_moment": stamp(now),
            "is_all": scope is Scope.DELAYED,
        }
        for row in connection.execute(_left, values).all():
            number += next_copies.again(connection, row.queue, row.id, _COPY, now=now) > 0
    return number


def come_again(
    connection: Connection, queue: str, job_id: str, *, was_purged: bool, now: datetime
) -> int:
    """Have a job whose run has ended be published once more; 0 if that is over.

    What was given up and is not among the dead yet is so when that copy comes. If its message
    ``was_purged``, another one of the same words is another job.
    """
    key = job_key(queue, job_id)
    was_given_up = connection.scalar(_given_up, key)
    connection.execute(_is_waiting, key)
    seq = next_copies.again(connection, queue, job_id, _COPY, now=now)
    if seq and was_given_up:
        connection.execute(_giving_up, key)
    if seq and was_purged:
        connection.execute(_traceless, key)
    return seq
