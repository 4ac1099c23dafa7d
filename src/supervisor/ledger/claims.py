"""What a claim is judged by: is this delivery a job we know, and what became of it?

A message that carries an id is known by it. One without is recognised, when it is redelivered,
by its fingerprint: each job that may still be owed a redelivery answers for one of them only.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    Row,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from supervisor.core.records import Charge, JobState, Known
from supervisor.ledger import host_faults, rows
from supervisor.ledger.conditions import (
    HAS_NO_COPY,
    MEMORY,
    THIS_JOB,
    TRACE_AGAIN,
    UNFINISHED,
    Trace,
    job_key,
)
from supervisor.ledger.numbers import CONFIRMED
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.presence import here, is_gone
from supervisor.ledger.tables.jobs import TRACED, jobs
from supervisor.ledger.values import failure_of, stamp

# Also if the other is away: for a moment perhaps, and its workers do not stop for that. Whoever
# stays away is succeeded, and then the job is not active any more.
_IS_ELSEWHERE = and_(jobs.c.state == JobState.ACTIVE.value, jobs.c.node != here())
_facts = select(
    jobs.c.number,
    jobs.c.id,
    jobs.c.state,
    jobs.c.seq,
    jobs.c.confirmed,
    jobs.c.attempts,
    jobs.c.crashes,
    jobs.c.crash,
    jobs.c.suspect_cleared,
    jobs.c.charge,
    jobs.c.is_shared,
    jobs.c.timeouts,
    jobs.c.memory_crashes,
    jobs.c.moved_to,
    jobs.c.given_up,
    jobs.c.error,
    jobs.c.trace,
    jobs.c.queue,
    jobs.c.due_at,
    jobs.c.slot_at,
    *(jobs.c.root_id, jobs.c.parent_id),
    case((_IS_ELSEWHERE, jobs.c.node), else_="").label("elsewhere"),
)
_by_id = _facts.where(THIS_JOB)
# What waits surely gets its message back; so does what finished and was never acked. What runs
# does only if its connection was lost: otherwise the message is another job of the same words. What
# runs as a copy may have lost the ack of the message that it was copied from.
_may_come_back = or_(
    jobs.c.state != JobState.ACTIVE.value,
    jobs.c.id.in_(bindparam("the_running", expanding=True)),
    and_(jobs.c.seq > 0, jobs.c.confirmed),
)
# What another coordinator has in hand, or is settling, it alone can tell apart.
_is_ours_to_tell = or_(
    jobs.c.node == here(),
    and_(UNFINISHED, jobs.c.state != JobState.ACTIVE.value),
    jobs.c.trace == Trace.OWED.value,
)
_rank = case((jobs.c.state == JobState.ACTIVE.value, 2), (UNFINISHED, 0), else_=1)
_last_touched = func.coalesce(jobs.c.finished_at, jobs.c.started_at, jobs.c.created_at)
_by_fingerprint = (
    _facts.where(
        jobs.c.queue == bindparam("the_queue"),
        jobs.c.fingerprint == bindparam("the_fingerprint"),
        TRACED,  # names the index
        jobs.c.trace != Trace.TAKEN.value,
        jobs.c.id.not_in(bindparam("the_others", expanding=True)),
        _may_come_back,
        _is_ours_to_tell,
        _last_touched >= bindparam("the_cutoff"),
    )
    .order_by(_rank, jobs.c.number)
    .limit(1)
    .with_for_update()  # two coordinators may ask at once; SQLite has one
)
_in_doubt = select(
    exists().where(
        jobs.c.queue == bindparam("the_queue"),
        jobs.c.fingerprint == bindparam("the_fingerprint"),
        TRACED,  # names the index
        jobs.c.trace != Trace.TAKEN.value,
        _IS_ELSEWHERE,
        is_gone(jobs.c.node),
    )
)
_taken = (
    update(jobs).where(jobs.c.number == bindparam("the_number")).values(trace=Trace.TAKEN.value)
)
_settled = Prepared(
    update(jobs)
    .where(THIS_JOB)
    .values(
        confirmed=CONFIRMED,
        trace=case(
            (bindparam("is_nameless", type_=Boolean()), Trace.NONE.value), else_=jobs.c.trace
        ),
    )
)
_owed = (
    update(jobs).where(THIS_JOB, jobs.c.trace != Trace.TAKEN.value).values(trace=Trace.OWED.value)
)
_owed_still = (
    update(jobs).where(THIS_JOB, jobs.c.trace == Trace.OPEN.value).values(trace=Trace.OWED.value)
)
_doubted = (
    update(jobs)
    .where(THIS_JOB, TRACED)
    .values(trace=case((HAS_NO_COPY, TRACE_AGAIN), else_=Trace.NONE.value))
)


def known(connection: Connection, queue: str, job_id: str) -> Known | None:
    """Return what is committed of a job, or None if it was never met."""
    row = connection.execute(_by_id, job_key(queue, job_id)).one_or_none()
    return None if row is None else _known(connection, row)


@dataclass(frozen=True, slots=True)
class Redelivery:
    """A message without an id that was delivered before.

    ``running`` are the running jobs that lost the connection their message came by, ``others``
    those that it surely is not.
    """

    queue: str
    fingerprint: str
    running: Collection[str] = ()
    others: Collection[str] = ()


def recognise(connection: Connection, redelivery: Redelivery, *, now: datetime) -> Known | None:
    """Return the job that a redelivered message without an id is, and answer so only once."""
    wanted = {
        "the_running": list(redelivery.running),
        "the_others": list(redelivery.others),
        "the_queue": redelivery.queue,
        "the_fingerprint": redelivery.fingerprint,
        "the_cutoff": stamp(now - MEMORY),
    }
    row = connection.execute(_by_fingerprint, wanted).one_or_none()
    if row is None:
        return None
    connection.execute(_taken, {"the_number": row.number})
    return _known(connection, row)


def is_in_doubt(connection: Connection, queue: str, fingerprint: str) -> bool:
    """Answer whether a message may be a job of a coordinator that is away, and not succeeded yet.

    Only when it is back, or somebody has taken its place, can it be told.
    """
    wanted = {"the_queue": queue, "the_fingerprint": fingerprint}
    return bool(connection.scalar(_in_doubt, wanted))


def settle(connection: Connection, queue: str, job_id: str, *, seq: int, is_nameless: bool) -> None:
    """Note that a delivery is acked, of a message with or without an id; copy ``seq`` is stored."""
    values = {"the_seq": seq, "is_nameless": is_nameless}
    _settled.run(connection, job_key(queue, job_id) | values)


def owe(connection: Connection, queue: str, job_id: str, *, is_late: bool) -> None:
    """Note that the message of a job, which had no id, was surely not acked.

    Said so late that it may have come again and be settled since, that is left as it is.
    """
    connection.execute(_owed_still if is_late else _owed, job_key(queue, job_id))


def doubt(connection: Connection, queue: str, job_id: str) -> None:
    """Note that nobody knows whether the delivery was acked."""
    connection.execute(_doubted, job_key(queue, job_id))


def _known(connection: Connection, row: Row[*tuple[Any, ...]]) -> Known:
    met = host_faults.met(connection, row.queue, row.id)
    return Known(
        id=row.id,
        state=JobState(row.state),
        seq=row.seq,
        confirmed=row.confirmed,
        attempts=row.attempts,
        crashes=row.crashes,
        timeouts=row.timeouts,
        memory_crashes=row.memory_crashes,
        crash=row.crash,
        charge=Charge(row.charge),
        is_shared=row.is_shared,
        moved_to=row.moved_to,
        suspect_cleared=row.suspect_cleared,
        given_up=failure_of(row.error) if row.given_up else None,
        faults=met.faults,
        is_straight_back=met.is_last and row.due_at is None,
        slot_at=row.slot_at,
        elsewhere=row.elsewhere,
        kin=rows.kin(row),
    )
