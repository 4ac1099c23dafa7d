"""What somebody ordered, checked and turned into a job. Pure but for the ids of those without."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from consumers import jobs
from consumers.chains import THEN
from consumers.errors import MalformedError
from consumers.jobs import Priority, Properties, priority_named
from supervisor.core.bounds import LONGEST_ID, LONGEST_TTL, MOST_ATTEMPTS
from supervisor.core.chains import check
from supervisor.core.delays import Timing, timing
from supervisor.core.records import NewJob, PoolCard
from supervisor.ports import BadOrderError, Deduplicate, Order


@dataclass(frozen=True, slots=True)
class Door:
    """Who orders, as jobs remember it, and how large a body may be."""

    origin: str
    body_limit: int
    pools: Mapping[str, PoolCard]  # that may have what follows it


def job_of(order: Order, pool: PoolCard, door: Door, *, now: datetime) -> NewJob:
    """Return the job that an order is. Raises BadOrderError."""
    _check(order)
    body, when = msgspec.json.encode(data_of(order)), _timed(order, now)
    try:
        priority = priority_named(order.priority, pool.scale)
        envelope = jobs.read(body, Properties(), limit=door.body_limit)
        check(envelope.data, door.pools)
    except MalformedError as error:
        raise BadOrderError(as_ordered(error, is_apart=order.then is not None)) from error
    name = order.name or jobs.type_of(order.data)
    job_id = _checked_id(order.id) if order.id is not None else uuid.uuid4().hex
    return NewJob(
        id=job_id,
        pool=pool.name,
        queue=pool.queues.public,
        body=body,
        properties=_properties(job_id, priority, name, now),
        priority=priority,
        sender=envelope.sender,
        noreply=envelope.noreply,
        delay=when.delay,
        post_at=when.post_at,
        name=name,
        max_attempts=order.max_attempts,
        origin=door.origin,
    )


def _properties(job_id: str, priority: Priority, name: str, now: datetime) -> Properties:
    return Properties(
        message_id=job_id,
        content_type="application/json",
        priority=priority.amqp,
        type=name or None,
        timestamp=now,
    )


def _check(order: Order) -> None:
    if order.max_attempts is not None and not 1 <= order.max_attempts <= MOST_ATTEMPTS:
        why = f"maxAttempts: must be 1 to {MOST_ATTEMPTS:,}, is {order.max_attempts}"
        raise BadOrderError(why)
    if len(order.name.encode(errors="replace")) > jobs.LONGEST_TYPE:
        why = f"name: must be {jobs.LONGEST_TYPE} bytes or shorter, is {order.name[:40]!r}"
        raise BadOrderError(why)
    if jobs.NUL in order.name:
        message = f"name: {jobs.NO_NUL}"
        raise BadOrderError(message)
    _check_key(order.deduplicate)


def _check_key(wish: Deduplicate | None) -> None:
    if wish is None:
        return
    if jobs.NUL in wish.key:
        why = f"deduplicate.key: {jobs.NO_NUL}"
        raise BadOrderError(why)
    if not 0 < len(wish.key.encode(errors="replace")) <= LONGEST_ID:
        why = f"deduplicate.key: must be 1 to {LONGEST_ID} bytes long, is {wish.key[:40]!r}"
        raise BadOrderError(why)
    if wish.ttl is not None and not 0 < wish.ttl <= LONGEST_TTL:
        why = f"deduplicate.ttl: must be over 0 to {LONGEST_TTL:,} seconds, is {wish.ttl:g}"
        raise BadOrderError(why)


def _checked_id(job_id: str) -> str:
    is_short = 0 < len(job_id.encode(errors="replace")) <= LONGEST_ID
    if not is_short or not job_id.isprintable():
        why = f"id: must be 1 to {LONGEST_ID} bytes of printable text, is {job_id[:40]!r}"
        raise BadOrderError(why)
    if job_id in {".", ".."}:
        why = f"id: {job_id!r} is a folder in any address, the job could not be asked for"
        raise BadOrderError(why)
    return job_id


def _timed(order: Order, now: datetime) -> Timing:
    try:
        return timing(order.delay, order.run_at, now=now)
    except ValueError as error:
        raise BadOrderError(str(error)) from error


def data_of(order: Order) -> Mapping[str, object]:
    """Return the body that an order asks for. Raises BadOrderError."""
    if order.then is None:
        return order.data
    if order.data.get(THEN) is not None:
        message = "then: is said in data too; say it once"
        raise BadOrderError(message)
    return {**order.data, THEN: order.then}


def as_ordered(error: MalformedError, *, is_apart: bool = False) -> str:
    """Return what is wrong with a message in the words of an order's fields.

    ``is_apart``: what is to follow was said beside the data, not in it.
    """
    if is_apart and re.match(rf"{THEN}\b", error.field):
        return error.message
    said = {jobs.PRIORITY: "priority", "body": "data"}.get(error.field, f"data.{error.field}")
    return said + error.message.removeprefix(error.field)
