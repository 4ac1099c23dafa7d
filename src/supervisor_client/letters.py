"""A job as an AMQP message: what any program would publish, with our headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from supervisor_client.errors import BadOrderError, NotOverAmqpError
from supervisor_client.orders import Order

_LONGEST_DELAY = 48 * 86400  # seconds; with more a supervisor can only bury the message
_LEVELS = ("critical", "high", "normal", "low", "background")  # AMQP's 5 to 1


@dataclass(frozen=True, slots=True)
class Letter:
    """A message; it is persistent and mandatory, and published with a confirm."""

    queue: str
    body: bytes
    message_id: str
    headers: Mapping[str, str | int]
    type: str | None = None
    priority: int | None = None


def letter(order: Order, *, now: datetime) -> Letter:
    """Return the message that says what an order says; the order's pool is the queue's name.

    Raises:
        BadOrderError: it is to run later than any broker keeps it.
        NotOverAmqpError: for a key, which only the supervisor's HTTP API knows.
    """
    if order.deduplicate is not None:
        message = "unique: a key needs the HTTP API; over AMQP give equal orders the same id"
        raise NotOverAmqpError(message)
    return Letter(
        queue=order.pool,
        body=msgspec.json.encode(order.data),
        message_id=order.id,
        headers=_headers(order, now),
        type=order.name or None,
        priority=_property(order.priority),
    )


def _headers(order: Order, now: datetime) -> dict[str, str | int]:
    headers: dict[str, str | int] = {}
    if order.priority != "normal":
        headers["x-job-priority"] = order.priority
    if order.max_attempts is not None:
        headers["x-job-max-attempts"] = order.max_attempts
    delay = order.delay if order.run_at is None else (order.run_at - now).total_seconds()
    if delay > _LONGEST_DELAY:
        said = "delay" if order.run_at is None else "run_at"
        message = f"{said}: over AMQP a job waits for 48 days at most; over HTTP for ten years"
        raise BadOrderError(message)
    if delay > 0:
        headers["x-delay"] = round(delay * 1000)
    return headers


def _property(priority: str | int) -> int | None:
    """Return the property for queues whose owner made them sort by it; the header wins with us."""
    is_word = isinstance(priority, str) and priority in _LEVELS and priority != "normal"
    return 5 - _LEVELS.index(str(priority)) if is_word else None
