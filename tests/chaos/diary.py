"""The processors' own diary of their runs, which asks the product about nothing.

A line is one write to a file opened for appending: whatever kills the process, what it began to
do is on record. A lock on the job's own byte of a second file, which the kernel takes back at the
death of its holder, shows a job that runs twice at once whatever the clocks say. The job's own
byte follows from its id: a message that became two jobs is a duplicate, and counted as such.
"""

import fcntl
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

BEGUN, ENDED, FAILED = "begun", "ended", "failed"
BROKEN = "broken"  # off by its worker, which was told to stop
TWICE = "twice"  # begun while the same job was running
FINISHED = frozenset({ENDED, FAILED})

DIARY = "diary.txt"
LOCKS = "diary.locks"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what happened to a run, and when in seconds since 1970."""

    what: str
    serial: int
    attempt: int
    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class Run:
    """What a processor knows of its run."""

    serial: int
    job_id: str
    attempt: int


class Diary:
    """The writing side; one in each worker process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        how = os.O_CREAT | os.O_RDWR
        self._lines = os.open(folder / DIARY, how | os.O_APPEND, 0o644)
        # Never closed: closing any descriptor of the file would give up all locks of the process.
        self._locks = os.open(folder / LOCKS, how, 0o644)
        self._mine: set[str] = set()

    def note(self, what: str, serial: int, attempt: int) -> None:
        """Write a line."""
        at = time.clock_gettime(time.CLOCK_REALTIME)
        os.write(self._lines, f"{what}\t{serial}\t{attempt}\t{os.getpid()}\t{at}\n".encode())

    def begin(self, run: Run) -> None:
        """Note that a run begins, and whether another one of the same job is under way."""
        self.note(BEGUN, run.serial, run.attempt)
        if run.job_id in self._mine or not self._lock(run.job_id):
            self.note(TWICE, run.serial, run.attempt)
        self._mine.add(run.job_id)

    def end(self, what: str, run: Run) -> None:
        """Note how a run ended."""
        self.note(what, run.serial, run.attempt)
        self._mine.discard(run.job_id)
        fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, _byte(run.job_id))

    def _lock(self, job_id: str) -> bool:
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(job_id))
        except OSError:
            return False
        return True


def read(folder: Path) -> tuple[Line, ...]:
    """Return all lines, in the order in which they were written."""
    file = folder / DIARY
    text = file.read_text() if file.exists() else ""
    return tuple(_line(line) for line in text.splitlines())


def in_hand(lines: tuple[Line, ...], pid: int) -> set[int]:
    """Return the jobs that one process has begun and not ended."""
    held: set[int] = set()
    for line in lines:
        if line.pid == pid and line.what == BEGUN:
            held.add(line.serial)
        elif line.pid == pid and line.what in {*FINISHED, BROKEN}:
            held.discard(line.serial)
    return held


def _byte(job_id: str) -> int:
    """Return a place for each id; files need not be as long as what is locked in them."""
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:7])


def _line(text: str) -> Line:
    what, serial, attempt, pid, at = text.split("\t")
    return Line(what, int(serial), int(attempt), int(pid), float(at))
