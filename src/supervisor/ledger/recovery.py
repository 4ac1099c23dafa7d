"""What coordinators had in hand when they ended: released, and given to the one who finds it."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    case,
    select,
    true,
    union,
    update,
)

from supervisor.core.records import JobState
from supervisor.ledger import attempts, cancellations, controls
from supervisor.ledger.conditions import HAS_NO_COPY, Trace
from supervisor.ledger.interruptions import INTERRUPTED
from supervisor.ledger.presence import here, is_gone
from supervisor.ledger.tables.jobs import PENDING, TRACED, jobs
from supervisor.ledger.tables.queues import queue_controls as drains
from supervisor.ledger.tables.reports import notices
from supervisor.ledger.tables.requests import cancellations as wishes


def _is_of_them(table: Table) -> ColumnElement[bool]:
    return table.c.node.in_(bindparam("the_nodes", expanding=True))


_IS_ACTIVE = jobs.c.state == JobState.ACTIVE.value
_IS_TO_BE_TOLD = notices.c.due_at.is_not(None)
_release = (
    update(jobs)
    .where(_IS_ACTIVE, _is_of_them(jobs))
    .values(state=JobState.WAITING.value, worker="")
)
# Of a finished job nobody can tell any more whether it was acked: it is done again if it comes.
_traces = (
    update(jobs)
    .where(TRACED, jobs.c.trace != Trace.OWED.value, _is_of_them(jobs))
    .values(trace=case((HAS_NO_COPY, Trace.OPEN.value), else_=Trace.NONE.value))
)
# Of pools that are unknown here they would wait for ever.
_IS_OURS_TO_PUBLISH = and_(PENDING, jobs.c.pool.in_(bindparam("the_pools", expanding=True)))
_publish = update(jobs).where(_IS_OURS_TO_PUBLISH, _is_of_them(jobs), jobs.c.node != here())
_tell = update(notices).where(_IS_TO_BE_TOLD, _is_of_them(notices), notices.c.node != here())
# What waits in queues that are unknown here, only those can bring back who know them.
_IS_OURS_TO_END = and_(
    drains.c.draining > 0, drains.c.queue.in_(bindparam("the_queues", expanding=True))
)
_gone = union(
    *(
        select(node).where(has_something, node != here(), is_gone(node))
        for node, has_something in (
            (jobs.c.node, _IS_ACTIVE),
            (jobs.c.node, _IS_OURS_TO_PUBLISH),
            (notices.c.node, _IS_TO_BE_TOLD),
            (wishes.c.node, true()),
            (drains.c.drain_node, _IS_OURS_TO_END),
        )
    )
)


def recover(
    connection: Connection,
    nodes: Collection[str],
    *,
    pools: Collection[str],
    queues: Collection[str] = (),
    now: datetime,
) -> int:
    """Release all that these coordinators had in hand; return how many jobs that were.

    What they were to publish for these pools, to tell, and to cancel, is ours to publish, tell and
    cancel; and ours to end is what they began to drain of these queues.
    """
    if not nodes:
        return 0
    theirs = {"the_nodes": list(nodes)}
    released = connection.execute(_release, theirs).rowcount
    attempts.close_all(connection, nodes, code=INTERRUPTED, now=now)
    connection.execute(_traces, theirs)
    cancellations.recover(connection, nodes, now=now)
    connection.execute(_publish.values(node=here()), theirs | {"the_pools": list(pools)})
    connection.execute(_tell.values(node=here()), theirs)
    controls.inherit(connection, nodes, queues)
    return released


def adopt(connection: Connection, nodes: Collection[str], *, now: datetime) -> int:
    """Take up at a start what was ours, for whichever pools; return how many jobs ran."""
    connection.execute(
        update(jobs).where(PENDING, _is_of_them(jobs), jobs.c.node != here()).values(node=here()),
        {"the_nodes": list(nodes)},
    )
    controls.inherit(connection, nodes)
    return recover(connection, nodes, pools=(), now=now)


def gone(
    connection: Connection, pools: Collection[str], queues: Collection[str] = ()
) -> frozenset[str]:
    """Return the coordinators that are not there, and have something in hand.

    What they were to publish counts if it is for one of these pools, what they drained if it is
    one of these queues.
    """
    values = {"the_pools": list(pools), "the_queues": list(queues)}
    return frozenset(connection.scalars(_gone, values))
