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
    union,
    update,
)

from supervisor.core.records import JobState
from supervisor.ledger import attempts
from supervisor.ledger.conditions import HAS_NO_COPY, Trace
from supervisor.ledger.interruptions import INTERRUPTED
from supervisor.ledger.presence import here, is_gone
from supervisor.ledger.tables import PENDING, TRACED, jobs, notices


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
_gone = union(
    *(
        select(table.c.node).where(has_something, table.c.node != here(), is_gone(table.c.node))
        for table, has_something in (
            (jobs, _IS_ACTIVE),
            (jobs, _IS_OURS_TO_PUBLISH),
            (notices, _IS_TO_BE_TOLD),
        )
    )
)


def recover(
    connection: Connection, nodes: Collection[str], *, pools: Collection[str], now: datetime
) -> int:
    """Release all that these coordinators had in hand; return how many jobs that were.

    What they were to publish for these pools, and to tell, is ours to publish and to tell.
    """
    if not nodes:
        return 0
    theirs = {"the_nodes": list(nodes)}
    released = connection.execute(_release, theirs).rowcount
    attempts.close_all(connection, nodes, code=INTERRUPTED, now=now)
    connection.execute(_traces, theirs)
    connection.execute(_publish.values(node=here()), theirs | {"the_pools": list(pools)})
    connection.execute(_tell.values(node=here()), theirs)
    return released


def adopt(connection: Connection, nodes: Collection[str], *, now: datetime) -> int:
    """Take up at a start what was ours, for whichever pools; return how many jobs ran."""
    connection.execute(
        update(jobs).where(PENDING, _is_of_them(jobs), jobs.c.node != here()).values(node=here()),
        {"the_nodes": list(nodes)},
    )
    return recover(connection, nodes, pools=(), now=now)


def gone(connection: Connection, pools: Collection[str]) -> frozenset[str]:
    """Return the coordinators that are not there, and have something in hand.

    What they were to publish counts if it is for one of these pools.
    """
    return frozenset(connection.scalars(_gone, {"the_pools": list(pools)}))
