"""Replays: dead letters whose next copies are entered, spaced in time, and taken back.

What the next copy changes of a job is kept beside it until the job's next replay. A copy that was
taken back may lie in a queue all the same, if it was just being published: its number stays given,
so it is dropped when it comes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    LargeBinary,
    Row,
    Select,
    and_,
    bindparam,
    func,
    insert,
    null,
    or_,
    select,
    true,
    update,
)

from consumers import jobs as envelopes
from supervisor.core.records import JobState
from supervisor.desks.letters import Replay
from supervisor.ledger import dialects, next_copies
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.letters import IS_DEAD_AMONG_THESE, by_queue
from supervisor.ledger.messages import withdraw_some
from supervisor.ledger.next_copies import Again
from supervisor.ledger.presence import here
from supervisor.ledger.tables.jobs import REPLAYED, jobs
from supervisor.ledger.tables.requests import replayed, replays
from supervisor.ledger.values import moment_of, moment_or_none, stamp

AnyRow = Row[*tuple[Any, ...]]

_OF_JOB = (
    replayed.c.queue == bindparam("the_queue"),
    replayed.c.job_id == bindparam("the_job"),
)


class _Before(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead letter's row as far as its next copy changes it, by the names of its columns."""

    finished_at: int | None = None
    attempts: int = 0
    crashes: int = 0
    timeouts: int = 0
    memory_crashes: int = 0
    error_group: str = ""
    error: bytes | None = None
    result: bytes | None = None
    duration: float | None = None
    due_at: int | None = None
    progress: float = 0.0
    note: str = ""
    worker: str = ""
    given_up: bool = False
    loose: bool = False
    confirmed: bool = True
    replay: int | None = None
    name: str = ""
    sender: str = ""
    noreply: bool = False
    body: bytes | None = None  # none: it is not edited


_KEPT = tuple(field for field in _Before.__struct_fields__ if field != "body")
_dead = (
    select(jobs)
    .where(
        jobs.c.queue == bindparam("the_queue"),
        jobs.c.id.in_(bindparam("the_jobs", expanding=True)),
        IS_DEAD_AMONG_THESE,
    )
    .with_for_update()
)
_keeping = dialects.insert(replayed)
_keep = _keeping.on_conflict_do_update(
    index_elements=[replayed.c.queue, replayed.c.job_id],
    set_={
        "replay": _keeping.excluded.replay,
        "seq": _keeping.excluded.seq,
        "before": _keeping.excluded.before,
        # The first one it had.
        "original": func.coalesce(replayed.c.original, _keeping.excluded.original),
    },
)
_naming = update(jobs).where(THIS_JOB).values(name=bindparam("the_name"))
_more = (
    update(replays)
    .where(replays.c.number == bindparam("the_replay"))
    .values(total=replays.c.total + bindparam("the_jobs"))
)
_is_of_it = and_(jobs.c.replay == bindparam("the_replay"), jobs.c.state == JobState.PENDING.value)
_unbegun = (  # the first condition names the index
    select(jobs.c.queue, jobs.c.id).where(REPLAYED, _is_of_it).order_by(jobs.c.number)
)
# What is due another coordinator may be publishing: whether it runs, nobody here knows then.
_can_be_taken_back = (
    select(replayed.c.queue, replayed.c.job_id, replayed.c.before, jobs.c.post_at)
    .join_from(
        replayed, jobs, and_(jobs.c.queue == replayed.c.queue, jobs.c.id == replayed.c.job_id)
    )
    .where(
        replayed.c.queue == bindparam("the_queue"),
        replayed.c.job_id.in_(bindparam("the_jobs", expanding=True)),
        _is_of_it,
        jobs.c.seq == replayed.c.seq,
        replayed.c.replay == bindparam("the_replay"),
        replayed.c.before.is_not(None),
        or_(jobs.c.post_at > bindparam("the_moment"), jobs.c.node == here()),
    )
    .with_for_update()
)
_taking_back = (
    update(jobs)
    .where(THIS_JOB, jobs.c.state == JobState.PENDING.value)
    .values(
        {name: bindparam(f"the_{name}") for name in _KEPT}
        | {"state": JobState.FAILED.value, "post_at": null(), "confirmed": true()}
        | {"body": func.coalesce(bindparam("the_body", type_=LargeBinary()), jobs.c.body)}
    )
)
_put_away = update(replayed).where(*_OF_JOB).values(before=null())
_undone = (
    update(replays)
    .where(replays.c.number == bindparam("the_replay"), replays.c.undone_at.is_(None))
    .values(undone_at=bindparam("the_moment"))
)
_states = (
    select(jobs.c.replay, jobs.c.state, func.count().label("jobs"))
    .where(REPLAYED, jobs.c.replay.in_(bindparam("the_replays", expanding=True)))
    .group_by(jobs.c.replay, jobs.c.state)
)
_overdue = (
    select(jobs.c.replay, func.min(jobs.c.post_at).label("first"))
    .join_from(jobs, replays, replays.c.number == jobs.c.replay)
    .where(
        REPLAYED,
        jobs.c.state == JobState.PENDING.value,
        jobs.c.node == here(),
        replays.c.rate.is_not(None),
    )
    .group_by(jobs.c.replay)
)
_shift = (
    update(jobs)
    .where(REPLAYED, _is_of_it, jobs.c.node == here())
    .values(post_at=jobs.c.post_at + bindparam("the_time"))
)


@dataclass(frozen=True, slots=True)
class Heading:
    """What a replay is about: with another ``body`` for its jobs, if they are edited."""

    what: str
    rate: float | None = None  # jobs a second
    number: int | None = None  # once it has one
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One dead letter that runs again, and when it is sent."""

    queue: str
    id: str
    post_at: datetime


def enter(
    connection: Connection, heading: Heading, turns: Sequence[Turn], *, now: datetime
) -> tuple[int, int]:
    """Enter the next copies of dead letters; return the replay's number, and how many they were.

    The replay counts them in the same transaction: however it is broken off, it says what was done.
    Those that are dead letters no more are left alone.
    """
    number = heading.number or _begin(connection, heading, now=now)
    before = {
        (row.queue, row.id): row
        for queue, ids in by_queue((turn.queue, turn.id) for turn in turns).items()
        for row in connection.execute(_dead, {"the_queue": queue, "the_jobs": ids})
    }
    sent = [turn for turn in turns if (turn.queue, turn.id) in before]
    if sent:
        _remember(connection, number, list(before.values()), is_edited=heading.body is not None)
        copy = Again(replay=number, body=heading.body)
        moments = [(turn.queue, turn.id, turn.post_at) for turn in sent]
        next_copies.again_at(connection, moments, copy, now=now)
        _rename(connection, heading, sent)
    connection.execute(_more, {"the_replay": number, "the_jobs": len(sent)})
    return number, len(sent)


def _begin(connection: Connection, heading: Heading, *, now: datetime) -> int:
    row = {"created_at": stamp(now), "what": heading.what, "rate": heading.rate, "total": 0}
    made = connection.execute(insert(replays).values(row).returning(replays.c.number))
    number: int = made.scalar_one()
    return number


def _remember(
    connection: Connection, replay: int, rows: Sequence[AnyRow], *, is_edited: bool
) -> None:
    kept: list[dict[str, object]] = []
    for row in rows:
        facts: dict[str, Any] = {name: getattr(row, name) for name in _KEPT}
        before = _Before(**facts, body=row.body if is_edited else None)
        kept.append(
            {
                "queue": row.queue,
                "job_id": row.id,
                "replay": replay,
                "seq": row.seq + 1,
                "before": msgspec.json.encode(before),
                "original": row.body if is_edited else None,
            }
        )
    connection.execute(_keep, kept)


def _rename(connection: Connection, heading: Heading, turns: Sequence[Turn]) -> None:
    """Note the type of a job whose new body says one."""
    name = "" if heading.body is None else envelopes.type_of(msgspec.json.decode(heading.body))
    if name:
        for turn in turns:
            connection.execute(_naming, job_key(turn.queue, turn.id) | {"the_name": name})


# --- undo ----------------------------------------------------------------------------------------


def unbegun(connection: Connection, replay: int) -> tuple[tuple[str, str], ...]:
    """Return the queue and id of each job of a replay that is still to be sent, the first first."""
    rows = connection.execute(_unbegun, {"the_replay": replay})
    return tuple((row.queue, row.id) for row in rows)


def undo(
    connection: Connection, replay: int, keys: Sequence[tuple[str, str]], *, now: datetime
) -> int:
    """Make jobs of a replay dead letters again, as they were; return how many that were."""
    asked = {"the_replay": replay, "the_moment": stamp(now)}
    connection.execute(_undone, asked)
    return sum(
        _take_back(connection, asked | {"the_queue": queue, "the_jobs": ids}, now=now)
        for queue, ids in by_queue(keys).items()
    )


def _take_back(connection: Connection, asked: Mapping[str, Any], *, now: datetime) -> int:
    """Make some jobs of one queue dead letters again; return how many that were."""
    found = connection.execute(_can_be_taken_back, asked).all()
    if found:
        connection.execute(_taking_back, [_restored(row, now=now) for row in found])
        connection.execute(_put_away, [job_key(row.queue, row.job_id) for row in found])
        withdraw_some(connection, asked["the_queue"], [row.job_id for row in found])
    return len(found)


def _restored(row: AnyRow, *, now: datetime) -> dict[str, object]:
    """Return a dead letter's columns as they were, by the names of the statement's parameters."""
    before = msgspec.json.decode(row.before, type=_Before)
    was_on_its_way = row.post_at <= stamp(now)
    return job_key(row.queue, row.job_id) | {
        **{f"the_{name}": getattr(before, name) for name in _KEPT},
        "the_loose": before.loose or was_on_its_way,
        "the_body": before.body,
    }


# --- what people see, and a new start ------------------------------------------------------------


def newest(connection: Connection, limit: int, number: int | None = None) -> tuple[Replay, ...]:
    """Return the newest replays, or the one of that number, with what became of their jobs."""
    query: Select[Any] = select(replays).order_by(replays.c.number.desc()).limit(limit)
    if number is not None:
        query = query.where(replays.c.number == number)
    rows = connection.execute(query).all()
    states: dict[int, dict[str, int]] = {row.number: {} for row in rows}
    for row in connection.execute(_states, {"the_replays": list(states)}):
        states[row.replay][row.state] = row.jobs
    return tuple(
        Replay(
            number=row.number,
            what=row.what,
            created_at=moment_of(row.created_at),
            jobs=row.total,
            rate=row.rate,
            states=states[row.number],
            undone_at=moment_or_none(row.undone_at),
        )
        for row in rows
    )


def resume(connection: Connection, *, now: datetime) -> int:
    """Have replays with a rate go on at that rate; return how many were behind.

    What should have been sent while nobody was there would otherwise be sent all at once.
    """
    late = [
        (row.replay, stamp(now) - row.first)
        for row in connection.execute(_overdue)
        if row.first < stamp(now - timedelta(seconds=1))
    ]
    for replay, time in late:
        connection.execute(_shift, {"the_replay": replay, "the_time": time})
    return len(late)
