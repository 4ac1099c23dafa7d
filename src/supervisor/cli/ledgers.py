"""What the ``ledger`` verbs do, and how they say it."""

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from supervisor.cli.configured import settings
from supervisor.cli.exits import Complaint, ExitCode
from supervisor.cli.screen import print_json
from supervisor.config import values
from supervisor.ledger import copying, survey
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.survey import LedgerView

T = TypeVar("T")


def show(url: str | None, *, as_json: bool) -> None:
    """Print what a ledger is; that of the configuration without ``url``."""
    wanted = settings().ledger if url is None else _checked(url)
    view = _told(lambda: survey.look(wanted))
    if as_json:
        print_json(view)
    else:
        click.echo(described(view))


def copy_all(source: str, target: str, *, as_json: bool) -> None:
    """Copy a ledger, saying how far it is."""
    say = _progress if sys.stderr.isatty() else _silence
    copied = _told(lambda: copying.copy(_checked(source), _checked(target), say))
    if as_json:
        print_json(copied)
        return
    for name, number in copied.items():
        if number:
            click.echo(f"{name:20} {number:>12,}")
    click.echo("Copied and counted. Write the new URL into ledger: and start the supervisor.")


def _checked(url: str) -> str:
    try:
        return values.ledger(url)
    except ValueError as error:
        message = f"the ledger {error}"
        raise Complaint(message, ExitCode.USAGE) from error


def _told(work: Callable[[], T]) -> T:
    try:
        return work()
    except LedgerError as error:
        raise Complaint(str(error)) from error


def _progress(table: str, done: int, total: int) -> None:
    click.echo(f"\r{table}: {done:,} of {total:,}  ", err=True, nl=done >= total)


def _silence(_table: str, _done: int, _total: int) -> None:
    """Say nothing: nobody looks."""


def described(view: LedgerView) -> str:
    """Return a ledger in lines: what it is, and how many jobs of each queue are in which state."""
    age = "" if view.version == view.newest else f", this program's is {view.newest}"
    lines = [
        f"{view.name}",
        f"  database      {view.database}",
        f"  version       {view.version or 'empty'}{age}",
        f"  size          {view.size / 1e6:,.1f} MB",
        f"  held by       {view.coordinators} supervisor{'' if view.coordinators == 1 else 's'}",
    ]
    width = max(13, *map(len, view.jobs)) if view.jobs else 13
    for queue, states in sorted(view.jobs.items()):
        counts = ", ".join(f"{number:,} {state}" for state, number in sorted(states.items()))
        lines.append(f"  {queue:{width}} {counts}")
    return "\n".join(lines)
