"""Finished jobs that go for good, with their runs, their lines, and what was told of them.

A few hundred at a time, so that the writer is never held for long. Rows that something may still
be recognised by stay, whoever cleans: see ``_is_needed``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    not_,
    or_,
    select,
)

from consumers.topology import LONGEST_DELAY
from supervisor.core.records import FINAL, JobState
from supervisor.ledger.conditions import IS_OF_OPEN_CHAIN, MEMORY, Trace
from supervisor.ledger.tables.entries import deduplications, intake
from supervisor.ledger.tables.jobs import HAS_PARENT, attempts, job_lines, jobs
from supervisor.ledger.tables.reports import notices
from supervisor.ledger.tables.requests import replayed
from supervisor.ledger.values import moment_or_none, stamp

BATCH = 100  # jobs; some tens of milliseconds of the writer's time
MOST_COUNTED = 10_000  # jobs that stay because of their chain: more need not be told apart
LOOKED_AT = 1000  # jobs, most of which may have to stay; some milliseconds of it
OUTCOMES = ("completed", "failed")  # what a notice's key ends in
CHAIN = "chain"  # what a notice's key says of a whole chain, before the moment of its end
LONGEST_WAY = timedelta(seconds=LONGEST_DELAY) + timedelta(days=1)
_finished = and_(
    jobs.c.queue == bindparam("the_queue"),
    jobs.c.state == bindparam("the_state"),
    jobs.c.finished_at < bindparam("the_cutoff"),
)
# A copy on its way through the delays is dropped by its row; a message that came without an id, and
# may come once more, is recognised by it.
_is_needed = or_(
    and_(jobs.c.loose, jobs.c.finished_at > bindparam("the_longest_way")),
    and_(jobs.c.trace != Trace.NONE.value, jobs.c.finished_at > bindparam("the_memory")),
)
_other = jobs.alias("other")
_IS_FIRST = and_(jobs.c.root_queue == jobs.c.queue, jobs.c.root_id == jobs.c.id)
# A value, not EXISTS: PostgreSQL would answer that for all jobs there are, to have it at hand.
_one_follower = (
    select(_other.c.number)
    .where(
        HAS_PARENT,  # of the other one; it names the index
        _other.c.parent_queue == jobs.c.queue,
        _other.c.parent_id == jobs.c.id,
        _other.c.state != JobState.REMOVED.value,
    )
    .limit(1)
    .scalar_subquery()
)
# Of a chain that is not over nothing goes; and a job stays as long as one that came of it: that may
# have to run again, or be removed with the first one, by which alone its user is known.
_is_of_a_chain = and_(jobs.c.root_id != "", or_(IS_OF_OPEN_CHAIN, _one_follower.is_not(None)))
_in_order = (jobs.c.finished_at, jobs.c.number)
_after = and_(
    jobs.c.finished_at >= bindparam("the_mark"),
    or_(jobs.c.finished_at > bindparam("the_mark"), jobs.c.number > bindparam("the_number")),
)
_looked_at = (
    select(
        *_in_order,
        jobs.c.id,
        _IS_FIRST.label("is_first"),
        (jobs.c.parent_id != "").label("has_parent"),
        and_(not_(_is_needed), not_(_is_of_a_chain)).label("can_go"),
    )
    .where(_finished, _after)
    .order_by(*_in_order)
    .limit(bindparam("the_most"))
    .subquery()
)
_some = (
    select(_looked_at)
    .where(_looked_at.c.can_go)
    .order_by(_looked_at.c.finished_at, _looked_at.c.number)
    .limit(bindparam("the_limit"))
)
_kept = select(func.count()).select_from(
    select(jobs.c.number).where(_finished, _is_of_a_chain).limit(MOST_COUNTED).subquery()
)
_last_looked_at = (
    select(*_in_order)
    .where(_finished, _after)
    .order_by(*_in_order)
    .limit(1)
    .offset(bindparam("the_most") - 1)
)
_ids: BindParameter[Sequence[str]] = bindparam("the_ids", expanding=True)
_runs = delete(attempts).where(
    attempts.c.queue == bindparam("the_queue"), attempts.c.job_id.in_(_ids)
)
_lines = delete(job_lines).where(
    job_lines.c.queue == bindparam("the_queue"), job_lines.c.job_id.in_(_ids)
)
_replays = delete(replayed).where(
    replayed.c.queue == bindparam("the_queue"), replayed.c.job_id.in_(_ids)
)
# Not asked as a plain "is null": SQLite would look through all that was ever told.
_is_told = func.coalesce(notices.c.due_at, 0) == 0
_told = delete(notices).where(notices.c.key.in_(bindparam("the_keys", expanding=True)), _is_told)
# How often a chain was told of is not known: the key ends in a moment. The digits are an end of the
# range in whatever order a database has its texts; what else may lie in it is not the job's.
_told_of_chain = delete(notices).where(
    notices.c.key.between(bindparam("the_start"), bindparam("the_end")),
    notices.c.queue == bindparam("the_queue"),
    notices.c.job_id == bindparam("the_job"),
    _is_told,
)
_jobs = delete(jobs).where(jobs.c.number.in_(bindparam("the_numbers", expanding=True)))
_one_too_many = (
    select(jobs.c.finished_at)
    .where(
        jobs.c.queue == bindparam("the_queue"),
        jobs.c.state == bindparam("the_state"),
        jobs.c.finished_at.is_not(None),
    )
    .order_by(jobs.c.finished_at.desc())
    .limit(1)
    .offset(bindparam("the_count"))
)
_next_queue = select(func.min(jobs.c.queue)).where(jobs.c.queue > bindparam("the_queue"))
_keys = delete(deduplications).where(deduplications.c.until < bindparam("the_moment"))
_old_intake = (
    select(intake.c.id)
    .where(
        intake.c.status.in_([state.value for state in FINAL]),
        intake.c.finished_on < bindparam("the_day"),
    )
    .limit(bindparam("the_limit"))
    .with_for_update(skip_locked=True)  # what another program looks at just now
)
_intake = delete(intake).where(intake.c.id.in_(_old_intake.scalar_subquery()))


@dataclass(frozen=True, slots=True)
class Expired:
    """Jobs of one queue that were in this state before that moment."""

    queue: str
    state: JobState
    before: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """The last job that was looked at, by when it finished and its number."""

    finished_at: int = 0
    number: int = 0


BEGINNING = Mark()


@dataclass(frozen=True, slots=True)
class Removed:
    """How many jobs went, and after which one to go on; None: all of them were looked at.

    ``frees``: jobs may have stayed for nothing but those that are gone now.
    """

    jobs: int
    after: Mark | None
    frees: bool


def remove(
    connection: Connection,
    expired: Expired,
    after: Mark = BEGINNING,
    *,
    limit: int,
    now: datetime,
) -> Removed:
    """Remove some of these jobs, the oldest first; what has to stay is looked at once."""
    wanted = {
        "the_queue": expired.queue,
        "the_state": expired.state.value,
        "the_cutoff": stamp(expired.before),
        "the_longest_way": stamp(now - LONGEST_WAY),
        "the_memory": stamp(now - MEMORY),
        "the_mark": after.finished_at,
        "the_number": after.number,
        "the_most": LOOKED_AT,
        "the_limit": min(limit, BATCH),
    }
    found = connection.execute(_some, wanted).all()
    is_full = len(found) == wanted["the_limit"]
    last = found[-1] if is_full else connection.execute(_last_looked_at, wanted).one_or_none()
    if found:
        _remove(connection, expired.queue, found)
    return Removed(
        jobs=len(found),
        after=None if last is None else Mark(last.finished_at, last.number),
        frees=any(row.has_parent for row in found),
    )


def kept(connection: Connection, expired: Expired) -> int:
    """Return how many of these jobs their chain keeps, ``MOST_COUNTED`` at the most."""
    wanted = {
        "the_queue": expired.queue,
        "the_state": expired.state.value,
        "the_cutoff": stamp(expired.before),
    }
    return int(connection.scalar(_kept, wanted) or 0)


def _remove(connection: Connection, queue: str, found: Sequence[Row[*tuple[Any, ...]]]) -> None:
    _forget(connection, queue, [row.id for row in found])
    for row in found:
        if row.is_first:
            _forget_chain(connection, queue, row.id)
    connection.execute(_jobs, {"the_numbers": [row.number for row in found]})


def _forget(connection: Connection, queue: str, ids: Sequence[str]) -> None:
    """Remove what there is of jobs besides their rows; what is not told yet will be."""
    those = {"the_queue": queue, "the_ids": ids}
    connection.execute(_runs, those)
    connection.execute(_lines, those)
    connection.execute(_replays, those)
    keys = [f"{queue}:{job_id}:{outcome}" for job_id in ids for outcome in OUTCOMES]
    connection.execute(_told, {"the_keys": keys})


def _forget_chain(connection: Connection, queue: str, job_id: str) -> None:
    start = f"{queue}:{job_id}:{CHAIN}:"
    key = {"the_queue": queue, "the_job": job_id}
    connection.execute(_told_of_chain, key | {"the_start": start, "the_end": start + "9" * 20})


def one_too_many(
    connection: Connection, queue: str, state: JobState, count: int
) -> datetime | None:
    """Return when the newest job finished that is beyond so many; None if there is none."""
    wanted = {"the_queue": queue, "the_state": state.value, "the_count": count}
    return moment_or_none(connection.scalar(_one_too_many, wanted))


def queues(connection: Connection) -> tuple[str, ...]:
    """Return every queue that jobs are known by, also those that no pool consumes any more."""
    return tuple(_queues(connection))


def _queues(connection: Connection) -> Iterator[str]:
    # From one to the next by the index: reading a million rows to name three would be a waste.
    queue: str | None = ""
    while (queue := connection.scalar(_next_queue, {"the_queue": queue})) is not None:
        yield queue


def remove_keys(connection: Connection, *, now: datetime) -> int:
    """Remove the keys of jobs whose time is over."""
    return connection.execute(_keys, {"the_moment": stamp(now)}).rowcount


def remove_intake(connection: Connection, *, before: datetime) -> int:
    """Remove some finished rows of the intake table; return how many that were.

    Their moments are texts that other programs may have written: compared by the day.
    """
    wanted = {"the_day": before.date().isoformat(), "the_limit": BATCH}
    return connection.execute(_intake, wanted).rowcount
