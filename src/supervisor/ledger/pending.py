"""Jobs that are to be published: entered with whatever caused them, marked once they are stored.

A job in state ``pending`` is a promise: its copy ``seq`` will be published, however often we are
killed. After a kill between the broker's confirm and our mark the same copy is published once more;
a claim recognises the second one by its id and number (``core/claims.py``).
"""

import enum
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
from consumers.errors import MalformedError
from consumers.jobs import Priority, Properties, read
from supervisor.core.chains import ORIGIN as CHAIN
from supervisor.core.records import NO_KIN, JobState, Kin, NewJob, Relative
from supervisor.ledger import rows
from supervisor.ledger.conditions import THIS_JOB, UNFINISHED, job_key
from supervisor.ledger.dialects import insert
from supervisor.ledger.messages import withdraw, withdraw_some
from supervisor.ledger.numbers import newest
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.presence import here
from supervisor.ledger.tables import PENDING, jobs
from supervisor.ledger.values import moment_or_none, pack, properties_of, stamp, stamp_after

LARGEST_BATCH = 16_000_000  # bytes of bodies that are read at once, and one job more
AT_ONCE = 500  # jobs that are handed to the database together

_ENTRY = (
    *("queue", "id", "pool", "name", "state", "priority", "body", "properties", "sender"),
    *("noreply", "confirmed", "created_at", "due_at", "max_attempts", "origin", "post_at"),
    *("limit_key", "parent_queue", "parent_id", "root_queue", "root_id"),
)
_enter = Prepared(
    insert(jobs).on_conflict_do_nothing(index_elements=[jobs.c.queue, jobs.c.id]), columns=_ENTRY
)
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
# A copy of it may lie there, which is not to run any more.
_IN_A_QUEUE = jobs.c.state.in_(
    [JobState.PENDING.value, JobState.WAITING.value, JobState.DELAYED.value]
)
_origin = select(jobs.c.origin).where(THIS_JOB)
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


def enter(connection: Connection, job: NewJob, *, now: datetime) -> bool:
    """Enter a new job that is to be published; False if its queue has one of that id."""
    return _enter.run(connection, _row(job, now=now)).rowcount == 1


def enter_all(connection: Connection, many: Sequence[NewJob], *, now: datetime) -> int:
    """Enter new jobs as ``enter`` does, in their order; return how many of them were new."""
    starts = range(0, len(many), AT_ONCE)
    batches = ([_row(job, now=now) for job in many[start : start + AT_ONCE]] for start in starts)
    return sum(_enter.run_many(connection, batch) for batch in batches)


def _row(job: NewJob, *, now: datetime) -> dict[str, object]:
    return {
        "queue": job.queue,
        "id": job.id,
        "pool": job.pool,
        "name": job.name,
        "state": JobState.PENDING.value,
        "priority": job.priority.value,
        "body": job.body,
        "properties": pack(job.properties),
        "sender": job.sender,
        "noreply": job.noreply,
        "confirmed": False,
        "created_at": stamp(now),
        "due_at": stamp_after(now, job.delay) if job.delay > 0 else None,
        "max_attempts": job.max_attempts,
        "origin": job.origin,
        "post_at": stamp(job.post_at or now),
        "limit_key": job.limit_key,
        **_relative("parent", job.parent),
        **_relative("root", job.root),
    }


def _relative(name: str, other: Relative | None) -> dict[str, str]:
    queue, job_id = ("", "") if other is None else (other.queue, other.id)
    return {f"{name}_queue": queue, f"{name}_id": job_id}


class Entry(enum.Enum):
    """What came of a new job."""

    NEW = enum.auto()
    KNOWN = enum.auto()  # it was there before
    TAKEN = enum.auto()  # its id is that of a job which somebody else handed in


def enter_many(connection: Connection, many: Sequence[NewJob], *, now: datetime) -> list[Entry]:
    """Enter new jobs that are to be published, in their order; say what came of each."""
    return [_entry(connection, job, now=now) for job in many]


def _entry(connection: Connection, job: NewJob, *, now: datetime) -> Entry:
    if enter(connection, job, now=now):
        return Entry.NEW
    if not job.origin:
        return Entry.KNOWN
    owner = connection.execute(_origin, job_key(job.queue, job.id)).scalar_one()
    return Entry.KNOWN if owner == job.origin else Entry.TAKEN


@dataclass(frozen=True, slots=True)
class Again:
    """The next copy of a known job, and what is different about it.

    ``delay`` None keeps when it is sent and due. ``forgets``: a finished job begins a new life,
    with a clean count of attempts and crashes; that it took workers down is kept, and it runs
    alone. ``among`` are the states in which it may be done; never while it runs.
    """

    delay: float | None = 0.0  # seconds
    priority: Priority | None = None
    body: bytes | None = None
    post_at: datetime | None = None
    replay: int | None = None
    forgets: bool = True
    among: frozenset[JobState] = frozenset(
        {
            *(JobState.PENDING, JobState.WAITING, JobState.DELAYED),
            *(JobState.FAILED, JobState.CANCELLED),
        }
    )


def again(connection: Connection, queue: str, job_id: str, copy: Again, *, now: datetime) -> int:
    """Enter the next copy of a known job; return its number, 0 if it cannot be.

    Older copies that may still lie in a queue are dropped when they are met; those of the embedded
    queues are taken out of them here.
    """
    states = [state.value for state in copy.among - {JobState.ACTIVE}]
    step = update(jobs).where(THIS_JOB, jobs.c.state.in_(states)).values(_following(copy, now=now))
    if connection.execute(step, job_key(queue, job_id)).rowcount != 1:
        return 0
    withdraw(connection, queue, job_id)
    return newest(connection, queue, job_id)


def again_at(
    connection: Connection,
    turns: Sequence[tuple[str, str, datetime]],
    copy: Again,
    *,
    now: datetime,
) -> None:
    """Enter the next copies of many failed jobs, each to be published at a moment of its own.

    Which they are the caller has just read, to be updated: so that none of them changes meanwhile.
    """
    moments = {"post_at": bindparam("the_post_at"), "loose": jobs.c.loose}
    step = update(jobs).where(THIS_JOB, jobs.c.state == JobState.FAILED.value)
    connection.execute(
        step.values(_following(copy, now=now) | moments),
        [job_key(queue, job_id) | {"the_post_at": stamp(at)} for queue, job_id, at in turns],
    )
    for queue in {queue for queue, _, _ in turns}:
        withdraw_some(connection, queue, [job_id for its, job_id, _ in turns if its == queue])


def _following(copy: Again, *, now: datetime) -> dict[str, object]:
    values: dict[str, object] = {
        "state": JobState.PENDING.value,
        "node": here(),
        "seq": jobs.c.seq + 1,
        "confirmed": False,
        "worker": "",
        "post_at": stamp(copy.post_at or now),
        "progress": 0,
        "note": "",
        "given_up": False,
        "finished_at": null(),
        "loose": case((_IN_A_QUEUE, true()), else_=jobs.c.loose),
        "life": case((UNFINISHED, jobs.c.life), else_=jobs.c.seq + 1),
    }
    if copy.delay is None:
        values["post_at"] = case((jobs.c.post_at > stamp(now), jobs.c.post_at), else_=stamp(now))
    else:
        values["due_at"] = stamp_after(now, copy.delay) if copy.delay > 0 else null()
    if copy.priority is not None:
        values["priority"] = copy.priority.value
    if copy.replay is not None:
        values["replay"] = copy.replay
    if copy.body is not None:
        values |= {"body": copy.body, **_named_in(copy.body)}
    return values | (_forgotten() if copy.forgets else {})


def _forgotten() -> dict[str, object]:
    """Return a clean record for a finished job, which begins a new life; others keep theirs."""
    fresh = {"attempts": 0, "crashes": 0, "timeouts": 0, "memory_crashes": 0, "error_group": ""}
    kept: dict[str, object] = {
        name: case((UNFINISHED, jobs.c[name]), else_=value) for name, value in fresh.items()
    }
    for name in ("error", "result", "duration"):
        kept[name] = case((UNFINISHED, jobs.c[name]), else_=null())
    return kept


def _named_in(body: bytes) -> dict[str, object]:
    """Return who is told of a job with another body; as before if that cannot be read."""
    try:
        envelope = read(body, Properties(), limit=len(body))
    except MalformedError:
        return {}
    return {"sender": envelope.sender, "noreply": envelope.noreply}


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
