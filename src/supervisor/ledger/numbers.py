"""The numbers of a job's copies: each is committed before its copy is published, and given once.

A copy is *confirmed* once it is known to be stored; only then are older ones stale.
"""

from sqlalchemy import Boolean, Connection, bindparam, case, select, true, update

from supervisor.core.records import JobState
from supervisor.ledger.conditions import THIS_JOB, TRACE_AGAIN, UNFINISHED, Trace, job_key
from supervisor.ledger.tables.jobs import jobs

# Of copy `the_seq` it is known that it is stored; of a newer one, if there is one, it is not.
CONFIRMED = case((jobs.c.seq <= bindparam("the_seq"), true()), else_=jobs.c.confirmed)

_parking = (
    update(jobs)
    .where(THIS_JOB, UNFINISHED, jobs.c.state == JobState.ACTIVE.value)
    .values(seq=jobs.c.seq + 1, confirmed=False)
)
_parked = (
    update(jobs)
    .where(THIS_JOB)
    .values(
        confirmed=CONFIRMED,
        trace=case((bindparam("is_owed", type_=Boolean()), TRACE_AGAIN), else_=Trace.NONE.value),
    )
)
_met = update(jobs).where(THIS_JOB, UNFINISHED).values(confirmed=CONFIRMED)
_reopening = (
    update(jobs)
    .where(THIS_JOB, jobs.c.trace == Trace.TAKEN.value)
    .values(trace=case((UNFINISHED, Trace.OPEN.value), else_=Trace.OWED.value))
)
_newest = select(jobs.c.seq).where(THIS_JOB)


def newest(connection: Connection, queue: str, job_id: str) -> int:
    """Return the number of a job's newest copy; 0 if it has none, or is not known."""
    return connection.execute(_newest, job_key(queue, job_id)).scalar_one_or_none() or 0


def park(connection: Connection, queue: str, job_id: str) -> int:
    """Commit the next copy of a running job and return its number; 0 if it runs no more."""
    done = connection.execute(_parking, job_key(queue, job_id)).rowcount == 1
    return newest(connection, queue, job_id) if done else 0


def parked(connection: Connection, queue: str, job_id: str, *, seq: int, is_owed: bool) -> None:
    """Note that copy ``seq`` is stored, in place of a delivery.

    The delivery is acked, unless that ``is_owed``: then it comes once more.
    """
    values = {"the_seq": seq, "is_owed": is_owed}
    connection.execute(_parked, job_key(queue, job_id) | values)


def met(connection: Connection, queue: str, job_id: str, *, seq: int) -> None:
    """Note that copy ``seq`` is stored: it was met in a queue."""
    connection.execute(_met, job_key(queue, job_id) | {"the_seq": seq})


def reopen(connection: Connection, queue: str, job_id: str) -> None:
    """Expect the delivery that was recognised as this job once more: its ack was not written."""
    connection.execute(_reopening, job_key(queue, job_id))
