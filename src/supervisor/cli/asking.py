"""Asking the running supervisor, here or elsewhere: its answers, or its refusals as sentences."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from supervisor.cli.configured import settings
from supervisor.cli.exits import Complaint, ExitCode
from supervisor.cli.options import supervisor_url, token_file
from supervisor.client import Client, NoSupervisorError
from supervisor.lines import AddressError, AddressLine, Line, SocketLine
from supervisor.ports import BrokerAwayError, ControlError

_TOKEN = "SUPERVISOR_TOKEN"  # noqa: S105 - the name of a variable
_PRINTABLE = re.compile(r"[!-~]+")


@contextmanager
def supervisor() -> Iterator[Client]:
    """Yield the client of the supervisor this call means: of ``--url``, or of ``-c``."""
    with refusals_said(), Client(line()) as client:
        yield client


def line() -> Line:
    """Return the line to the supervisor this call means; with ``--url`` no file is read."""
    url = supervisor_url()
    if url is None:
        return SocketLine(settings().socket)
    try:
        return AddressLine(url, _token())
    except AddressError as error:
        message = f"--url: {error}"
        raise click.UsageError(message) from error


def _token() -> str:
    """Return the token for the address, or nothing: some supervisors want none on loopback."""
    named = token_file()
    if named is None and (given := os.environ.get(_TOKEN)):
        return _sound(given.strip(), _TOKEN)
    if named is None and (variable := os.environ.get(f"{_TOKEN}_FILE")):
        named = Path(variable)
    if named is None:
        return ""
    try:
        return _sound(named.read_text(encoding="ascii").strip(), str(named))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no plain text"
        message = f"the token in {named} cannot be read: {why}"
        raise Complaint(message) from error


def _sound(token: str, where: str) -> str:
    """Return a token that a header can carry; what is wrong with another is said without it."""
    if not _PRINTABLE.fullmatch(token):
        message = (
            f"the token in {where} is none: it must be one line of printable characters without "
            "spaces (nothing of it is shown)"
        )
        raise Complaint(message)
    return token


@contextmanager
def refusals_said() -> Iterator[None]:
    """Turn what a supervisor refuses, or that there is none, into a complaint."""
    try:
        yield
    except BrokerAwayError as error:
        raise Complaint(str(error), ExitCode.NO_BROKER) from error
    except (NoSupervisorError, ControlError) as error:
        raise Complaint(str(error)) from error
