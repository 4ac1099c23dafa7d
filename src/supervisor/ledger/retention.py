"""Finished jobs that go for good, with their runs, their lines, and what was told of them.

A few hundred at a time, so that the writer is never held for long. Rows that something may still
be recognised by stay, whoever cleans: see ``_is_needed``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    BindParameter,
    Connection,
    and_,
    bindparam,
    delete,
    false,
    func,
    not_,
    or_,
    select,
)

from consumers.topology import LONGEST_DELAY
from supervisor.core.records import FINAL, JobState
from supervisor.ledger.conditions import MEMORY, Trace
from supervisor.ledger.tables import (
    HAS_PARENT,
    attempts,
    deduplications,
    intake,
    job_lines,
    jobs,
    notices,
    replayed,
)
from supervisor.ledger.values import moment_or_none, stamp

BATCH = 100  # jobs; some tens of milliseconds of the writer's time
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
_first = jobs.alias("first")
_other = jobs.alias("other")
_IS_FIRST = and_(jobs.c.root_queue == jobs.c.queue, jobs.c.root_id == jobs.c.id)
# Values, not EXISTS: PostgreSQL would answer that for all jobs there are, to have it at hand.
_is_open = (
    select(_first.c.chain_open)
    .where(_first.c.queue == jobs.c.root_queue, _first.c.id == jobs.c.root_id)
    .scalar_subquery()
)
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
_is_of_a_chain = and_(
    jobs.c.root_id != "", or_(func.coalesce(_is_open, false()), _one_follower.is_not(None))
)
_some = (
    select(jobs.c.number, jobs.c.id, _IS_FIRST.label("is_first"))
    .where(_finished, not_(_is_needed), not_(_is_of_a_chain))
    .order_by(jobs.c.finished_at)
    .limit(bindparam("the_limit"))
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


def remove(connection: Connection, expired: Expired, *, limit: int, now: datetime) -> int:
    """Remove some of these jobs, the oldest first; return how many that were, 0 if none is left."""
    wanted = {
        "the_queue": expired.queue,
        "the_state": expired.state.value,
        "the_cutoff": stamp(expired.before),
        "the_longest_way": stamp(now - LONGEST_WAY),
        "the_memory": stamp(now - MEMORY),
        "the_limit": min(limit, BATCH),
    }
    found = connection.execute(_some, wanted).all()
    if not found:
        return 0
    _forget(connection, expired.queue, [row.id for row in found])
    for row in found:
        if row.is_first:
            _forget_chain(connection, expired.queue, row.id)
    connection.execute(_jobs, {"the_numbers": [row.number for row in found]})
    return len(found)


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
