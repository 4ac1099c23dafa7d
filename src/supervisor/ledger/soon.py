"""What is still to come of a queue's jobs although nothing waits in it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, true

from supervisor.core.records import JobState
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import stamp

# Named one by one: so the finished ones, which are most, are not looked at.
_IS_UNFINISHED = jobs.c.state.in_([state.value for state in JobState if not state.is_final])
_IS_DELAYED = jobs.c.state == JobState.DELAYED.value
_IS_DUE = and_(_IS_DELAYED, jobs.c.due_at.between(bindparam("the_start"), bindparam("the_end")))
_IS_DYING = jobs.c.given_up == true()  # its dead letter is on its way
_to_come = select(
    func.sum(case((_IS_DELAYED, 1), else_=0)),
    func.sum(case((or_(_IS_DUE, _IS_DYING), 1), else_=0)),
).where(jobs.c.queue == bindparam("the_queue"), _IS_UNFINISHED)


@dataclass(frozen=True, slots=True)
class ToCome:
    """How many jobs are delayed; and how many are due about now, or dead letters in a moment."""

    delayed: int
    soon: int


def to_come(connection: Connection, queue: str, *, since: datetime, until: datetime) -> ToCome:
    """Return what is still to come; a delayed job is due about now if it is in that time."""
    moments = {"the_queue": queue, "the_start": stamp(since), "the_end": stamp(until)}
    delayed, soon = connection.execute(_to_come, moments).one()
    return ToCome(int(delayed or 0), int(soon or 0))
