"""The messages of the embedded queues as rows: ready, claimed by somebody, or delayed."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, null, select, update

from consumers.broker.operations import Publish
from consumers.jobs import HOME, Properties, identity
from consumers.topology import pool_queues
from supervisor.ledger.dialects import insert as insert_or
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.tables.queues import embedded_messages as messages
from supervisor.ledger.tables.queues import embedded_queues as queues
from supervisor.ledger.values import (
    moment_or_none,
    pack,
    properties_of,
    stamp,
    stamp_after,
)


class Place(enum.IntEnum):
    """Where a message is."""

    READY = 0
    CLAIMED = 1
    DELAYED = 2


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that was taken out of its queue's ready ones."""

    tag: int
    body: bytes
    properties: Properties
    redelivered: bool


_declare = insert_or(queues).on_conflict_do_nothing()
_declared = select(queues.c.name)
_publish = Prepared(
    insert(messages),
    columns=("queue", "state", "level", "body", "properties", "due_at", "job_id"),
)
_next = (
    select(messages.c.tag)
    .where(messages.c.queue == bindparam("the_queue"), messages.c.state == Place.READY.value)
    .order_by(messages.c.level, messages.c.tag)
    .limit(bindparam("the_limit"))
)
_claim = (
    update(messages)
    .where(messages.c.tag.in_(_next.scalar_subquery()))
    .values(state=Place.CLAIMED.value, deliveries=messages.c.deliveries + 1)
    .returning(
        messages.c.tag,
        messages.c.level,
        messages.c.body,
        messages.c.properties,
        messages.c.deliveries,
    )
)
_remove = Prepared(delete(messages).where(messages.c.tag == bindparam("the_tag")))
_give_back = (
    update(messages)
    .where(messages.c.tag == bindparam("the_tag"), messages.c.state == Place.CLAIMED.value)
    .values(state=Place.READY.value)
)
_unclaim = _give_back.values(deliveries=messages.c.deliveries - 1)
_give_all_back = (
    update(messages).where(messages.c.state == Place.CLAIMED.value).values(state=Place.READY.value)
)
_wake = (
    update(messages)
    .where(
        messages.c.state == Place.DELAYED.value,
        messages.c.due_at <= bindparam("the_moment"),
    )
    .values(state=Place.READY.value, due_at=null())
    .returning(messages.c.queue)
)
_earliest = select(func.min(messages.c.due_at)).where(messages.c.state == Place.DELAYED.value)
_of_queue = (messages.c.queue == bindparam("the_queue"), messages.c.state == Place.READY.value)
_depth = select(func.count()).where(*_of_queue)
_purge = delete(messages).where(
    messages.c.tag.in_(
        select(messages.c.tag)
        .where(
            messages.c.queue == bindparam("the_queue"),
            messages.c.state.in_(bindparam("the_states", expanding=True)),
        )
        .limit(bindparam("the_limit"))
        .scalar_subquery()
    )
)
_withdraw = delete(messages).where(
    messages.c.queue.in_(bindparam("the_lanes", expanding=True)),
    messages.c.job_id == bindparam("the_job"),
    messages.c.state != Place.CLAIMED.value,
)

_withdraw_some = delete(messages).where(
    messages.c.queue.in_(bindparam("the_lanes", expanding=True)),
    messages.c.job_id.in_(bindparam("the_jobs", expanding=True)),
    messages.c.state != Place.CLAIMED.value,
)


def declare(connection: Connection, names: Sequence[str]) -> None:
    """Make sure these queues exist."""
    connection.execute(_declare, [{"name": name} for name in names])


def declared(connection: Connection) -> frozenset[str]:
    """Return the names of the queues there are."""
    return frozenset(connection.scalars(_declared))


def publish(connection: Connection, message: Publish, *, level: int, now: datetime) -> int:
    """Store a message and return its tag."""
    is_delayed = message.delay > 0
    row = {
        "queue": message.queue,
        "state": (Place.DELAYED if is_delayed else Place.READY).value,
        "level": level,
        "body": message.body,
        "properties": pack(message.properties),
        "due_at": stamp_after(now, message.delay) if is_delayed else None,
        "job_id": _known_as(message.properties),
    }
    return int(_publish.run(connection, row).lastrowid)


def claim(connection: Connection, queue: str, limit: int) -> tuple[Claimed, ...]:
    """Take up to ``limit`` ready messages: the most urgent, and of those the oldest, first."""
    rows = connection.execute(_claim, {"the_queue": queue, "the_limit": limit})
    return tuple(
        Claimed(
            tag=row.tag,
            body=row.body,
            properties=properties_of(row.properties),
            redelivered=row.deliveries > 1,
        )
        for row in sorted(rows, key=lambda row: (row.level, row.tag))
    )


def remove(connection: Connection, tags: Sequence[int]) -> None:
    """Settle messages for good; they may be gone already."""
    for tag in tags:
        _remove.run(connection, {"the_tag": tag})


def give_back(connection: Connection, tags: Sequence[int]) -> None:
    """Put claimed messages back in their places, to be delivered again."""
    if tags:
        connection.execute(_give_back, [{"the_tag": tag} for tag in tags])


def unclaim(connection: Connection, tags: Sequence[int]) -> None:
    """Put claimed messages back that nobody was given after all."""
    connection.execute(_unclaim, [{"the_tag": tag} for tag in tags])


def give_all_back(connection: Connection) -> int:
    """Put back what an earlier life had claimed; return how many messages that were."""
    return connection.execute(_give_all_back).rowcount


def wake(connection: Connection, *, now: datetime) -> tuple[frozenset[str], datetime | None]:
    """Make the messages ready whose delay is over; return their queues, and the next moment."""
    woken = frozenset(connection.scalars(_wake, {"the_moment": stamp(now)}))
    return woken, moment_or_none(connection.scalar(_earliest))


def withdraw(connection: Connection, queue: str, job_id: str) -> int:
    """Take the messages of a job out of its pool's lanes that nobody has in hand; how many."""
    lanes = pool_queues(queue)
    named = {"the_lanes": [lanes.public, lanes.priority], "the_job": job_id}
    return connection.execute(_withdraw, named).rowcount


def withdraw_some(connection: Connection, queue: str, job_ids: Sequence[str]) -> int:
    """Remove the messages of jobs that nobody has claimed; return how many those were."""
    lanes = pool_queues(queue)
    named = {"the_lanes": [lanes.public, lanes.priority], "the_jobs": list(job_ids)}
    return connection.execute(_withdraw_some, named).rowcount


def _known_as(properties: Properties) -> str:
    """Return the id of the job a message is for; nothing where another queue knows it by that."""
    return "" if HOME in properties.headers else identity(properties) or ""


def depth(connection: Connection, queue: str) -> int:
    """Return how many messages of a queue are ready."""
    return connection.scalar(_depth, {"the_queue": queue}) or 0


def purge(connection: Connection, queue: str, *, limit: int, delayed: bool) -> int:
    """Throw some of the ready messages of a queue away, and of the delayed; return how many."""
    states = [Place.READY.value, *([Place.DELAYED.value] if delayed else [])]
    wanted = {"the_queue": queue, "the_states": states, "the_limit": limit}
    return connection.execute(_purge, wanted).rowcount
