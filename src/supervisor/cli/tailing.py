"""Finding the lines of logs and following them: in the files here, or at an address."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import click
import msgspec

from supervisor.cli.asking import supervisor
from supervisor.cli.configured import settings
from supervisor.cli.exits import Complaint, quiet_when_nobody_reads
from supervisor.cli.log_words import LogScreen
from supervisor.cli.options import supervisor_url
from supervisor.cli.typed import past_moment_in
from supervisor.client import Client, NoSupervisorError, TooOftenError
from supervisor.config.mistakes import did_you_mean
from supervisor.config.settings import Settings
from supervisor.core.log_lines import SUPERVISOR, Positions, Sought, unknown_process, written
from supervisor.desks.logs import FEW_LINES, MOST_LINES, LogPage
from supervisor.log_files import Found, LogFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    follow: bool
    level: str
    job: str
    since: str | None


@dataclass(frozen=True, slots=True)
class Asked(_Wishes):
    """The arguments and options of ``logs`` as they were typed."""

    names: frozenset[str]
    most: int | None


class Source(Protocol):
    """Where lines come from; ``pause`` is how long to wait between two looks, in seconds."""

    pause: float

    def last(self, most: int) -> LogPage:
        """Return the last lines."""

    def news(self) -> LogPage:
        """Return the lines since."""


def tail(asked: Asked, *, as_json: bool) -> None:
    """Show the last lines, and go on if that is asked for."""
    wanted = Sought(asked.names, asked.level, asked.job, past_moment_in(asked.since, "--since"))
    most = asked.most
    if most is None:
        most = FEW_LINES if wanted.since is None else MOST_LINES
    screen = None if as_json else LogScreen()
    with quiet_when_nobody_reads(), _source(wanted) as source:
        page = source.last(most)
        _show(page, screen)
        if page.more and asked.most is None and wanted.since is not None:
            click.echo(f"there are more: these are the last {len(page.lines):,}", err=True)
        if not page.lines and not asked.follow:
            click.echo("no such lines", err=True)
        while asked.follow:
            time.sleep(0 if page.more and page.lines else source.pause)
            page = source.news()
            _show(page, screen)


def workers_of(found: Settings) -> tuple[str, ...]:
    """Return the workers that are configured."""
    return tuple(
        f"{pool.name}-{number + 1}"
        for pool in found.workers.values()
        for number in range(pool.instances)
    )


def _show(page: LogPage, screen: LogScreen | None) -> None:
    if page.gap:
        click.echo("some lines are lost: they came faster than they were shown", err=True)
    for said in page.lines:
        if screen is None:
            click.echo(msgspec.json.encode(said))
        else:
            screen.show(said)
    sys.stdout.flush()


@contextmanager
def _source(wanted: Sought) -> Iterator[Source]:
    if supervisor_url() is None:
        yield _Files(wanted, settings())
        return
    with supervisor() as client:
        yield _Address(wanted, client)


class _Files:
    """The files of a supervisor on this machine; whether it runs does not matter."""

    pause = 0.25

    def __init__(self, wanted: Sought, found: Settings) -> None:
        self._wanted = wanted
        self._settings = found
        self._files = LogFiles(found.log_folder)
        self._positions: Positions = {}

    def last(self, most: int) -> LogPage:
        with self._readable():
            self._check()
            return self._page(self._files.last(self._wanted, most))

    def news(self) -> LogPage:
        with self._readable():
            return self._page(self._files.since(self._positions, self._wanted))

    def _page(self, found: Found) -> LogPage:
        self._positions = found.positions
        lines = tuple(line.said for line in found.lines)
        return LogPage(lines, written(found.positions), found.is_cut, found.has_gap)

    def _check(self) -> None:
        """Raise what keeps lines from being there at all, or a name that nobody has."""
        kept, folder = self._files.processes(), self._files.folder
        known = tuple(dict.fromkeys([SUPERVISOR, *workers_of(self._settings), *kept]))
        if why := unknown_process(self._wanted.names, (*known, *self._settings.workers)):
            raise Complaint(_with_a_guess(why, self._wanted, known))
        if not kept and not self._settings.logs.keep:
            message = "no logs are kept: logs.keep is 0 in the configuration"
            raise Complaint(message)
        if not kept:
            message = f"nothing is in {folder}: no supervisor has run with this state folder yet"
            raise Complaint(message)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            message = f"the logs in {self._files.folder} cannot be read: {error.strerror}"
            raise Complaint(message) from error


class _Address:
    """A supervisor that is asked over HTTP."""

    pause = 1.0

    def __init__(self, wanted: Sought, client: Client) -> None:
        self._client = client
        self._next = ""
        self._query: dict[str, object] = {
            "worker": sorted(wanted.names),
            "level": wanted.level,
            "job": wanted.job or None,
            "since": None if wanted.since is None else wanted.since.isoformat(),
        }

    def last(self, most: int) -> LogPage:
        return self._ask({"limit": most})

    def news(self) -> LogPage:
        """Return the lines since, also those of a supervisor that went and came back meanwhile."""
        is_said = False
        while True:
            try:
                return self._ask({"after": self._next})
            except TooOftenError as error:
                time.sleep(error.seconds)
            except NoSupervisorError as error:
                if not is_said:
                    click.echo(f"waiting for the supervisor: {error}", err=True)
                is_said = True
                time.sleep(self.pause)

    def _ask(self, besides: dict[str, object]) -> LogPage:
        page = self._client.ask("GET", "/api/logs", LogPage, query=self._query | besides)
        self._next = page.next
        return page


def _with_a_guess(why: str, wanted: Sought, known: tuple[str, ...]) -> str:
    missing = next((name for name in sorted(wanted.names) if name not in known), "")
    guess = did_you_mean(missing, known)
    return why if guess.startswith("allowed") else f"{why}; {guess}"
