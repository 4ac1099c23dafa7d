"""Logging: one line an event, on stderr, the same shape for our lines and those of libraries.

Colours on a terminal, JSON elsewhere; under journald no timestamps (it has its own) and a
``<N>`` priority before each line. Secrets are masked in every line, whoever wrote it.
"""

import json as jsonlib
import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from consumers.clock import SystemClock
from consumers.log_file import LogFile
from consumers.outlet import Outlet

Log = FilteringBoundLogger

LEVELS = ("debug", "info", "warning", "error", "critical")
MASK = "***"

# At each lost connection these print tracebacks about what our own session reports in one line.
CHATTERERS = ("aiormq", "aio_pika")

_SECRET_KEY = re.compile(
    r"passw(or)?d|secret|token|authorization|api_?key|cookie|credential", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"(//[^\s/@:]*):[^\s/]+@")
_URL_TOKEN = re.compile(
    r"([?&][\w.-]*(?:passw(?:or)?d|secret|token|auth|signature|api_?key)[\w.-]*=)[^&\s\"']+",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_LONGEST_LINE = 64_000  # characters that are kept of one
_LONGEST_VALUE = 4_000  # characters of a value in a line that is longer
_MOST_VALUES = 12  # of such a line
_DEEPEST = 6  # levels of nesting that are looked into; what is below is shown as text

_SYSLOG_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def configure(
    level: str = "info",
    *,
    json: bool | None = None,
    stream: TextIO | None = None,
    file: LogFile | None = None,
) -> None:
    """Set up all logging of this process; a later call replaces the earlier one.

    Args:
        level: the least level that is shown; libraries are shown from ``warning`` on.
        json: JSON lines or words for people; None decides by whether the stream is a terminal.
        stream: where the lines go, stderr unless a test says otherwise.
        file: where they are kept as JSON besides.

    Raises:
        ValueError: the level is none of ours.
    """
    if level not in LEVELS:
        message = f"logs.level: must be one of {', '.join(LEVELS)}, is {level!r}"
        raise ValueError(message)
    stream = stream or sys.stderr
    shared, rendered = _chains(stream, json=json)
    if file is not None:
        rendered = [*rendered[:-1], _Kept(file, rendered[-1])]
        file.failed, file.recovered = _say_lost, _say_found
    outlet = Outlet(stream, SystemClock())
    outlet.recovered = _say_taken
    structlog.configure(
        processors=[*shared, _add_name, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _Output(outlet, *names),
        cache_logger_on_first_use=False,  # loggers are made at import, before the configuration
    )
    _route_libraries(level, outlet, shared, rendered)


def get(name: str) -> Log:
    """Return the logger of a module, which may be asked for before ``configure``."""
    log: Log = structlog.get_logger(name)
    return log


def bind(**facts: object) -> None:
    """Add these facts to every later line of this process."""
    structlog.contextvars.bind_contextvars(**facts)


def mask(value: object, depth: int = 0) -> object:
    """Return a value as it may be shown: URL credentials and everything under a secret key gone."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {
            str(key): MASK if _is_secret(key, inner) else mask(inner, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        return [mask(inner, depth + 1) for inner in value]
    return _masked_text(str(value))


def _is_secret(key: object, value: object) -> bool:
    # Numbers are counts ("tokens": 3), an absent secret is worth knowing.
    return bool(_SECRET_KEY.search(str(key))) and value is not None and not isinstance(value, int)


def _masked_text(text: str) -> str:
    text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    text = _URL_TOKEN.sub(rf"\1{MASK}", text)
    return _AUTHORIZATION.sub(rf"\1 {MASK}", text)


class _Output:
    """Where our own lines end: the outlet, written to line by line."""

    def __init__(self, outlet: Outlet, name: str = "") -> None:
        self.name = name
        self._outlet = outlet

    def _write(self, line: str) -> None:
        self._outlet.write(f"{line}\n")

    debug = info = warning = error = critical = msg = _write


def _add_name(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    return {**event, "logger": logger.name} if logger.name else event


def _mask_event(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: MASK if _is_secret(key, value) else mask(value) for key, value in event.items()}


def _chains(stream: TextIO, *, json: bool | None) -> tuple[list[Processor], list[Processor]]:
    """Return what every line goes through, and how it is written at the end."""
    terminal, journal = stream.isatty(), _is_journal(stream)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
    ]
    if not journal:
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    rendered: list[Processor] = [structlog.processors.format_exc_info, _mask_event]
    if json or (json is None and not terminal):
        rendered.append(structlog.processors.JSONRenderer(serializer=_json))
    else:
        rendered.append(_console(colours=terminal))
    if journal:
        rendered = [*rendered[:-1], _Prefixed(rendered[-1])]
    return shared, rendered


def _console(*, colours: bool) -> Processor:
    # Exceptions are text by now, because that text has secrets to be masked too.
    return structlog.dev.ConsoleRenderer(
        colors=colours, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )


def _json(event: EventDict, **_: object) -> str:
    return jsonlib.dumps(event, ensure_ascii=False, default=str)


class _Kept:
    """A renderer whose lines are kept in a file as well, as JSON with their time."""

    def __init__(self, file: LogFile, renderer: Processor) -> None:
        self._file = file
        self._renderer = renderer
        self._is_json = isinstance(renderer, structlog.processors.JSONRenderer)
        self._stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> str:
        whole = event if "timestamp" in event else self._stamp(logger, name, {**event})
        line = _json(whole)
        self._file.write(line if len(line) <= _LONGEST_LINE else _json(shortened(whole)))
        return line if self._is_json else str(self._renderer(logger, name, event))


def shortened(event: EventDict) -> EventDict:
    """Return a line that is too long without most of its longest values."""
    return {key: _cut(event[key]) for key in list(event)[:_MOST_VALUES]}


def _cut(value: object) -> object:
    text = value if isinstance(value, str) else _json({"": value})[4:]
    if len(text) <= _LONGEST_VALUE:
        return value
    return f"{text[:_LONGEST_VALUE]}… (cut, of {len(text):,} characters)"


def _say_lost(path: Path, error: OSError) -> None:
    why = error.strerror or str(error)
    get(__name__).warning("lines are not kept, they are only here", file=str(path), why=why)


def _say_found(path: Path, lost: int) -> None:
    get(__name__).info("lines are kept again", file=str(path), missing=lost)


def _say_taken(lost: int) -> None:
    get(__name__).warning("lines are taken again, those in between are lost here", missing=lost)


class _Prefixed:
    """A renderer's lines with the syslog priority that journald reads from them."""

    def __init__(self, renderer: Processor) -> None:
        self._renderer = renderer

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> str:
        priority = _SYSLOG_PRIORITY.get(str(event.get("level")), 6)
        text = str(self._renderer(logger, name, event))
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines())


def _is_journal(stream: TextIO) -> bool:
    """Answer whether the stream itself goes to journald: JOURNAL_STREAM names device and inode."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


def _route_libraries(
    level: str, outlet: Outlet, shared: list[Processor], rendered: list[Processor]
) -> None:
    handler = logging.StreamHandler(outlet)
    handler.addFilter(_not_chatter)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    logging.captureWarnings(capture=True)


def _not_chatter(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] not in CHATTERERS
