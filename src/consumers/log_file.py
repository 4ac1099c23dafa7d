"""A file that keeps the lines of one process: bounded, and never in the way of the process.

When it is full it is turned over once: the older half has ``.1`` behind its name. Whatever is
wrong with the disk costs lines, never more: nothing here raises, and nothing waits.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

ENDING = ".jsonl"
OLDER = ".1"  # behind the whole name

_PRIVATE = 0o600
_FOLDER = 0o700
_LAST = 1  # byte


def path_of(folder: Path, process: str) -> Path:
    """Return the file of a process; the older one has OLDER behind it."""
    return folder / f"{process}{ENDING}"


def _ignore(_path: Path, _error: OSError) -> None:
    pass


class LogFile:
    """One process' lines; two incarnations may overlap, as each line is appended in one piece.

    ``failed`` is told when lines begin to be lost, ``recovered`` how many were.
    """

    def __init__(self, path: Path, keep: int) -> None:
        self.path = path
        self.failed: Callable[[Path, OSError], object] = _ignore
        self.recovered: Callable[[Path, int], object] = lambda _path, _lost: None
        self._keep = keep
        # A lock that its holder may take again: the garbage collector may come in between, and
        # what it clears may have something to say.
        self._lock = threading.RLock()
        self._file = -1
        self._size = 0
        self._lost = 0

    def write(self, line: str) -> None:
        """Keep a line, or lose it."""
        raw = line.encode("utf-8", "replace") + b"\n"
        with self._lock:
            tell = self._kept_or_lost(raw)
        if tell is not None:
            # Not with the lock: what is said of it is a line, too, and waits for others' locks.
            tell()

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        with self._lock:
            if self._file >= 0:
                with contextlib.suppress(OSError):
                    os.close(self._file)
            self._file = -1

    def _kept_or_lost(self, raw: bytes) -> Callable[[], object] | None:
        """Keep a line, or lose it; return what tells of it, if that is news."""
        try:
            self._append(raw)
        except OSError as error:
            self.close()
            self._lost += 1
            return partial(self.failed, self.path, error) if self._lost == 1 else None
        lost, self._lost = self._lost, 0
        return partial(self.recovered, self.path, lost) if lost else None

    def _append(self, raw: bytes) -> None:
        if self._file < 0:
            self._open()
        if self._size and self._size + len(raw) > self._keep:
            self._turn_over()
        written = os.write(self._file, raw)
        self._size += written
        if written < len(raw):
            message = "no room for a whole line"
            raise OSError(message)

    def _open(self) -> None:
        self.path.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        how = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._file = os.open(self.path, how, _PRIVATE)
        self._size = os.fstat(self._file).st_size
        if self._size and os.pread(self._file, _LAST, self._size - _LAST) != b"\n":
            self._size += os.write(self._file, b"\n")  # whoever wrote before was killed in a line

    def _turn_over(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            # Another incarnation may have done it already.
            if os.path.samestat(self.path.stat(), os.fstat(self._file)):
                self.path.replace(f"{self.path}{OLDER}")
        self.close()
        self._open()
