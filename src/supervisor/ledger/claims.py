"""What a claim is judged by: is this delivery a job we know, and what became of it?

A message that carries an id is known by it. One without is recognised, when it is redelivered,
by its fingerprint: each job that may still be owed a redelivery answers for one of them only.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, literal_column, select, update

from supervisor.core.records import FINAL, JobState, Known
from supervisor.ledger.conditions import THIS_JOB, Trace, job_key
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.tables import jobs
from supervisor.ledger.values import stamp

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
)
_by_id = _facts.where(THIS_JOB)
# A job that waits surely gets its message back, a finished one that never was acked as well; a
# running one only if its own connection was lost, so it is the last to be taken for it.
_rank = case(
    (jobs.c.state == JobState.ACTIVE.value, 2),
    *((jobs.c.state == state.value, 1) for state in sorted(FINAL, key=lambda state: state.value)),
    else_=0,
)
_by_fingerprint = (
    _facts.where(
        jobs.c.queue == bindparam("the_queue"),
        jobs.c.fingerprint == bindparam("the_fingerprint"),
        jobs.c.trace == literal_column("1"),  # to the letter, so that the partial index fits
        func.coalesce(jobs.c.finished_at, jobs.c.started_at, jobs.c.created_at)
        >= bindparam("the_cutoff"),
    )
    .order_by(_rank, jobs.c.number)
    .limit(1)
)
_taken = (
    update(jobs).where(jobs.c.number == bindparam("the_number")).values(trace=Trace.TAKEN.value)
)
_settled = Prepared(update(jobs).where(THIS_JOB).values(confirmed=True, trace=Trace.NONE.value))


def known(connection: Connection, queue: str, job_id: str) -> Known | None:
    """Return what is committed of a job, or None if it was never met."""
    row = connection.execute(_by_id, job_key(queue, job_id)).one_or_none()
    return None if row is None else _known(row)


def recognise(
    connection: Connection, queue: str, fingerprint: str, *, now: datetime
) -> Known | None:
    """Return the job that a redelivered message without an id is, and answer so only once."""
    wanted = {
        "the_queue": queue,
        "the_fingerprint": fingerprint,
        "the_cutoff": stamp(now - MEMORY),
    }
    row = connection.execute(_by_fingerprint, wanted).one_or_none()
    if row is None:
        return None
    connection.execute(_taken, {"the_number": row.number})
    return _known(row)


def settle(connection: Connection, queue: str, job_id: str) -> None:
    """Note that the delivery is acked and its copy, if any, is stored: nothing is owed."""
    _settled.run(connection, job_key(queue, job_id))


def _known(row: Row[*tuple[Any, ...]]) -> Known:
    return Known(
        id=row.id,
        state=JobState(row.state),
        seq=row.seq,
        confirmed=row.confirmed,
        attempts=row.attempts,
        crashes=row.crashes,
        crash=row.crash,
        suspect_cleared=row.suspect_cleared,
    )
