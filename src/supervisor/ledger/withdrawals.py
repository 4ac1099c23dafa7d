"""Jobs that are taken back by request: called off while they wait, or erased when they are over."""

from datetime import datetime

from sqlalchemy import (
    Boolean,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    not_,
    null,
    or_,
    select,
    true,
    update,
)

from consumers.jobs import Properties
from supervisor.core.records import FINAL, JobState
from supervisor.core.steering import WAITING
from supervisor.ledger.conditions import (
    FAILED_AND_REMOVED,
    IS_OF_OPEN_CHAIN,
    MEMORY,
    THIS_JOB,
    Trace,
    job_key,
)
from supervisor.ledger.messages import withdraw
from supervisor.ledger.tables.entries import deduplications
from supervisor.ledger.tables.jobs import HAS_PARENT, HAS_ROOT, attempts, job_lines, jobs
from supervisor.ledger.tables.requests import cancellations, replayed
from supervisor.ledger.values import pack, stamp

# Older copies lie in the broker's queues perhaps; in the embedded ones they are taken out.
_calling_off = (
    update(jobs)
    .where(THIS_JOB, jobs.c.state.in_(sorted(state.value for state in WAITING)))
    .values(
        state=bindparam("the_state"),
        worker="",
        finished_at=bindparam("the_moment"),
        due_at=null(),
        post_at=null(),
        loose=true(),
    )
)
_is_over = jobs.c.state.in_(sorted(state.value for state in FINAL))
_is_needed = or_(
    jobs.c.loose,
    and_(jobs.c.trace != Trace.NONE.value, jobs.c.finished_at > bindparam("the_memory")),
)
_follower = jobs.alias("follower")
_has_followers = exists().where(
    HAS_PARENT,  # of the follower; it names the index
    _follower.c.parent_queue == bindparam("the_queue"),
    _follower.c.parent_id == bindparam("the_job"),
    _follower.c.state != JobState.REMOVED.value,
)
# As long as somebody is to be told of it with its chain: that it failed.
_counts = and_(or_(jobs.c.state == JobState.FAILED.value, FAILED_AND_REMOVED), IS_OF_OPEN_CHAIN)
_found = select(
    _is_needed.label("is_needed"),
    _counts.label("counts"),
    and_(jobs.c.root_queue == jobs.c.queue, jobs.c.root_id == jobs.c.id).label("is_first"),
).where(THIS_JOB, _is_over, not_(_has_followers))
_removal = delete(jobs).where(THIS_JOB, _is_over)
# What counted of a chain goes with its first job.
_removal_of_counted = delete(jobs).where(
    HAS_ROOT,
    jobs.c.root_queue == bindparam("the_queue"),
    jobs.c.root_id == bindparam("the_job"),
    FAILED_AND_REMOVED,
    not_(_is_needed),
)
# What is left of a job of which a copy may still come: that it must not run.
_emptying = (
    update(jobs)
    .where(THIS_JOB, _is_over)
    .values(
        state=JobState.REMOVED.value,
        body=b"{}",
        properties=pack(Properties()),  # whoever asked for an answer has had one
        result=null(),
        error=case((bindparam("the_counts", type_=Boolean), jobs.c.error), else_=null()),
        chain_open=false(),  # nobody waits for what came of it: that is removed as well
        chain_leaving=false(),
        note="",
        error_group=case((bindparam("the_counts", type_=Boolean), jobs.c.error_group), else_=""),
    )
)
_of_job = {
    table: delete(table).where(
        table.c.queue == bindparam("the_queue"), table.c.job_id == bindparam("the_job")
    )
    for table in (attempts, job_lines, deduplications, replayed, cancellations)
}


def call_off(
    connection: Connection, queue: str, job_id: str, state: JobState, *, now: datetime
) -> bool:
    """Have a job that waits be cancelled or removed; False if it does not wait."""
    values = {"the_state": state.value, "the_moment": stamp(now)}
    if connection.execute(_calling_off, job_key(queue, job_id) | values).rowcount != 1:
        return False
    withdraw(connection, queue, job_id)
    if state is JobState.REMOVED:
        connection.execute(_of_job[deduplications], job_key(queue, job_id))
    return True


def erase(connection: Connection, queue: str, job_id: str, *, now: datetime) -> bool:
    """Forget a job that is over, with its runs and lines; False if it is not there, or not over.

    What followed it must be removed first, or it is False too: else a job that was completed while
    somebody had it removed would leave jobs behind that nobody knows the user of.
    While a copy of it may still come, its bare row stays, in state ``removed``: by that it is
    dropped. So does that of a job that failed, with its error, until its chain was told of.
    """
    key = job_key(queue, job_id)
    memory = {"the_memory": stamp(now - MEMORY)}
    found = connection.execute(_found, key | memory).one_or_none()
    if found is None:
        return False
    for statement in _of_job.values():
        connection.execute(statement, key)
    if found.is_needed or found.counts:
        connection.execute(_emptying, key | {"the_counts": bool(found.counts)})
    else:
        connection.execute(_removal, key)
    if found.is_first:
        connection.execute(_removal_of_counted, key | memory)
    return True
