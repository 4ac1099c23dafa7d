"""What ``publish`` was asked for, turned into an order. Pure, but for reading stdin."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click
import msgspec

from consumers.errors import MalformedError
from consumers.jobs import Priority, priority_named
from supervisor.cli.chaining import following_of
from supervisor.cli.typed import moment_in, seconds_in
from supervisor.config.values import between, duration
from supervisor.core.delays import FURTHEST
from supervisor.ports import Deduplicate, Mode, Order

_delay: Callable[[str], float] = between(duration, 0.0, FURTHEST, unit=" s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of ``publish`` as they were typed."""

    pool: str
    link: str | None = None
    file: str | None = None
    data: str | None = None
    sender: str | None = None
    noreply: bool = False
    priority: str = "normal"
    delay: str = "0"
    at: str | None = None
    job_id: str | None = None
    name: str = ""
    max_attempts: int | None = None
    unique: str | None = None
    unique_for: str | None = None
    replace: bool = False
    then: tuple[str, ...] = ()
    wait: bool = False
    as_json: bool = False


def order_of(request: Request) -> Order:
    """Return the order a request stands for.

    Raises:
        UsageError: naming the option that is wrong.
    """
    return Order(
        pool=request.pool,
        data=_data(request) | _addressee(request),
        id=request.job_id,
        priority=_priority(request.priority),
        delay=seconds_of(request.delay, "--delay"),
        run_at=_moment(request),
        name=request.name,
        max_attempts=request.max_attempts,
        deduplicate=_deduplicate(request),
        then=following_of(request.then),
    )


def _deduplicate(request: Request) -> Deduplicate | None:
    if request.unique is None:
        if request.unique_for is not None or request.replace:
            raise click.UsageError("--unique-for and --replace say more about --unique KEY")
        return None
    ttl = None if request.unique_for is None else seconds_of(request.unique_for, "--unique-for")
    return Deduplicate(request.unique, ttl, Mode.REPLACE if request.replace else Mode.DROP)


def _data(request: Request) -> dict[str, object]:
    given = {"--link": request.link, "--file": request.file, "--data": request.data}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        said = f"{' and '.join(named)} were given" if named else "none was given"
        message = f"say what to do with exactly one of --link, --file and --data; {said}"
        raise click.UsageError(message)
    if request.link is not None:
        return {"link": request.link}
    if request.file is not None:
        return {"filePath": str(Path(request.file).expanduser().absolute())}
    return data_of(request.data or "")


def data_of(text: str) -> dict[str, object]:
    """Return the object that ``--data`` says; ``-`` reads it from stdin. Raises UsageError."""
    try:
        data = msgspec.json.decode(sys.stdin.read() if text == "-" else text)
    except (msgspec.DecodeError, UnicodeError) as error:
        message = f'--data: is not JSON: {error}; write it like --data \'{{"link": "..."}}\''
        raise click.UsageError(message) from error
    if not isinstance(data, dict):
        message = '--data: must be a JSON object, like \'{"link": "..."}\''
        raise click.UsageError(message)
    return data


def _addressee(request: Request) -> dict[str, object]:
    sender = {} if request.sender is None else {"from": request.sender}
    return sender | ({"noreply": True} if request.noreply else {})


def _priority(text: str) -> Priority | int:
    """Return the level that is named; what a number means, only its pool can say."""
    if text.removeprefix("-").isdecimal():
        return int(text)
    try:
        return priority_named(text)
    except MalformedError as error:
        message = f"--priority: {str(error).partition(': ')[2]}"
        raise click.UsageError(message) from error


def seconds_of(text: str, option: str) -> float:
    """Return the seconds that an option says. Raises UsageError."""
    return seconds_in(text, option, _delay)


def _moment(request: Request) -> datetime | None:
    if request.at is None:
        return None
    if seconds_of(request.delay, "--delay"):
        message = "say either --at or --delay, not both"
        raise click.UsageError(message)
    return moment_in(request.at, "--at")
