"""The files in which processes keep their log lines: the last lines, and what came since.

They are read while others write them and turn them over, and also when nobody is there any more.
Only whole lines are read, in bounded pieces. Everything here blocks.
"""

import contextlib
import heapq
import math
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from consumers.log_file import ENDING, OLDER, path_of
from supervisor.core import log_lines
from supervisor.core.log_lines import SUPERVISOR, Line, Position, Sought

MOST = 4_000_000  # bytes of lines that are read at once; the rest comes with the next look
STALE = 86_400.0  # seconds that the file of a worker that is gone stays at least

_BLOCK = 262_144  # bytes
_LONGEST = 1_000_000  # bytes of a line; of a longer one only so much is held
_HEAD = 256  # bytes by which a file is known again: the first line has its time
_PUT_BACK = 3600.0  # seconds: before what is older than wanted by more, nothing newer is sought
_NAME = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True, slots=True)
class Found:
    """Lines in the order of time, and how far each process' were read."""

    lines: list[Line]
    positions: dict[str, Position]
    is_cut: bool = False  # older lines were wanted too, or newer ones are there already
    has_gap: bool = False  # lines are lost: the files were turned over too fast


class LogFiles:
    """The log files of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def processes(self) -> tuple[str, ...]:
        """Return who has a file, the supervisor first. Raises OSError."""
        try:
            files = {entry.name.removesuffix(OLDER) for entry in self.folder.iterdir()}
        except FileNotFoundError:
            return ()
        names = (file.removesuffix(ENDING) for file in files if file.endswith(ENDING))
        known = filter(_NAME.fullmatch, names)
        return tuple(sorted(known, key=lambda name: (name != SUPERVISOR, _natural(name))))

    def last(self, wanted: Sought, most: int) -> Found:
        """Return the last lines that are wanted, read from the end. Raises OSError."""
        backwards, positions = list[Iterator[tuple[Line, int]]](), dict[str, Position]()
        with contextlib.ExitStack() as files:
            for process in filter(wanted.concerns, self.processes()):
                pair = files.enter_context(_opened(path_of(self.folder, process)))
                ends = [(file, _end(file)) for file in pair]
                backwards.append(_wanted(process, ends, wanted))
                for file, end in ends:
                    if end:
                        positions[process] = Position(_mark(file), end)
            lines, is_cut = _newest(backwards, most)
        return Found(lines, positions, is_cut)

    def since(self, positions: log_lines.Positions, wanted: Sought) -> Found:
        """Return what came after these positions, of what is wanted. Raises OSError."""
        chosen, after, room, has_gap = list[list[Line]](), {**positions}, MOST, False
        for process in filter(wanted.concerns, self.processes()):
            with _opened(path_of(self.folder, process)) as pair:
                news = _since(pair, positions.get(process), room)
            room -= sum(map(len, news.raw))
            has_gap |= news.has_gap
            if news.position is not None:
                after[process] = news.position
            said = map(log_lines.read, news.raw)
            chosen.append(log_lines.in_order(process, said, wanted))
        return Found(log_lines.merged(chosen), after, room <= 0, has_gap)

    def sweep(self, living: Iterable[str], now: datetime) -> tuple[str, ...]:
        """Remove the files of workers that are gone for a day; return whose. Raises OSError."""
        kept = {SUPERVISOR, *living}
        gone = [name for name in self.processes() if name not in kept and self._is_stale(name, now)]
        for name in gone:
            for path in _both(path_of(self.folder, name)):
                path.unlink(missing_ok=True)
        return tuple(gone)

    def _is_stale(self, name: str, now: datetime) -> bool:
        there = (each for each in _both(path_of(self.folder, name)) if each.exists())
        return now.timestamp() - max(each.stat().st_mtime for each in there) > STALE


@dataclass(slots=True)
class _News:
    """Raw lines of one process, and how far they go."""

    position: Position | None
    raw: list[bytes] = field(default_factory=list)
    has_gap: bool = False


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[int, ...]]:
    """Yield the older and the newer file of a process, those of them there are.

    The newer is opened first: turned over in between, it is found again as the older.
    """
    with contextlib.ExitStack() as files:
        found = list[int]()
        for each in reversed(_both(path)):
            with contextlib.suppress(FileNotFoundError):
                file = os.open(each, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
                files.callback(os.close, file)
                if not any(os.path.sameopenfile(file, other) for other in found):
                    found.append(file)
        yield tuple(reversed(found))


def _newest(backwards: Iterable[Iterator[tuple[Line, int]]], most: int) -> tuple[list[Line], bool]:
    """Return so many lines in the order of time, and whether there are older ones besides."""
    found, room = list[Line](), MOST
    for line, length in heapq.merge(*backwards, key=_lateness) if most else ():
        if len(found) == most or room < 0:
            return found[::-1], True
        found.append(line)
        room -= length
    return found[::-1], False


def _lateness(line: tuple[Line, int]) -> float:
    return -line[0].moment


def _wanted(
    process: str, ends: Sequence[tuple[int, int]], wanted: Sought
) -> Iterator[tuple[Line, int]]:
    """Yield the lines of a process that are wanted, each with its length.

    The last comes first and none is later than the one after it; what is too old for good ends it.
    """
    since, now = wanted.earliest, math.inf
    for raw in (line for file, end in reversed(ends) for line in _backwards(file, end)):
        if not wanted.may_be(raw):
            continue
        said = log_lines.read(raw)
        own = log_lines.moment_of(said)
        if own is not None and own < since - _PUT_BACK:
            return
        now = now if own is None else min(now, own)
        if (own is None or own >= since) and wanted.fits(process, said):
            yield Line(now, {"process": process, **said}), len(raw)


def _since(pair: tuple[int, ...], before: Position | None, room: int) -> _News:
    news = _News(before)
    marks = [_mark(file) for file in pair]
    known = marks.index(before.mark) if before is not None and before.mark in marks else None
    if before is not None and known is not None and _end(pair[known]) < before.offset:
        known = None  # somebody has emptied it
    news.has_gap = before is not None and known is None and bool(pair)
    for index, file in enumerate(pair):
        if known is not None and index < known:
            continue
        offset = before.offset if before is not None and index == known else 0
        room = _forwards(file, offset, room, news)
    return news


def _forwards(file: int, offset: int, room: int, news: _News) -> int:
    """Add the lines from an offset on, as many as there is room for; return what room is left."""
    end = _end(file)
    while offset < end and room > 0:
        piece = os.pread(file, min(end - offset, _LONGEST), offset)
        if not piece:
            break  # somebody has just emptied it
        whole = piece.rpartition(b"\n")[0] or piece  # of an endless line, a piece is a line
        offset += min(len(whole) + 1, len(piece))
        room -= len(whole)
        news.raw += [line for line in whole.split(b"\n") if line]
        news.position = Position(_mark(file), offset)
    return room


def _backwards(file: int, end: int) -> Iterator[bytes]:
    """Yield the lines of a file from the last to the first; they end at ``end``."""
    rest = b""
    while end > 0:
        begin = max(0, end - _BLOCK)
        first, *whole = (os.pread(file, end - begin, begin) + rest).split(b"\n")
        yield from filter(None, reversed(whole))
        rest, end = first[-_LONGEST:], begin
    if rest:
        yield rest


def _end(file: int) -> int:
    """Return where the last whole line of a file ends: what follows is being written, or torn."""
    end = os.fstat(file).st_size
    while end > 0:
        begin = max(0, end - _BLOCK)
        if found := os.pread(file, end - begin, begin).rfind(b"\n") + 1:
            return begin + found
        end = begin
    return 0


def _mark(file: int) -> str:
    """Return what a file is known again by: numbers of files are given again, so not by that only.

    Of no use before there is a whole line in it.
    """
    head = os.pread(file, _HEAD, 0).partition(b"\n")[0]
    return f"{zlib.crc32(head, os.fstat(file).st_ino & 0xFFFFFFFF):08x}"


def _both(path: Path) -> tuple[Path, Path]:
    return Path(f"{path}{OLDER}"), path


def _natural(name: str) -> tuple[str, int]:
    pool, _, number = name.rpartition("-")
    return (pool, int(number)) if number.isdecimal() else (name, 0)
