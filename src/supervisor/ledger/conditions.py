"""Which job rows a statement is about: one by its key, and those that may still change."""

import enum
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, bindparam, case, false, func, not_, or_, select

from supervisor.core.records import FINAL, JobState
from supervisor.ledger.tables.jobs import jobs

MEMORY = timedelta(hours=24)  # how long a message without an id is recognised


class Trace(enum.IntEnum):
    """Whether a redelivery that carries no id may be this job."""

    NONE = 0  # it has an id, or nothing is owed for it
    OPEN = 1  # yes: the message that came without an id may still be in its queue
    TAKEN = 2  # a redelivery was recognised as this job; the next one is another job's
    OWED = 3  # surely: its message was not acked, whatever became of the job


THIS_JOB = and_(jobs.c.queue == bindparam("the_queue"), jobs.c.id == bindparam("the_job"))

# The first outcome wins: every statement that changes what a job is asks for this.
UNFINISHED: ColumnElement[bool] = and_(
    *(jobs.c.state != state.value for state in sorted(FINAL, key=lambda state: state.value))
)

# Its message, if that is not acked, is all there is of it.
HAS_NO_COPY = and_(UNFINISHED, or_(jobs.c.seq == 0, ~jobs.c.confirmed))

# The recognised redelivery is lost again: the message will come once more.
TRACE_AGAIN = case((jobs.c.trace == Trace.TAKEN.value, Trace.OPEN.value), else_=jobs.c.trace)

# A value, not EXISTS: PostgreSQL would answer that for all jobs there are, to have it at hand.
_first = jobs.alias("first")
_is_open = (
    select(and_(_first.c.chain_open, not_(_first.c.chain_leaving)))
    .where(_first.c.queue == jobs.c.root_queue, _first.c.id == jobs.c.root_id)
    .scalar_subquery()
)
# Of such a chain nothing goes: who is told at its end is to hear of everything. Of one that is
# being removed nobody is told.
IS_OF_OPEN_CHAIN: ColumnElement[bool] = and_(jobs.c.root_id != "", func.coalesce(_is_open, false()))

# It failed, and somebody removed it before its chain was told of: it failed all the same.
FAILED_AND_REMOVED: ColumnElement[bool] = and_(
    jobs.c.state == JobState.REMOVED.value, jobs.c.error_group != ""
)


def job_key(queue: str, job_id: str) -> dict[str, object]:
    """Return the parameters of ``THIS_JOB``."""
    return {"the_queue": queue, "the_job": job_id}
