"""Notices that wait to be told: unique by key and sink, kept until delivered or given up."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, null, select, update

from supervisor.core.records import Notice
from supervisor.ledger.dialects import insert
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.presence import here
from supervisor.ledger.tables.reports import notices
from supervisor.ledger.values import moment_or_none, stamp

_addition = Prepared(
    insert(notices).on_conflict_do_nothing(index_elements=[notices.c.key, notices.c.sink]),
    columns=("key", "sink", "event", "queue", "job_id", "sender", "text", "body", "due_at"),
)
_due = (
    select(notices)
    .where(notices.c.due_at <= bindparam("the_moment"), notices.c.node == here())
    .order_by(notices.c.due_at, notices.c.number)
    .limit(bindparam("the_limit"))
)
_next = select(func.min(notices.c.due_at)).where(notices.c.node == here())
_this_one = (notices.c.key == bindparam("the_key"), notices.c.sink == bindparam("the_sink"))
_delivery = (
    update(notices)
    .where(*_this_one)
    .values(
        delivered_at=bindparam("the_moment"),
        deliveries=notices.c.deliveries + 1,
        due_at=null(),
        error="",
    )
)
_postponement = (
    update(notices)
    .where(*_this_one, notices.c.delivered_at.is_(null()))
    .values(
        deliveries=notices.c.deliveries + 1,
        due_at=bindparam("the_due"),
        error=bindparam("the_error"),
    )
)


def add(connection: Connection, waiting: Sequence[Notice], *, now: datetime) -> None:
    """Put notices in; one whose key and sink are there already changes nothing."""
    for notice in waiting:
        _addition.run(connection, _row(notice, now=now))


def due(connection: Connection, now: datetime, limit: int) -> tuple[Notice, ...]:
    """Return the notices whose time has come, the one that has waited longest first."""
    rows = connection.execute(_due, {"the_moment": stamp(now), "the_limit": limit})
    return tuple(
        Notice(
            key=row.key,
            event=row.event,
            sink=row.sink,
            queue=row.queue,
            job_id=row.job_id,
            sender=row.sender,
            text=row.text,
            body=row.body,
            deliveries=row.deliveries,
            due_at=moment_or_none(row.due_at),
            delivered_at=moment_or_none(row.delivered_at),
            error=row.error,
        )
        for row in rows
    )


def next_due(connection: Connection) -> datetime | None:
    """Return when the next notice is due, or None if none waits."""
    return moment_or_none(connection.scalar(_next))


def delivered(connection: Connection, key: str, sink: str, *, now: datetime) -> None:
    """Note that a notice was told."""
    connection.execute(_delivery, {"the_key": key, "the_sink": sink, "the_moment": stamp(now)})


def postpone(
    connection: Connection, key: str, sink: str, *, error: str, due_at: datetime | None
) -> None:
    """Note that a notice could not be told; without ``due_at`` it is given up."""
    values = {
        "the_key": key,
        "the_sink": sink,
        "the_error": error,
        "the_due": None if due_at is None else stamp(due_at),
    }
    connection.execute(_postponement, values)


def _row(notice: Notice, *, now: datetime) -> dict[str, object]:
    return {
        "key": notice.key,
        "sink": notice.sink,
        "event": notice.event,
        "queue": notice.queue,
        "job_id": notice.job_id,
        "sender": notice.sender,
        "text": notice.text,
        "body": notice.body,
        "due_at": stamp(notice.due_at or now),
    }
