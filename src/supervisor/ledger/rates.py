"""How limited pools and keys stand, one row for each: read, decided and written in one transaction.

So a limit holds over a restart, and over all machines that share a ledger. Moments are those of the
machine that asks: machines that share a ledger need clocks that agree.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, delete, select, update

from supervisor.core.rates import MICROSECONDS, Pace, Slot, is_sober, place, sober
from supervisor.ledger.dialects import insert
from supervisor.ledger.tables.queues import rates
from supervisor.ledger.values import stamp

_THIS = and_(rates.c.queue == bindparam("the_queue"), rates.c.limit_key == bindparam("the_key"))
_entry = insert(rates).on_conflict_do_nothing(index_elements=[rates.c.queue, rates.c.limit_key])
_state = select(rates.c.due_at).where(_THIS).with_for_update()
_change = update(rates).where(_THIS).values(due_at=bindparam("the_due"))
_undoing = _change.where(rates.c.due_at == bindparam("the_latest"))
_sweep = delete(rates).where(rates.c.due_at < bindparam("the_moment"))


@dataclass(frozen=True, slots=True)
class Permit:
    """A start that was granted: how its pool stood before and after, so that it can be undone."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Taking:
    """The permits that were granted, and in how many seconds the next one can be."""

    permits: tuple[Permit, ...]
    wait: float


def take(connection: Connection, queue: str, pace: Pace, wanted: int, *, now: datetime) -> Taking:
    """Grant a pool as many starts as it may have now, up to ``wanted``; keep none for later."""
    at = stamp(now)
    stood = _stand(connection, queue, "", at)
    due = sober(stood, at, pace)
    permits: list[Permit] = []
    while len(permits) < wanted and (slot := place(due, at, pace)).at <= at:
        permits.append(Permit(due, slot.due))
        due = slot.due
    if due != stood:
        connection.execute(_change, _key(queue, "") | {"the_due": due})
    return Taking(tuple(permits), max(0, place(due, at, pace).at - at) / MICROSECONDS)


def set_back(connection: Connection, queue: str, pace: Pace, *, now: datetime) -> None:
    """Have a pool wait for no moment of our clock that is not to come as it was set back."""
    at = stamp(now)
    stood = _stand(connection, queue, "", at)
    due = sober(stood, at, pace, apart=0)
    if due != stood:
        connection.execute(_change, _key(queue, "") | {"the_due": due})


def undo(connection: Connection, queue: str, permit: Permit) -> bool:
    """Take back a grant that was not used; False if others were granted since: then it is lost."""
    values = _key(queue, "") | {"the_due": permit.before, "the_latest": permit.after}
    return connection.execute(_undoing, values).rowcount == 1


def reserve(connection: Connection, queue: str, key: str, pace: Pace, *, now: datetime) -> Slot:
    """Give a job of a key the next free slot, which may be in the future; it is kept for it."""
    at = stamp(now)
    stood = _stand(connection, queue, key, at)
    slot = place(stood if is_sober(stood, at) else at, at, pace)
    connection.execute(_change, _key(queue, key) | {"the_due": slot.due})
    return slot


def sweep(connection: Connection, *, now: datetime) -> int:
    """Forget all that have rested: they stand as if they had never been; return how many."""
    return connection.execute(_sweep, {"the_moment": stamp(now)}).rowcount


def _stand(connection: Connection, queue: str, key: str, now: int) -> int:
    """Return when the next job is due, and let nobody else change it before this commit."""
    due = connection.execute(_state, _key(queue, key)).scalar_one_or_none()
    if due is None:
        # Perhaps another machine enters it just now: whoever is second reads what the first wrote.
        connection.execute(_entry, {"queue": queue, "limit_key": key, "due_at": now})
        due = connection.execute(_state, _key(queue, key)).scalar_one()
    return int(due)


def _key(queue: str, key: str) -> dict[str, object]:
    return {"the_queue": queue, "the_key": key}
