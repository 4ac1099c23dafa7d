"""What is pending, as the poster asks for it and marks it: which copies are next, which are stored.

After a kill between the broker's confirm and our mark the same copy is published once more; a claim
recognises the second one by its id and number (``core/claims.py``).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
    true,
    update,
)

from consumers.broker.port import Message
from consumers.jobs import Priority
from supervisor.core.chains import ORIGIN as CHAIN
from supervisor.core.records import NO_KIN, JobState, Kin
from supervisor.ledger import rows
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.presence import here
from supervisor.ledger.tables.jobs import PENDING, jobs
from supervisor.ledger.values import moment_or_none, properties_of, stamp

LARGEST_BATCH = 16_000_000  # bytes of bodies that are read at once, and one job more

_ready = (
    select(
        *(jobs.c.queue, jobs.c.id, jobs.c.pool, jobs.c.name, jobs.c.seq, jobs.c.attempts),
        *(jobs.c.body, jobs.c.properties, jobs.c.priority, jobs.c.due_at, jobs.c.max_attempts),
        *(jobs.c.root_id, jobs.c.parent_id),
    )
    .where(
        PENDING,  # names the index, in whose order they come
        jobs.c.node == here(),
        jobs.c.post_at <= bindparam("the_moment"),
        jobs.c.pool.in_(bindparam("the_pools", expanding=True)),
    )
    .order_by(jobs.c.post_at, jobs.c.number)
    .limit(bindparam("the_limit"))
)
_next = select(func.min(jobs.c.post_at)).where(
    PENDING, jobs.c.node == here(), jobs.c.post_at > bindparam("the_moment")
)
_keys = select(jobs.c.queue, jobs.c.id).where(
    PENDING, jobs.c.id.in_(bindparam("the_ids", expanding=True))
)
_strangers = (
    select(jobs.c.pool, func.count())
    .where(PENDING, jobs.c.pool.not_in(bindparam("the_pools", expanding=True)))
    .group_by(jobs.c.pool)
)
_this_copy = (
    THIS_JOB,
    jobs.c.state == JobState.PENDING.value,
    jobs.c.seq == bindparam("the_seq"),
)
# Of jobs that follow others, those that their queue has just refused as well.
_unposted = select(func.count()).where(
    PENDING,
    jobs.c.node == here(),
    jobs.c.pool.in_(bindparam("the_pools", expanding=True)),
    or_(
        jobs.c.post_at <= bindparam("the_moment"),
        and_(jobs.c.origin == CHAIN, jobs.c.post_at <= bindparam("the_last")),
    ),
)
_stored = (
    update(jobs)
    .where(*_this_copy)
    .values(
        state=case(
            (jobs.c.due_at > bindparam("the_moment"), JobState.DELAYED.value),
            else_=JobState.WAITING.value,
        ),
        confirmed=true(),
        post_at=null(),
    )
)
_put_off = update(jobs).where(*_this_copy).values(post_at=bindparam("the_moment"))
_nearer = (
    update(jobs)
    .where(
        PENDING,
        jobs.c.node == here(),
        jobs.c.due_at.is_(None),
        jobs.c.post_at > bindparam("the_moment"),
    )
    .values(post_at=jobs.c.post_at - bindparam("the_step"))
)


@dataclass(frozen=True, slots=True)
class Posting:
    """One copy that is to be published: to which pool, and when it is due."""

    queue: str  # by which its job is known
    id: str
    pool: str
    name: str
    seq: int
    attempts: int
    message: Message  # as its publisher sent it, or as it was met
    priority: Priority
    due_at: datetime | None
    max_attempts: int | None
    kin: Kin = NO_KIN

    @property
    def key(self) -> tuple[str, str]:
        """Return the queue and id of the job."""
        return self.queue, self.id


def ready(
    connection: Connection, pools: Collection[str], limit: int, *, now: datetime
) -> tuple[Posting, ...]:
    """Return the next copies to be published for these pools, in the order they were entered."""
    wanted = {"the_moment": stamp(now), "the_pools": list(pools), "the_limit": limit}
    found: list[Posting] = []
    size = 0
    for row in connection.execute(_ready, wanted):
        found.append(_posting(row))
        size += len(row.body)
        if size > LARGEST_BATCH:
            break
    return tuple(found)


def next_moment(connection: Connection, *, now: datetime) -> datetime | None:
    """Return when the next copy is to be published that must not be yet; None if none waits."""
    return moment_or_none(connection.scalar(_next, {"the_moment": stamp(now)}))


def unposted(
    connection: Connection, pools: Collection[str], *, now: datetime, soon: timedelta
) -> int:
    """Return how many copies for these pools should be in their queues and are not.

    Jobs that follow others count as well when they are to be published so soon.
    """
    moments = {"the_moment": stamp(now), "the_last": stamp(now + soon)}
    number: int = connection.scalar(_unposted, {"the_pools": list(pools), **moments}) or 0
    return number


def keys_of(connection: Connection, ids: Collection[str]) -> frozenset[tuple[str, str]]:
    """Return queue and id of the jobs with these ids that are still to be published."""
    rows = connection.execute(_keys, {"the_ids": list(ids)})
    return frozenset((row.queue, row.id) for row in rows)


def strangers(connection: Connection, pools: Collection[str]) -> dict[str, int]:
    """Return how many jobs wait for pools that are not among these, by pool."""
    rows = connection.execute(_strangers, {"the_pools": list(pools)})
    return {row.pool: row[1] for row in rows}


def stored(connection: Connection, postings: Sequence[Posting], *, now: datetime) -> None:
    """Note that copies are in their queues; what was met there already is left as it is."""
    connection.execute(
        _stored, [_copy_key(posting) | {"the_moment": stamp(now)} for posting in postings]
    )


def put_off(connection: Connection, postings: Sequence[Posting], *, until: datetime) -> None:
    """Have copies published later that were refused."""
    connection.execute(
        _put_off, [_copy_key(posting) | {"the_moment": stamp(until)} for posting in postings]
    )


def bring_nearer(connection: Connection, step: timedelta, *, now: datetime) -> int:
    """Follow a clock that was put back by so much; return how many jobs would have waited for it.

    What is due at a moment of its own keeps that.
    """
    values = {"the_moment": stamp(now), "the_step": step // timedelta(microseconds=1)}
    return connection.execute(_nearer, values).rowcount


def _copy_key(posting: Posting) -> dict[str, object]:
    return job_key(posting.queue, posting.id) | {"the_seq": posting.seq}


def _posting(row: Row[*tuple[Any, ...]]) -> Posting:
    return Posting(
        queue=row.queue,
        id=row.id,
        pool=row.pool,
        name=row.name,
        seq=row.seq,
        attempts=row.attempts,
        message=Message(row.body, properties_of(row.properties)),
        priority=Priority(row.priority),
        due_at=moment_or_none(row.due_at),
        max_attempts=row.max_attempts,
        kin=rows.kin(row),
    )
