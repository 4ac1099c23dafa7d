"""What is known of the run before this one: whether it ended in order, and if not, when it ended.

While a supervisor runs there is a file in its state folder that only an orderly end takes away. It
is written once the ledger is ours, so that a second supervisor that is refused changes nothing.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from consumers import logs
from consumers.clock import Clock
from supervisor.core.log_lines import SUPERVISOR, Sought
from supervisor.log_files import LogFiles

NAME = "running.json"
STARTS = "supervisor starts"  # the line with which a run begins

_LOOKED_AT = 200  # lines, among them the few of our own

log = logs.get(__name__)


class _Mark(msgspec.Struct):
    pid: int
    began: str
    why: str = ""  # it could not end in order


@contextlib.contextmanager
def marked(state: Path, lines: Path, clock: Clock) -> Iterator[None]:
    """Say how the run before ended if it broke off; then be known as the one that runs.

    Args:
        state: the state folder.
        lines: the folder with the lines of logs.
        clock: says since when.
    """
    file = state / NAME
    _tell(_read(file), lines)
    _write(file, _Mark(os.getpid(), clock.utcnow().isoformat()))
    try:
        yield
    finally:
        mark = _read(file)
        if mark is not None and not mark.why:
            with contextlib.suppress(OSError):
                file.unlink()


def disown(state: Path, why: str) -> None:
    """Have the next run told that this one did not end in order, though it comes to an end."""
    mark = _read(state / NAME)
    if mark is not None:
        mark.why = why
        _write(state / NAME, mark)


def _tell(mark: _Mark | None, lines: Path) -> None:
    if mark is None:
        return
    facts = {"pid": mark.pid, "began": mark.began, "last_line": _last_line(lines), "why": mark.why}
    known = {name: fact for name, fact in facts.items() if fact}
    log.warning("the run before did not end in order", **known)


def _last_line(folder: Path) -> str:
    """Return when the run before wrote its last line: the one before the line we began with."""
    try:
        found = LogFiles(folder).last(Sought(frozenset({SUPERVISOR})), _LOOKED_AT).lines
    except OSError:
        return ""
    ours = [place for place, line in enumerate(found) if line.said.get("event") == STARTS]
    before = found[: ours[-1]] if ours else []
    return str(before[-1].said.get("timestamp", "")) if before else ""


def _read(file: Path) -> _Mark | None:
    """Return what a run left; of a file that is half written, that there was one."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Mark)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Mark(0, "")
    except OSError:
        return None


def _write(file: Path, mark: _Mark) -> None:
    """Leave the mark; a disk that does not take it costs a warning at the next start, no more."""
    with contextlib.suppress(OSError):
        file.write_bytes(msgspec.json.encode(mark))
