"""What operators have said about queues, by queue: which are paused, which drains are not done."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, or_, select, update

from supervisor.ledger.dialects import insert
from supervisor.ledger.presence import here
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.tables.queues import queue_controls as controls
from supervisor.ledger.values import moment_of, stamp

_paused = select(controls.c.queue, controls.c.why).where(controls.c.paused)
_draining = select(
    controls.c.queue, controls.c.draining, controls.c.drain_last, controls.c.drain_at
).where(controls.c.draining > 0, controls.c.drain_node == here())
_last = select(func.max(jobs.c.number))
_entry = insert(controls)
_pause = _entry.on_conflict_do_update(
    index_elements=[controls.c.queue],
    set_={
        "paused": _entry.excluded.paused,
        "why": _entry.excluded.why,
        "changed_at": _entry.excluded.changed_at,
    },
)
_drain = _entry.values(drain_node=here()).on_conflict_do_update(
    index_elements=[controls.c.queue],
    # What another coordinator began is ended by it, or by its heir.
    where=or_(controls.c.draining == 0, controls.c.drain_node == here()),
    set_={
        column.name: _entry.excluded[column.name]
        for column in (
            *(controls.c.draining, controls.c.drain_last),
            *(controls.c.drain_at, controls.c.drain_node),
        )
    },
)
_drained = (
    update(controls)
    .where(controls.c.queue == bindparam("the_queue"), controls.c.drain_node == here())
    .values(draining=0)
)
_inherit = (
    update(controls)
    .where(
        controls.c.draining > 0,
        controls.c.drain_node.in_(bindparam("the_nodes", expanding=True)),
    )
    .values(drain_node=here())
)
_of_these = controls.c.queue.in_(bindparam("the_queues", expanding=True))


@dataclass(frozen=True, slots=True)
class Drain:
    """A drain of ours that was begun and not finished."""

    queue: str
    scope: int  # how far it goes
    last: int  # the number of the newest job there was when it began
    begun_at: datetime


def paused(connection: Connection) -> Mapping[str, str]:
    """Return the queues that are paused, and why."""
    return {row.queue: row.why for row in connection.execute(_paused)}


def pause(connection: Connection, queues: Iterable[str], *, why: str, now: datetime) -> None:
    """Note that nothing new is to be taken from these queues."""
    for queue in queues:
        row = {"queue": queue, "paused": True, "why": why, "changed_at": stamp(now)}
        connection.execute(_pause, row)


def resume(connection: Connection, queues: Iterable[str], *, now: datetime) -> None:
    """Note that these queues are consumed again."""
    for queue in queues:
        row = {"queue": queue, "paused": False, "why": "", "changed_at": stamp(now)}
        connection.execute(_pause, row)


def draining(connection: Connection) -> tuple[Drain, ...]:
    """Return the drains that this coordinator began and did not finish."""
    return tuple(
        Drain(row.queue, row.draining, row.drain_last, moment_of(row.drain_at))
        for row in connection.execute(_draining)
    )


def drain(connection: Connection, queue: str, *, scope: int, now: datetime) -> Drain | None:
    """Note that a drain begins; None if another coordinator began one and has not ended it."""
    last = connection.scalar(_last) or 0
    row = {"queue": queue, "why": "", "changed_at": stamp(now)}
    row |= {"draining": scope, "drain_last": last, "drain_at": stamp(now)}
    is_ours = connection.execute(_drain, row).rowcount == 1
    return Drain(queue, scope, last, now) if is_ours else None


def drained(connection: Connection, queue: str) -> None:
    """Note that ours is done."""
    connection.execute(_drained, {"the_queue": queue})


def inherit(
    connection: Connection, nodes: Collection[str], queues: Collection[str] | None = None
) -> None:
    """Have the drains of these queues (None: of all) be ours that these coordinators broke off."""
    theirs: dict[str, object] = {"the_nodes": list(nodes)}
    if queues is None:
        connection.execute(_inherit, theirs)
    else:
        connection.execute(_inherit.where(_of_these), theirs | {"the_queues": list(queues)})
