"""Wishes to cancel a job that another coordinator runs, kept until that has done it.

A wish is for one life of a job, and moot when that is over. Until then the job does not begin
again, on whichever machine: ``jobs.begin`` refuses it, and ``recovery.recover`` cancels it instead
of having it wait. So a wish holds though the coordinator that was to fulfil it dies.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, delete, exists, or_, select, true, update

from supervisor.core.cancellations import Wished
from supervisor.core.records import JobState
from supervisor.core.steering import WAITING
from supervisor.ledger import interruptions, withdrawals
from supervisor.ledger.attempts import Ending
from supervisor.ledger.conditions import THIS_JOB, UNFINISHED, job_key
from supervisor.ledger.dialects import insert
from supervisor.ledger.presence import here
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.tables.requests import cancellations as wishes
from supervisor.ledger.values import stamp

KNOCK: Final = "supervisor_cancellations"  # what PostgreSQL calls out when there is a new one

_IS_OF_JOB = and_(wishes.c.queue == jobs.c.queue, wishes.c.job_id == jobs.c.id)
_IS_MEANT = and_(_IS_OF_JOB, wishes.c.life == jobs.c.life, UNFINISHED)
_IS_ACTIVE = jobs.c.state == JobState.ACTIVE.value
_IS_OURS = wishes.c.node == here()
_THIS_WISH = and_(wishes.c.queue == bindparam("the_queue"), wishes.c.job_id == bindparam("the_job"))

# Locked: it is either wished before the run ends, or not at all.
_running = (
    select(jobs.c.queue, jobs.c.id, jobs.c.life, jobs.c.node, bindparam("the_moment"))
    .where(THIS_JOB, _IS_ACTIVE, jobs.c.node != here())
    .with_for_update()
)
_entry = insert(wishes).from_select(["queue", "job_id", "life", "node", "asked_at"], _running)
_ask = _entry.on_conflict_do_update(
    index_elements=[wishes.c.queue, wishes.c.job_id],
    set_={name: _entry.excluded[name] for name in ("life", "node", "done")},
)
_is_asked = select(exists().where(_THIS_WISH))
_ours = (
    select(
        *(wishes.c.queue, wishes.c.job_id, wishes.c.life, wishes.c.done),
        *(jobs.c.state, jobs.c.life.label("lives"), (jobs.c.node != here()).label("is_foreign")),
    )
    .join_from(wishes, jobs, _IS_OF_JOB, isouter=True)
    .where(_IS_OURS)
    .order_by(wishes.c.asked_at)
)
_meant = select(jobs.c.queue, jobs.c.id).join_from(wishes, jobs, _IS_MEANT).with_for_update(of=jobs)
# What runs on another machine that alone can stop; here nobody has it in hand who begins it.
_to_be_refused = _meant.where(THIS_JOB, or_(~_IS_ACTIVE, jobs.c.node == here()))
_that_wait = _meant.where(jobs.c.state.in_(sorted(state.value for state in WAITING)))
_done = update(wishes).where(_THIS_WISH).values(done=true())
_forget = delete(wishes).where(_THIS_WISH, wishes.c.life == bindparam("the_life"), _IS_OURS)
_inherit = (
    update(wishes)
    .where(wishes.c.node.in_(bindparam("the_nodes", expanding=True)))
    .values(node=here())
)


def ask(connection: Connection, queue: str, job_id: str, *, now: datetime) -> bool:
    """Ask the coordinator that runs a job to cancel it; False if no other one runs it now."""
    values = job_key(queue, job_id) | {"the_moment": stamp(now)}
    return connection.execute(_ask, values).rowcount == 1


def is_asked(connection: Connection, queue: str, job_id: str) -> bool:
    """Answer whether a job is still to be cancelled, or that is still to be told."""
    return bool(connection.scalar(_is_asked, job_key(queue, job_id)))


def ours(connection: Connection) -> tuple[Wished, ...]:
    """Return what this coordinator was asked to cancel, the oldest wish first."""
    return tuple(map(_wished, connection.execute(_ours)))


def forget(connection: Connection, wished: Wished) -> None:
    """Note that a wish of ours is fulfilled, or moot."""
    key = job_key(wished.queue, wished.job_id)
    connection.execute(_forget, key | {"the_life": wished.life})


def refuse(connection: Connection, queue: str, job_id: str, *, now: datetime) -> bool:
    """Cancel a job that was about to begin again, if that is wished; answer whether it was."""
    for row in connection.execute(_to_be_refused, job_key(queue, job_id)).all():
        interruptions.release(
            connection, row.queue, (row.id,), end=Ending(code="cancelled"), now=now
        )
        return _call_off(connection, row.queue, row.id, now=now)
    return False


def recover(connection: Connection, nodes: Collection[str], *, now: datetime) -> int:
    """Cancel what these coordinators were to cancel and now waits; return how many that were.

    Who was asked is not there: what is left of their wishes is ours.
    """
    connection.execute(_inherit, {"the_nodes": list(nodes)})
    rows = connection.execute(_that_wait).all()
    return sum(_call_off(connection, row.queue, row.id, now=now) for row in rows)


def _call_off(connection: Connection, queue: str, job_id: str, *, now: datetime) -> bool:
    connection.execute(_done, job_key(queue, job_id))
    return withdrawals.call_off(connection, queue, job_id, JobState.CANCELLED, now=now)


def _wished(row: Row[*tuple[Any, ...]]) -> Wished:
    is_same = row.lives == row.life
    state = JobState(row.state) if is_same else None
    is_elsewhere = state is JobState.ACTIVE and row.is_foreign
    return Wished(row.queue, row.job_id, row.life, state, is_elsewhere, row.done)
