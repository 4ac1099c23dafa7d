"""What a claim is judged by: is this delivery a job we know, and what became of it?

A message that carries an id is known by it. One without is recognised, when it is redelivered,
by its fingerprint: each job that may still be owed a redelivery answers for one of them only.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, or_, select, update

from supervisor.core.records import Charge, JobState, Known
from supervisor.ledger.conditions import THIS_JOB, UNFINISHED, Trace, job_key
from supervisor.ledger.numbers import CONFIRMED
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.tables import TRACED, jobs
from supervisor.ledger.values import failure_of, stamp

MEMORY = timedelta(hours=24)  # how long a message without an id is recognised

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
)
_by_id = _facts.where(THIS_JOB)
# What waits surely gets its message back; so does what finished and was never acked. What runs
# does only if its connection was lost: otherwise the message is another job of the same words.
_may_come_back = or_(
    jobs.c.state != JobState.ACTIVE.value,
    jobs.c.id.in_(bindparam("the_running", expanding=True)),
)
_rank = case((jobs.c.state == JobState.ACTIVE.value, 2), (UNFINISHED, 0), else_=1)
_by_fingerprint = (
    _facts.where(
        jobs.c.queue == bindparam("the_queue"),
        jobs.c.fingerprint == bindparam("the_fingerprint"),
        TRACED,
        _may_come_back,
        jobs.c.id.not_in(bindparam("the_settling", expanding=True)),
        jobs.c.trace == Trace.OPEN.value,
        func.coalesce(jobs.c.finished_at, jobs.c.started_at, jobs.c.created_at)
        >= bindparam("the_cutoff"),
    )
    .order_by(_rank, jobs.c.number)
    .limit(1)
)
_taken = (
    update(jobs).where(jobs.c.number == bindparam("the_number")).values(trace=Trace.TAKEN.value)
)
_settled = Prepared(
    update(jobs)
    .where(THIS_JOB)
    .values(
        confirmed=CONFIRMED,
        trace=Trace.NONE.value,
    )
)


def known(connection: Connection, queue: str, job_id: str) -> Known | None:
    """Return what is committed of a job, or None if it was never met."""
    row = connection.execute(_by_id, job_key(queue, job_id)).one_or_none()
    return None if row is None else _known(row)


@dataclass(frozen=True, slots=True)
class Redelivery:
    """A message without an id that was delivered before.

    ``running`` are the running jobs that lost the connection their message came by; ``settling``
    those whose outcome is written and whose ack is on its way.
    """

    queue: str
    fingerprint: str
    running: Collection[str] = ()
    settling: Collection[str] = ()


def recognise(connection: Connection, redelivery: Redelivery, *, now: datetime) -> Known | None:
    """Return the job that a redelivered message without an id is, and answer so only once."""
    wanted = {
        "the_running": list(redelivery.running),
        "the_settling": list(redelivery.settling),
        "the_queue": redelivery.queue,
        "the_fingerprint": redelivery.fingerprint,
        "the_cutoff": stamp(now - MEMORY),
    }
    row = connection.execute(_by_fingerprint, wanted).one_or_none()
    if row is None:
        return None
    connection.execute(_taken, {"the_number": row.number})
    return _known(row)


def settle(connection: Connection, queue: str, job_id: str, *, seq: int) -> None:
    """Note that the delivery is acked: nothing is owed. Copy ``seq``, if any, is stored."""
    _settled.run(connection, job_key(queue, job_id) | {"the_seq": seq})


def _known(row: Row[*tuple[Any, ...]]) -> Known:
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
    )
