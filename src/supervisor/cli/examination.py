"""The doctor's round: ask everything, show each answer as it comes, end with a verdict."""

import os
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from supervisor.cli import checks, media_checks
from supervisor.cli.adopting import about_orphans
from supervisor.cli.checks import Answer, Level
from supervisor.cli.exits import ExitCode, finish
from supervisor.cli.options import config_path
from supervisor.cli.screen import print_json, screen
from supervisor.config.load import Configuration, read
from supervisor.config.mistakes import ConfigError

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def examine(*, as_json: bool) -> None:
    """Ask everything and say it; the exit code tells whether something must be put right."""
    console = screen()
    answers = []
    for answer in _answers():
        answers.append(answer)
        if not as_json:
            say(console, answer)
    if as_json:
        print_json(answers)
    failures = sum(answer.level is Level.FAIL for answer in answers)
    if not as_json:
        warnings = sum(answer.level is Level.WARN for answer in answers)
        _conclude(console, failures, warnings)
    finish(ExitCode.FAILED if failures else ExitCode.DONE)


def _answers() -> Iterator[Answer]:
    yield checks.about_python()
    configuration: Configuration | None = None
    try:
        configuration = read(config_path(), os.environ)
        yield Answer(Level.OK, "configuration", configuration.file)
    except ConfigError as error:
        for mistake in error.mistakes:
            yield Answer(Level.FAIL, "configuration", mistake.sentence())
    if configuration is not None:
        yield from checks.about_folders(configuration.settings)
        yield from checks.about_ledger(configuration.settings)
        yield from checks.about_broker(configuration.settings)
        yield from about_orphans(configuration.settings)
        yield from checks.about_supervisor(configuration.settings)
        yield from media_checks.about_roots(configuration.settings)
        yield from media_checks.about_quota(configuration.settings)
    yield from checks.about_ffmpeg()
    yield from media_checks.about_tools()
    yield checks.about_ytdlp()
    yield checks.about_javascript()
    if configuration is not None:
        yield from checks.about_processors(configuration)


def say(console: Console, answer: Answer) -> None:
    """Print an answer; on a terminal its words stay in their column when a line is too short."""
    head = Text(f"{answer.level.value:>4}  ", _COLOURS[answer.level])
    rows = [(head.append(f"{answer.what:<14}", "bold"), Text(answer.found))]
    if answer.remedy:
        rows.append((Text(" " * len(head)), Text(f"-> {answer.remedy}", "yellow")))
    if not console.is_terminal:
        for row in rows:
            console.print(Text.assemble(*row), soft_wrap=True)
        return
    lines = Table.grid()
    lines.add_column(no_wrap=True)
    lines.add_column()
    for row in rows:
        lines.add_row(*row)
    console.print(lines)


def _conclude(console: Console, failures: int, warnings: int) -> None:
    if failures:
        things = "one thing needs" if failures == 1 else f"{failures} things need"
        console.print(Text(f"\n{things} to be put right", "bold red"))
    elif warnings:
        count = "one warning" if warnings == 1 else f"{warnings} warnings"
        console.print(Text(f"\nnothing is missing; see {count} above", "bold yellow"))
    else:
        console.print(Text("\neverything needed is here", "bold green"))
