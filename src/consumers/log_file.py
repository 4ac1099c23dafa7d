"""A file that keeps the lines of one process: bounded, and never in the way of the process.

When it is full it is turned over once: the older half has ``.1`` behind its name. Whatever is
wrong with the disk costs lines, never more: nothing here raises, and nothing waits.
"""

import contextlib
import os
import threading
from collections.abc import Callable
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
        # A lock that its holder may take again: what is said of a failure is a line, too.
        self._lock = threading.RLock()
        self._file = -1
        self._size = 0
        self._lost = 0

    def write(self, line: str) -> None:
        """Keep a line, or lose it."""
        raw = line.encode("utf-8", "replace") + b"\n"
        with self._lock:
            try:
                self._append(raw)
            except OSError as error:
                self._fail(error)
            else:
                self._recover()

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        with self._lock:
            if self._file >= 0:
                with contextlib.suppress(OSError):
                    os.close(self._file)
            self._file = -1

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

    def _fail(self, error: OSError) -> None:
        self.close()
        self._lost += 1
        if self._lost == 1:
            self.failed(self.path, error)

    def _recover(self) -> None:
        lost, self._lost = self._lost, 0
        if lost:
            self.recovered(self.path, lost)
