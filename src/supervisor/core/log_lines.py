"""Lines of logs: read, chosen, and put into the order of time over several processes. Pure.

A file's own order is never changed, also where a clock was put back: no line counts as written
before the one it follows.
"""

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

import msgspec

SUPERVISOR = "supervisor"  # the process that is no worker
LEVELS = ("debug", "info", "warning", "error", "critical")
NO_LINE = "warning"  # the level of what is no line of ours: somebody should look

_POSITION = re.compile(r"([\w-]{1,80})\.([0-9a-f]{8})\.(\d{1,15})")
_PLAIN = re.compile(r"[\w.-]+", re.ASCII)  # what JSON has as it is
_LONGEST_TEXT = 4_000  # characters that are shown of what is no line of ours

Said = dict[str, object]


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``moment`` orders it among those of other files."""

    moment: float
    said: Said


@dataclass(frozen=True, slots=True)
class Sought:
    """Which lines are wanted; what is empty or None does not matter."""

    names: frozenset[str] = frozenset()  # of workers and pools, or SUPERVISOR
    level: str = LEVELS[0]  # at least
    job: str = ""
    since: datetime | None = None
    _levels: tuple[bytes, ...] = field(init=False)
    _lesser: tuple[bytes, ...] = field(init=False)
    _needle: bytes = field(init=False)

    def __post_init__(self) -> None:
        words = tuple(f'"{each}"'.encode() for each in LEVELS)
        least = LEVELS.index(self.level)
        object.__setattr__(self, "_levels", words[least:])
        object.__setattr__(self, "_lesser", words[:least])
        needle = self.job.encode() if _PLAIN.fullmatch(self.job) else b""
        object.__setattr__(self, "_needle", needle)

    def concerns(self, process: str) -> bool:
        """Answer whether the file of a process may hold such lines; the supervisor's always may."""
        return process == SUPERVISOR or self._names(process, process.rpartition("-")[0])

    @property
    def earliest(self) -> float:
        """From when on lines are wanted, as seconds."""
        return 0.0 if self.since is None else self.since.timestamp()

    def may_be(self, raw: bytes) -> bool:
        """Answer whether reading a line is worth it; most are not wanted, and reading costs."""
        if self._needle not in raw:
            return False
        is_lesser = any(level in raw for level in self._lesser)
        return not is_lesser or any(level in raw for level in self._levels)

    def fits(self, process: str, said: Said) -> bool:
        """Answer whether a line is wanted, its time apart."""
        if LEVELS.index(_level(said)) < LEVELS.index(self.level):
            return False
        if self.job and self.job not in _jobs(said):
            return False
        if process != SUPERVISOR:
            return self._names(process, process.rpartition("-")[0])
        worker = str(said.get("worker") or said.get("workerId") or "")
        return self._names(SUPERVISOR, worker, worker.rpartition("-")[0], str(said.get("pool", "")))

    def _names(self, *either: str) -> bool:
        return not self.names or not self.names.isdisjoint(filter(None, either))


@dataclass(frozen=True, slots=True)
class Position:
    """How far the lines of a process were read: in the file of this mark, up to this byte."""

    mark: str
    offset: int


Positions = Mapping[str, Position]


def read(raw: bytes) -> Said:
    """Return a line as it was said; what is no line of ours becomes the text of one."""
    try:
        return msgspec.json.decode(raw, type=Said)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = raw.decode(errors="replace").replace("\0", "")
        return {"event": text[:_LONGEST_TEXT], "level": NO_LINE}


def moment_of(said: Said) -> float | None:
    """Return when a line was written; None where it does not say."""
    try:
        return datetime.fromisoformat(str(said.get("timestamp"))).timestamp()
    except (ValueError, OverflowError):
        return None


def in_order(process: str, lines: Iterable[Said], wanted: Sought) -> list[Line]:
    """Return those lines of one file that are wanted, each no earlier than the one before it."""
    since, now, found = wanted.earliest, 0.0, list[Line]()
    for said in lines:
        own = moment_of(said)
        now = now if own is None else max(now, own)
        # By its own time: after a clock was put back, what is new is not what counts as late.
        if (now if own is None else own) >= since and wanted.fits(process, said):
            found.append(Line(now, {"process": process, **said}))
    return found


def merged(files: Iterable[Sequence[Line]]) -> list[Line]:
    """Return the lines of several files in the order of time."""
    return list(heapq.merge(*files, key=attrgetter("moment")))


def unknown_process(names: Iterable[str], known: Sequence[str]) -> str:
    """Return what is wrong with names: one that is no process', and no pool's; or nothing."""
    there = {*known, *(name.rpartition("-")[0] for name in known)}
    missing = sorted(name for name in names if name not in there)
    if not missing:
        return ""
    return f"no worker {missing[0]!r} has a log here; there are: {', '.join(known)}"


def written(positions: Positions) -> str:
    """Return positions as a word that fits into an address."""
    words = (f"{name}.{each.mark}.{each.offset}" for name, each in sorted(positions.items()))
    return "~".join(words) or "~"


def positions_in(word: str) -> dict[str, Position]:
    """Return the positions that ``written`` made a word of.

    Raises:
        ValueError: it is none of ours.
    """
    found = dict[str, Position]()
    for part in filter(None, word.split("~")):
        match = _POSITION.fullmatch(part)
        if match is None:
            message = "must be the `next` of an earlier answer"
            raise ValueError(message)
        name, mark, offset = match.groups()
        found[name] = Position(mark, int(offset))
    return found


def _level(said: Said) -> str:
    level = said.get("level")
    return level if isinstance(level, str) and level in LEVELS else NO_LINE


def _jobs(said: Said) -> frozenset[str]:
    """Return the jobs that a line is about; some name several, in one text or not."""
    found = list[str]()
    for value in (said.get("job"), said.get("jobs")):
        named = value if isinstance(value, list) else str(value or "").split(", ")
        found += (each for each in named if isinstance(each, str))
    return frozenset(found)
