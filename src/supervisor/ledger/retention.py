"""Finished jobs that go for good, with their runs, their lines, and what was told of them.

A few hundred at a time, so that the writer is never held for long. Rows that something may still
be recognised by stay, whoever cleans: see ``_is_needed``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, Connection, and_, bindparam, delete, func, not_, or_, select

from consumers.topology import LONGEST_DELAY
from supervisor.core.records import FINAL, JobState
from supervisor.ledger.conditions import MEMORY, Trace
from supervisor.ledger.tables import (
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
_some = (
    select(jobs.c.number, jobs.c.id)
    .where(_finished, not_(_is_needed))
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
_told = delete(notices).where(
    notices.c.key.in_(bindparam("the_keys", expanding=True)), notices.c.due_at.is_(None)
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
