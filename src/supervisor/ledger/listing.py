"""Jobs as people see them: one with its history, lists, and counts by state."""

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import BigInteger, Connection, Select, bindparam, cast, func, select, union_all

from supervisor.core.records import FINAL, JobFilter, JobPage, JobRecord, JobState
from supervisor.ledger import attempts, chains, rows
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.filters import in_order, index_of, narrowed
from supervisor.ledger.tables.jobs import DELAYED, job_changes, job_counts, job_lines, jobs
from supervisor.ledger.values import stamp

_by_key = select(jobs).where(THIS_JOB)
_by_id = (
    select(jobs).where(jobs.c.id == bindparam("the_job")).order_by(jobs.c.number.desc()).limit(1)
)
_lines = (
    select(job_lines.c.line)
    .where(
        job_lines.c.queue == bindparam("the_queue"),
        job_lines.c.job_id == bindparam("the_job"),
    )
    .order_by(job_lines.c.number)
)
_parts = union_all(
    select(job_counts.c.queue, job_counts.c.state, job_counts.c.count.label("number")),
    select(job_changes.c.queue, job_changes.c.state, job_changes.c.change),
).subquery()
_counts = select(
    _parts.c.queue, _parts.c.state, cast(func.sum(_parts.c.number), BigInteger)
).group_by(_parts.c.queue, _parts.c.state)
_due = (
    select(jobs.c.queue, func.count())
    .where(DELAYED, jobs.c.due_at <= bindparam("the_moment"))
    .group_by(jobs.c.queue)
)
_ends = select(jobs.c.queue, jobs.c.id, jobs.c.state).order_by(jobs.c.number.desc())
_is_final = jobs.c.state.in_([state.value for state in FINAL])
LATELY = 10_000  # finished jobs that are looked through


def one(connection: Connection, queue: str, job_id: str, *, now: datetime) -> JobRecord:
    """Return a job that is there, without its history."""
    return rows.record(connection.execute(_by_key, job_key(queue, job_id)).one(), now=now)


def at(connection: Connection, queue: str, job_id: str, *, now: datetime) -> JobRecord | None:
    """Return the job of this very queue and id, without its history; None if it is gone."""
    row = connection.execute(_by_key, job_key(queue, job_id)).one_or_none()
    return None if row is None else rows.record(row, now=now)


def show(connection: Connection, job_id: str, *, now: datetime) -> JobRecord | None:
    """Return the newest job of that id in any queue, with its history and its lines."""
    row = connection.execute(_by_id, {"the_job": job_id}).one_or_none()
    if row is None:
        return None
    lines = tuple(connection.scalars(_lines, job_key(row.queue, job_id)))
    history = attempts.history(connection, row.queue, job_id)
    chain = chains.chain_of(connection, row.queue, job_id) if rows.is_first(row) else None
    shown = rows.record(row, now=now)
    return msgspec.structs.replace(shown, history=history, lines=lines, chain=chain)


def beginning_with(connection: Connection, start: str) -> tuple[str | None, int]:
    """Return an id that begins so, and how many there are; upper and lower case differ."""
    first, count = connection.execute(_ids_like(start)).one()
    return first, count


def find(connection: Connection, wanted: JobFilter, *, now: datetime) -> tuple[JobRecord, ...]:
    """Return the newest jobs that fit, without their histories."""
    found = connection.execute(_filtered(wanted, now=now))
    return tuple(rows.record(row, now=now) for row in found)


def page(connection: Connection, wanted: JobFilter, *, now: datetime) -> JobPage:
    """Return a page of the jobs that fit, and where the next one goes on."""
    one_more = msgspec.structs.replace(wanted, limit=wanted.limit + 1)
    found = connection.execute(_filtered(one_more, now=now)).all()
    shown = found[: wanted.limit]
    next_number = shown[-1].number if len(found) > wanted.limit else None
    return JobPage(tuple(rows.record(row, now=now) for row in shown), next_number)


def counts(connection: Connection, *, now: datetime) -> Mapping[str, Mapping[JobState, int]]:
    """Return for each queue how many jobs are in which state; a delay that is over is waiting."""
    found: dict[str, dict[JobState, int]] = defaultdict(lambda: defaultdict(int))
    for queue, states in state_counts(connection).items():
        found[queue].update({JobState(state): number for state, number in states.items()})
    for queue, number in connection.execute(_due, {"the_moment": stamp(now)}):
        found[queue][JobState.DELAYED] -= number
        found[queue][JobState.WAITING] += number
    return {
        queue: {state: number for state, number in states.items() if number}
        for queue, states in found.items()
    }


def state_counts(connection: Connection) -> Mapping[str, Mapping[str, int]]:
    """Return for each queue how many jobs are in which state, as the rows say."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for queue, state, number in connection.execute(_counts):
        found[queue][state] = number
    return found


def ends(
    connection: Connection, names: Collection[str], named: Callable[[str, str], str]
) -> Mapping[str, bool]:
    """Return whether jobs are finished, by names that are made of queue and id.

    Of all unfinished jobs and the last finished ones; the others are not mentioned.
    """
    found: dict[str, bool] = {}
    for query in (_ends.where(~_is_final), _ends.where(_is_final).limit(LATELY)):
        for queue, job_id, state in connection.execute(query.execution_options(yield_per=1000)):
            if (name := named(queue, job_id)) in names:
                found[name] = JobState(state).is_final
    return found


def _ids_like(start: str) -> Select[str | None, int]:
    # A range of ids reads their index and knows no wildcards; LIKE does neither.
    last = start + chr(sys.maxunicode)
    found = select(jobs.c.id).distinct().where(jobs.c.id.between(start, last)).subquery()
    return select(func.min(found.c.id), func.count()).select_from(found)


def _filtered(wanted: JobFilter, *, now: datetime) -> Select[tuple[object, ...]]:
    query = narrowed(select(jobs), wanted)
    delayed = jobs.c.state == JobState.DELAYED.value
    is_due = jobs.c.due_at <= stamp(now)
    match wanted.state:
        case None if index_of(wanted) is None:
            return query
        case None:
            return _first_of((query.where(jobs.c.state == each.value) for each in JobState), wanted)
        case JobState.DELAYED:
            return query.where(delayed, ~is_due)
        case JobState.WAITING:
            # Each kind by an index of its own: an OR would read and sort all that wait.
            kinds = (query.where(jobs.c.state == wanted.state.value), query.where(DELAYED, is_due))
            return _first_of(kinds, wanted)
        case state:
            return query.where(jobs.c.state == state.value)


def _first_of(
    queries: Iterable[Select[tuple[object, ...]]], wanted: JobFilter
) -> Select[tuple[object, ...]]:
    numbers = (query.with_only_columns(jobs.c.number).subquery() for query in queries)
    found = [select(each.c.number) for each in numbers]
    chosen = jobs.c.number.in_(union_all(*found))
    return select(jobs).where(chosen).order_by(in_order(wanted)).limit(wanted.limit)
