"""What ``publish`` was asked for, turned into an order. Pure, but for reading stdin."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from consumers.errors import MalformedError
from consumers.jobs import Priority, priority_named
from consumers.topology import LONGEST_DELAY
from supervisor.config.values import between, duration
from supervisor.ports import Order

_delay: Callable[[str], float] = between(duration, 0.0, LONGEST_DELAY, unit=" s")


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
    job_id: str | None = None
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
        id=request.job_id or None,
        priority=_priority(request.priority),
        delay=_seconds(request.delay),
    )


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
    return _object(request.data or "")


def _object(text: str) -> dict[str, object]:
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


def _priority(text: str) -> Priority:
    try:
        return priority_named(text)
    except MalformedError as error:
        message = f"--priority: {str(error).partition(': ')[2]}"
        raise click.UsageError(message) from error


def _seconds(text: str) -> float:
    try:
        return _delay(text)
    except ValueError as error:
        message = f"--delay: {error}"
        raise click.UsageError(message) from error
