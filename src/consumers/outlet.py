"""Where the lines of a process leave it: a stream that may stop taking them.

Whoever reads them may stand still (a stopped pager, a terminal after Ctrl-S, a journal that hangs)
or be gone, and the disk of a file may be full. That costs lines, never the process: nothing here
raises, and a reader who is slow is waited for within bounds.
"""

import contextlib
import math
import os
import select
import socket
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from consumers.clock import Clock

PATIENCE = 1.0  # seconds that a reader is waited for at once
REGAINED = 0.1  # of the time in between: so much of any time lines may wait

_PIECE = select.PIPE_BUF  # bytes that a pipe with room takes without waiting
_TRIES = 100  # others who write here may take the room that was waited for
_Put = Callable[[bytes], int]  # how much of it was taken; BlockingIOError if it would have to wait


@dataclass(frozen=True, slots=True)
class Patience:
    """How long readers may still be waited for: it is used up by waiting and comes back slowly."""

    most: float  # seconds
    last: float  # when somebody was waited for, monotonic
    rest: float = math.inf  # seconds that were left of it then

    def left(self, now: float) -> float:
        """Return for how many seconds a reader may be waited for."""
        return min(self.most, self.rest + (now - self.last) * REGAINED)

    def after(self, since: float, now: float) -> "Patience":
        """Return what remains when a reader was waited for."""
        return Patience(self.most, now, max(0.0, self.left(since) - (now - since)))


class Outlet:
    """A stream that is written to as text streams are.

    ``recovered`` is told how many lines were lost when one is taken again.
    """

    def __init__(self, stream: TextIO, clock: Clock, patience: float = PATIENCE) -> None:
        self.recovered: Callable[[int], object] = lambda _lost: None
        self._encoding = stream.encoding or "utf-8"
        self._file, self._put = _way_out(stream)
        self._clock = clock
        self._patience = Patience(patience, clock.monotonic())
        # A lock that its holder may take again: the garbage collector may come in between, and
        # what it clears may have something to say.
        self._lock = threading.RLock()
        self._lost = 0
        self._is_cut = False  # the last line that was begun has no end

    def write(self, text: str) -> None:
        """Hand over a line, or lose it."""
        with self._lock:
            is_taken = self._is_taken(text.encode(self._encoding, "replace"))
            lost, self._lost = (self._lost, 0) if is_taken else (0, self._lost + 1)
        if lost:
            # Not with the lock: what is said of it is a line, too, and waits for others' locks.
            self.recovered(lost)

    def flush(self) -> None:
        """Do nothing: what was taken is out."""

    def _is_taken(self, line: bytes) -> bool:
        left = b"\n" + line if self._is_cut else line
        with contextlib.suppress(OSError, ValueError):  # the latter of a stream that was closed
            # In one piece if that can be: others write here too, and would come in between.
            while left and (taken := self._took(left)):
                left = left[taken:]
                self._is_cut = bool(left)
        return not left

    def _took(self, left: bytes) -> int:
        for _ in range(_TRIES):
            try:
                return self._put(left)
            except BlockingIOError:
                if not self._has_waited():
                    break
        return 0

    def _has_waited(self) -> bool:
        since = self._clock.monotonic()
        has_room = _has_room(self._file, self._patience.left(since))
        self._patience = self._patience.after(since, self._clock.monotonic())
        return has_room


def _has_room(file: int, within: float) -> bool:
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    return bool(poll.poll(int(within * 1000)))


def _way_out(stream: TextIO) -> tuple[int, _Put]:
    """Return the stream's file and how to write to it without waiting."""
    try:
        file = stream.fileno()
        mode = os.fstat(file).st_mode
    except (OSError, ValueError):
        return -1, _in_memory(stream)
    if stat.S_ISSOCK(mode):
        return file, lambda line: _send(file, line)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return file, _without_waiting(file)
    return file, lambda line: os.write(file, line)


def _in_memory(stream: TextIO) -> _Put:
    encoding = stream.encoding or "utf-8"

    def put(line: bytes) -> int:
        stream.write(line.decode(encoding))
        return len(line)

    return put


def _send(file: int, line: bytes) -> int:
    with socket.socket(fileno=os.dup(file)) as connection:
        return connection.send(line, socket.MSG_DONTWAIT)


def _without_waiting(file: int) -> _Put:
    # Others share the file and rely on its waiting: it is opened once more for us.
    how = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        own = os.open(f"/proc/self/fd/{file}", how)
    except OSError:
        return lambda line: _put_if_there_is_room(file, line)
    return lambda line: os.write(own, line)


def _put_if_there_is_room(file: int, line: bytes) -> int:
    if not _has_room(file, 0):
        raise BlockingIOError
    return os.write(file, line[:_PIECE])
