"""Jobs put aside until their key has room: their next copy is committed, and the slot it has."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, update

from supervisor.core.rates import MICROSECONDS, Pace
from supervisor.ledger import interruptions, jobs, rates
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.interruptions import Copy
from supervisor.ledger.jobs import Taking
from supervisor.ledger.tables.jobs import jobs as table
from supervisor.ledger.values import stamp

_reservation = (
    update(table)
    .where(THIS_JOB)
    .values(limit_key=bindparam("the_key"), slot_at=bindparam("the_slot"))
)


@dataclass(frozen=True, slots=True)
class Shelved:
    """The copy that is to come back after ``delay`` seconds; number 0: the job is finished."""

    seq: int
    delay: float


def in_time(
    connection: Connection, taking: Taking, pace: Pace, *, copy: Copy, now: datetime
) -> Shelved | None:
    """Take the next slot of a job's key; None if that is now, else it is put aside until then.

    It comes back after the delay of ``copy`` at the latest, and finds its slot kept.
    """
    claim, at = taking.claim, stamp(now)
    slot = rates.reserve(connection, claim.queue, claim.limit_key, pace, now=now)
    if slot.at <= at:
        return None
    copy = Copy(copy.seq, min((slot.at - at) / MICROSECONDS, copy.delay))
    return put(connection, taking, copy, slot_at=slot.at, now=now)


def put(
    connection: Connection, taking: Taking, copy: Copy, *, slot_at: int | None, now: datetime
) -> Shelved:
    """Put a job aside, be it the first that is heard of it; ``slot_at`` is kept free for it."""
    claim = taking.claim
    jobs.admit(connection, taking, now=now)
    number = interruptions.defer(connection, claim.queue, taking.job_id, copy=copy, now=now)
    if number:
        values = {"the_key": claim.limit_key, "the_slot": slot_at}
        connection.execute(_reservation, job_key(claim.queue, taking.job_id) | values)
    return Shelved(number, copy.delay)
