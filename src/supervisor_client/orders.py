"""What a program asks for: a job, a schedule; as keywords in Python, as JSON on the wire."""

import difflib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import uuid4

import msgspec

from supervisor_client.errors import BadOrderError

LONGEST_ID = 200  # bytes

Data = Mapping[str, Any]
Span = float | timedelta  # seconds
Then = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]  # a pool, a step, or several


class Options(TypedDict, total=False):
    """How a job is wanted; what is not said is as its pool has it."""

    id: str  # also what makes two orders one job
    priority: str | int  # critical high normal low background, or a number its pool knows
    delay: Span  # before its first run
    run_at: datetime  # instead of a delay; aware
    name: str  # its type, where a pool has several
    max_attempts: int  # the first run included
    unique: str  # a key: one job for equal orders
    unique_for: Span  # how long the key is in force; else until its job is over
    replace: bool  # a job with that key that waits gets the new data
    then: Then  # what follows when it is completed; [] for nothing, whatever its pool says


class ScheduleOptions(TypedDict, total=False):
    """When a schedule runs, and how; one of ``cron`` and ``every`` must be there."""

    cron: str
    every: Span
    zone: str
    priority: str | int
    missed: str  # skip or catch_up
    at_most: int  # missed runs to catch up with


class Filter(TypedDict, total=False):
    """Which jobs are meant; what is not said does not matter."""

    pool: str
    state: str
    name: str  # its type
    sender: str  # the body's from
    since: datetime  # entered then or later; aware
    until: datetime  # entered before
    group: str  # of errors
    root: str  # the id of a job of whose chain they are
    parent: str  # the id of the job that they follow
    sort: str  # newest, or oldest first
    limit: int  # how many are asked for at a time, up to 1000


class RetryOptions(TypedDict, total=False):
    """Which failed jobs run again, and how fast."""

    older: Span  # that failed longer ago
    newer: Span  # that failed since
    limit: int
    rate: float  # jobs a second; else all at once
    group: str  # of errors


class Deduplicate(msgspec.Struct, frozen=True, omit_defaults=True):
    """One job for a key."""

    key: str
    ttl: float | None = None
    mode: str = "drop"


class Order(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A job as it is handed in over HTTP. It always has an id: so it may be handed in again."""

    pool: str
    data: Data
    id: str
    priority: str | int = "normal"
    delay: float = 0.0
    run_at: datetime | None = None
    name: str = ""
    max_attempts: int | None = None
    deduplicate: Deduplicate | None = None


def order(pool: str, data: Data, wanted: Options) -> Order:
    """Return the order that the keywords mean; one that is None is not said.

    Raises:
        BadOrderError: they contradict each other, or the data is no object that JSON can hold.
        TypeError: there is no such keyword.
    """
    known("publish", wanted, Options)
    said: Any = {name: value for name, value in wanted.items() if value is not None}
    return _order(pool, data, said)


def _order(pool: str, data: Data, wanted: Options) -> Order:
    _check_data(data)
    whole = _followed(data, wanted)
    if whole is not data:
        _check_data(whole)
    _check(pool, wanted)
    return Order(
        pool=pool,
        data=whole,
        id=wanted.get("id") or uuid4().hex,
        priority=wanted.get("priority", "normal"),
        delay=seconds(wanted.get("delay", 0.0), "delay"),
        run_at=wanted.get("run_at"),
        name=wanted.get("name", ""),
        max_attempts=wanted.get("max_attempts"),
        deduplicate=_deduplicate(wanted),
    )


def schedule(pool: str, data: Data, wanted: ScheduleOptions) -> Mapping[str, Any]:
    """Return the body that makes a schedule so; a keyword that is None is not said.

    Raises:
        BadOrderError: the data is no object that JSON can hold, or a span of time is none.
        TypeError: there is no such keyword.
    """
    known("set", wanted, ScheduleOptions)
    _check_data(data)
    told = {name: value for name, value in wanted.items() if value is not None}
    said: dict[str, Any] = {"pool": pool, "data": data, **told}
    if "every" in said:
        said["every"] = seconds(said["every"], "every")
    if "at_most" in said:
        said["atMost"] = said.pop("at_most")
    return said


def query(wanted: Filter) -> dict[str, Any]:
    """Return a filter as the parameters of an address. Raises TypeError for an unknown keyword."""
    known("jobs", wanted, Filter)
    named = {("from" if key == "sender" else key): value for key, value in wanted.items()}
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in named.items()
    }


def known(call: str, wanted: Mapping[str, Any], kind: type) -> None:
    """Find fault with keywords that a call does not have, as Python does with those of others.

    Raises:
        TypeError: naming the first of them and the nearest that there is.
    """
    names = tuple(kind.__annotations__)
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name.lower(), names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            message = f"{call}() has no keyword {name!r}; {hint}"
            raise TypeError(message)


def seconds(span: Span, name: str) -> float:
    """Return a span of time in seconds. Raises BadOrderError, by its name, for what is none."""
    try:
        found = span.total_seconds() if isinstance(span, timedelta) else float(span)
    except (TypeError, ValueError):
        found = math.nan
    if math.isnan(found):
        message = f"{name}: must be seconds or a timedelta, is {span!r:.80}"
        raise BadOrderError(message)
    return found


def _followed(data: Data, wanted: Options) -> Data:
    """Return the data with what is to follow: so it goes the same way over HTTP and AMQP."""
    if "then" not in wanted:
        return data
    if data.get("then") is not None:
        message = "then: is said in data too; say it once"
        raise BadOrderError(message)
    then: Any = wanted["then"]
    if then is not None and not isinstance(then, str | Mapping | list | tuple):
        message = f"then: must be a pool, a step, or a list of them, is {type(then).__name__}"
        raise BadOrderError(message)
    return {**data, "then": then}


def _check_data(data: object) -> None:
    if not isinstance(data, Mapping):
        message = f"data: must be an object (a dict), is {type(data).__name__}"
        raise BadOrderError(message)
    try:
        msgspec.json.encode(data)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"data: cannot be written as JSON: {error}"
        raise BadOrderError(message) from error


def _check(pool: object, wanted: Options) -> None:
    """Find what would be another job over AMQP, where nobody answers what is wrong."""
    if not isinstance(pool, str):
        message = f"pool: must be a name, is {pool!r:.80}"
        raise BadOrderError(message)
    if "id" in wanted and not _is_id(job_id := wanted["id"]):
        message = f"id: must be 1 to {LONGEST_ID} bytes of printable text, is {job_id!r:.80}"
        raise BadOrderError(message)
    if not 0 <= seconds(wanted.get("delay", 0.0), "delay") < math.inf:
        message = f"delay: must be 0 seconds or more, is {wanted['delay']}"
        raise BadOrderError(message)
    _check_moment(wanted)
    if "unique" not in wanted and ("unique_for" in wanted or "replace" in wanted):
        message = "unique: unique_for and replace are about a key, name it"
        raise BadOrderError(message)


def _is_id(job_id: object) -> bool:
    """Answer whether a supervisor takes it for an id, and can be asked for it by its address."""
    if not isinstance(job_id, str) or not job_id.isprintable() or job_id in {"", ".", ".."}:
        return False
    return len(job_id.encode()) <= LONGEST_ID


def _check_moment(wanted: Options) -> None:
    run_at: object = wanted.get("run_at")
    if run_at is None:
        return
    if "delay" in wanted:
        message = "delay, run_at: say one of them"
        raise BadOrderError(message)
    if not isinstance(run_at, datetime):
        message = f"run_at: must be a datetime, is {run_at!r:.80}"
        raise BadOrderError(message)
    if run_at.tzinfo is None:
        message = "run_at: must say its time zone, like datetime(2026, 12, 24, 18, tzinfo=UTC)"
        raise BadOrderError(message)


def _deduplicate(wanted: Options) -> Deduplicate | None:
    if "unique" not in wanted:
        return None
    span = wanted.get("unique_for")
    ttl = None if span is None else seconds(span, "unique_for")
    mode = "replace" if wanted.get("replace") else "drop"
    return Deduplicate(wanted["unique"], ttl, mode)
