"""The terminal: colours where there is one, plain text in pipes, and words for numbers."""

import shutil
import sys
from datetime import datetime

import click
import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

_PIPE_WIDTH = 160  # columns; a file has none, and tables should not be cut to 80


class _Screen(Console):
    def on_broken_pipe(self) -> None:  # type: ignore[explicit-override]  # new in Python 3.12
        """Leave it to the command how it ends when nobody reads any more."""
        raise BrokenPipeError


def screen() -> Console:
    """Return the console of this call."""
    if sys.stdout.isatty():
        return _Screen(highlight=False)
    width = max(_PIPE_WIDTH, shutil.get_terminal_size().columns)
    return _Screen(highlight=False, color_system=None, width=width)


def show(picture: RenderableType) -> None:
    """Draw on the terminal; in pipes without the spaces that tables end their lines with."""
    console = screen()
    if console.is_terminal:
        console.print(picture)
        return
    with console.capture() as captured:
        console.print(picture)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def table(*columns: str) -> Table:
    """Return an empty table in our style; its columns are cut rather than wrapped."""
    made = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for name in columns:
        made.add_column(name, no_wrap=True, overflow="ellipsis")
    return made


def print_json(data: object) -> None:
    """Print data as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def size(count: float) -> str:
    """Return bytes in few characters: ``184 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{round(count, 0 if count >= 10 else 1):g} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def span(seconds: float) -> str:
    """Return a duration in few characters: ``2h 3m``."""
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.0f}ms" if seconds >= 0.001 else "1ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f}s"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    units = ((days, "d"), (hour, "h"), (minute, "m"), (second, "s"))
    told = [f"{count}{unit}" for count, unit in units if count][:2]
    return " ".join(told) or "0s"


def cut(text: str, longest: int) -> str:
    """Return the text, cut if it is too long; then it says how long it was."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… (the first {longest:,} of {len(text):,} characters)"


def short_moment(when: datetime | None) -> str:
    """Return a moment in few characters: ``11-22 10:00``."""
    return "" if when is None else when.astimezone().strftime("%m-%d %H:%M")


def moment(when: datetime | None) -> str:
    """Return a moment in the reader's own time zone."""
    return "" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S")
