"""Lines of logs as people read them: when, how bad, who, what; the rest besides."""

import zlib
from collections.abc import Mapping
from datetime import date, datetime

import msgspec
from rich.text import Text

from supervisor.cli.screen import cut, screen

_LONGEST = 300  # characters of one value
_WIDEST = 24  # columns for names, which are not known all at first
_COLOURS = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "bold red"}
_PROCESS_COLOURS = ("cyan", "magenta", "blue", "green", "bright_cyan", "bright_magenta")
_SHOWN_BEFORE = frozenset({"timestamp", "level", "process", "event", "logger"})


class LogScreen:
    """A terminal, or a pipe, that lines are shown on; columns widen as names come."""

    def __init__(self) -> None:
        self._console = screen()
        self._width = len("supervisor")
        self._day: date | None = None

    def show(self, said: Mapping[str, object]) -> None:
        """Show one line."""
        self._width = min(_WIDEST, max(self._width, len(str(said.get("process", "")))))
        moment = _moment(said)
        if moment is not None and moment.date() != self._day:
            self._day = moment.date()
            self._console.print(Text(f"--- {self._day:%Y-%m-%d} ---", "dim"), soft_wrap=True)
        self._console.print(words(said, self._width), soft_wrap=True)


def words(said: Mapping[str, object], width: int) -> Text:
    """Return a line in words; texts of several lines follow below it."""
    level, process = str(said.get("level", "")), str(said.get("process", ""))
    text = Text()
    moment = _moment(said)
    text.append(f"{moment:%H:%M:%S.%f}"[:-3] if moment else "-" * len("00:00:00.000"), "dim")
    text.append(f" {level:<8}", _COLOURS.get(level, ""))
    text.append(f" {process:<{width}}", _process_colour(process))
    text.append(f"  {_clean(str(said.get('event', '')))}", _COLOURS.get(level, "bold"))
    below = dict[str, str]()
    for name, value in _besides(said, process).items():
        if isinstance(value, str) and "\n" in value:
            below[name] = value
        else:
            text.append(f"  {_clean(name)}=", "dim")
            text.append(_shown(value))
    for name, value in below.items():
        text.append(f"\n    {_clean(name)}:", "dim")
        text.append("".join(f"\n      {_clean(line)}" for line in value.splitlines()))
    return text


def _besides(said: Mapping[str, object], process: str) -> Mapping[str, object]:
    """Return what a line says besides: not who wrote it a second time, and nothing empty."""
    return {
        name: value
        for name, value in said.items()
        if name not in _SHOWN_BEFORE
        and value not in ("", None, [], {})
        and (name, value) != ("worker", process)
    }


def _moment(said: Mapping[str, object]) -> datetime | None:
    """Return when a line was written, in the zone of whoever reads it; None: it does not say."""
    try:
        return datetime.fromisoformat(str(said.get("timestamp"))).astimezone()
    except (ValueError, OverflowError):
        return None


def _process_colour(process: str) -> str:
    if process == "supervisor":
        return "bold"
    return _PROCESS_COLOURS[zlib.crc32(process.encode()) % len(_PROCESS_COLOURS)]


def _shown(value: object) -> str:
    if isinstance(value, str) and value and not any(each.isspace() for each in value):
        return cut(_clean(value), _LONGEST)
    return cut(_clean(msgspec.json.encode(value).decode()), _LONGEST)


def _clean(text: str) -> str:
    """Return text that does nothing to a terminal but be seen."""
    return "".join(each if each.isprintable() else " " for each in text)
