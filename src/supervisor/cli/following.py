"""Following events: one line each, in colours that say whether somebody should look."""

import sys
from collections.abc import Mapping

import click
import msgspec
from rich.text import Text

from supervisor import news
from supervisor.cli.asking import supervisor
from supervisor.cli.exits import quiet_when_nobody_reads
from supervisor.cli.screen import cut, screen, span
from supervisor.desks.events import Wanted
from supervisor.ports import Event

_LONGEST = 300  # characters of what an event says
_COLOURS = {
    "completed": "green",
    "failed": "red",
    "stalled": "red",
    "retrying": "yellow",
    "worker.crashed": "red",
    "worker.failed": "red",
    "worker.error": "red",
    "worker.restarting": "yellow",
    "pool.held": "yellow",
}


def follow(wanted: Wanted, count: int | None, *, as_json: bool) -> None:
    """Print events until there are no more, or so many are printed."""
    printed = 0
    console = screen()
    with quiet_when_nobody_reads(), supervisor() as client:
        for event in client.events(wanted, missed=_say_missed):
            if as_json:
                click.echo(news.written(event))
            else:
                console.print(words(event), soft_wrap=True)
            sys.stdout.flush()
            printed += 1
            if printed == count:
                return


def words(event: Event) -> Text:
    """Return an event as a line: when, what, of whom, and what it says."""
    line = Text()
    line.append(event.at.astimezone().strftime("%H:%M:%S.%f")[:-3], "dim")
    line.append(f"  {event.name:<17}", _COLOURS.get(event.name, ""))
    about = (event.queue, event.id, f"({event.worker})" if event.worker else "")
    line.append(f" {' '.join(filter(None, about))}")
    said = ", ".join(f"{name}: {_said(name, value)}" for name, value in _worth(event.data).items())
    line.append(f"  {cut(said, _LONGEST)}" if said else "", "dim")
    return line


def _worth(data: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in data.items() if value not in ("", None)}


def _said(name: str, value: object) -> str:
    if name in {"duration", "delay", "restart_in"} and isinstance(value, int | float):
        return span(value)
    said = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return "".join(each if each.isprintable() else " " for each in said)


def _say_missed(count: int | None) -> None:
    lost = "some events are" if count is None else f"{count} events are"
    click.echo(f"{lost} lost: they came faster than they were shown", err=True)
