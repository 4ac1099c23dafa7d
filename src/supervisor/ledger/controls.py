"""What operators have said about queues, by queue: which are paused, which drains are not done."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from supervisor.ledger.dialects import insert
from supervisor.ledger.tables import queue_controls as controls
from supervisor.ledger.values import stamp

_paused = select(controls.c.queue, controls.c.why).where(controls.c.paused)
_draining = select(controls.c.queue, controls.c.draining).where(controls.c.draining > 0)
_entry = insert(controls)
_pause = _entry.on_conflict_do_update(
    index_elements=[controls.c.queue],
    set_={
        "paused": _entry.excluded.paused,
        "why": _entry.excluded.why,
        "changed_at": _entry.excluded.changed_at,
    },
)
_drain = _entry.on_conflict_do_update(
    index_elements=[controls.c.queue], set_={"draining": _entry.excluded.draining}
)
_drained = update(controls).where(controls.c.queue == bindparam("the_queue")).values(draining=0)


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


def draining(connection: Connection) -> Mapping[str, int]:
    """Return the queues whose drain was begun and not finished, and how far it was to go."""
    return {row.queue: row.draining for row in connection.execute(_draining)}


def drain(connection: Connection, queue: str, *, scope: int, now: datetime) -> None:
    """Note that a drain begins."""
    row = {"queue": queue, "why": "", "changed_at": stamp(now), "draining": scope}
    connection.execute(_drain, row)


def drained(connection: Connection, queue: str) -> None:
    """Note that it is done."""
    connection.execute(_drained, {"the_queue": queue})
