"""What a row means that another program put into the intake table. Pure.

Its columns come as the bytes that lie there: a file takes anything anywhere, and whatever a row
says, it is either a job or refused by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

from consumers import jobs
from consumers.chains import THEN
from consumers.errors import MalformedError
from consumers.jobs import Priority, Properties, priority_named
from supervisor.core.bounds import LONGEST_ID, MOST_ATTEMPTS
from supervisor.core.chains import check
from supervisor.core.delays import Timing, timing
from supervisor.core.records import NewJob, PoolCard

ORIGIN: Final = "intake"  # the triggers that have rows follow their jobs know it, too
MILLISECONDS: Final = 11  # digits or more are milliseconds since 1970; a date has eight

T = TypeVar("T")


class Pace(msgspec.Struct, frozen=True):
    """How rows are taken in: so many at a time, looked for so often (seconds).

    ``concurrency`` batches may be on their way to their queues; what is beyond stays in the table.
    """

    batch_size: int = 50
    interval: float = 5.0
    concurrency: int = 10

    @property
    def most_on_the_way(self) -> int:
        """Return how many jobs of rows may wait to be published."""
        return self.batch_size * self.concurrency


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it lies there."""

    id: bytes | None
    queue_name: bytes | None
    type: bytes | None = None
    data: bytes | None = None
    priority: bytes | None = None
    max_attempts: bytes | None = None
    delay_ms: bytes | None = None
    scheduled_for: bytes | None = None


class BadRowError(Exception):
    """A row is no job; its words name the column and say what is wrong with it."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(f"{column}: {why}")


@dataclass(frozen=True, slots=True)
class Terms:
    """What rows are judged by: the pools, by the names that rows may call them, and a limit."""

    pools: Mapping[str, PoolCard]
    body_limit: int  # bytes
    following: Mapping[str, PoolCard] | None = None  # that may have what follows; None: the same

    @property
    def words(self) -> str:
        """Return the names that there are."""
        return ", ".join(self.pools)


def called(cards: Mapping[str, PoolCard]) -> Mapping[str, PoolCard]:
    """Return pools by their queues and by their own names; a queue's name goes first."""
    return dict(cards) | {card.queues.public: card for card in cards.values()}


def order(row: Row, terms: Terms, *, now: datetime) -> NewJob:
    """Return the job that a row asks for.

    Raises:
        BadRowError: it asks for none.
    """
    job_id, pool = _id(row), _pool(row, terms)
    named, body = _type(row), b"{}" if row.data is None else row.data
    priority, when = _priority(row, pool), _timing(row, now)
    try:
        envelope = jobs.read(body, Properties(type=named or None), limit=terms.body_limit)
        if envelope.data.get(THEN) is not None:
            known = terms.following or {card.name: card for card in terms.pools.values()}
            check(envelope.data, known)
    except MalformedError as error:
        column = "data" if error.field == "body" else f"data.{error.field}"
        raise BadRowError(column, _reason(error)) from error
    return NewJob(
        id=job_id,
        pool=pool.name,
        queue=pool.queues.public,
        body=body,
        properties=Properties(
            message_id=job_id,
            content_type="application/json",
            priority=priority.amqp,
            type=envelope.type or None,
            timestamp=now,
        ),
        priority=priority,
        sender=envelope.sender,
        noreply=envelope.noreply,
        delay=when.delay,
        post_at=when.post_at,
        name=envelope.type,
        max_attempts=_attempts(row),
        origin=ORIGIN,
    )


def _id(row: Row) -> str:
    found = _text("id", row.id)
    if not 0 < len(found.encode()) <= LONGEST_ID or not found.isprintable():
        raise BadRowError("id", f"must be 1 to {LONGEST_ID} bytes of printable text")
    return found


def _pool(row: Row, terms: Terms) -> PoolCard:
    name = _text("queue_name", row.queue_name)
    if name not in terms.pools:
        why = f"no pool or queue {name[:80]!r} is configured; there are: {terms.words}"
        raise BadRowError("queue_name", why)
    return terms.pools[name]


def _type(row: Row) -> str:
    found = _text("type", row.type)
    if len(found.encode()) > jobs.LONGEST_TYPE:
        raise BadRowError("type", f"must be {jobs.LONGEST_TYPE} bytes or shorter")
    if jobs.NUL in found:
        raise BadRowError("type", jobs.NO_NUL)
    return found


def _priority(row: Row, pool: PoolCard) -> Priority:
    said = _text("priority", row.priority)
    if not said:
        return Priority.NORMAL
    try:
        return priority_named(said, pool.scale)
    except MalformedError as error:
        raise BadRowError("priority", _reason(error)) from error


def _attempts(row: Row) -> int | None:
    return _number("max_attempts", row.max_attempts, 1, MOST_ATTEMPTS)


def _timing(row: Row, now: datetime) -> Timing:
    """Return when it is to run; a moment says more than a delay that is counted from somewhere."""
    moment = _moment(row)
    delay = _number("delay_ms", row.delay_ms, 0, 2**53) or 0
    column = "delay_ms" if moment is None else "scheduled_for"
    try:
        return timing(0.0 if moment else delay / 1000, moment, now=now)
    except ValueError as error:
        raise BadRowError(column, str(error).partition(": ")[2]) from error


def _moment(row: Row) -> datetime | None:
    said = _text("scheduled_for", row.scheduled_for)
    if not said:
        return None
    try:
        if said.isascii() and said.isdigit() and len(said) >= MILLISECONDS:
            return datetime.fromtimestamp(int(said) / 1000, UTC)
        found = datetime.fromisoformat(said)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        why = f"must be like 2026-01-31T23:59:59Z, or milliseconds since 1970, is {said[:40]!r}"
        raise BadRowError("scheduled_for", why) from error


def _number(column: str, said: bytes | None, least: int, most: int) -> int | None:
    text = _text(column, said)
    if not text:
        return None
    number = _tried(int, text)
    if number is None or not least <= number <= most:
        why = f"must be a whole number, {least:,} to {most:,}, is {text[:40]!r}"
        raise BadRowError(column, why)
    return number


def _tried(read: Callable[[str], T], text: str) -> T | None:
    try:
        return read(text)
    except ValueError:
        return None


def _text(column: str, said: bytes | None) -> str:
    try:
        return "" if said is None else said.decode()
    except UnicodeDecodeError as error:
        raise BadRowError(column, f"is not UTF-8 text (byte {error.start})") from error


def _reason(error: MalformedError) -> str:
    return str(error).partition(": ")[2]
