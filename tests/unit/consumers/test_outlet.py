"""The way out of log lines: whoever does not read them costs lines, and no time to speak of."""

import contextlib
import io
import os
import pty
import socket
import termios
import threading
import tty
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

import pytest

from consumers.clock import SystemClock
from consumers.outlet import REGAINED, Outlet, Patience
from tests.support.clocks import WITHIN

LINE = "ü" * 500 + "\n"
MANY = 2_000  # more than any pipe, terminal or socket holds of them


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield from _closed_later(reading, writing)


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    leader, follower = pty.openpty()
    tty.setraw(follower)
    yield from _closed_later(leader, follower)


@contextmanager
def connection() -> Iterator[tuple[int, int]]:
    reader, writer = socket.socketpair()
    yield from _closed_later(reader.detach(), writer.detach())


def _closed_later(reading: int, writing: int) -> Iterator[tuple[int, int]]:
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def _outlet(writing: int, patience: float = 0.01) -> Outlet:
    return Outlet(_stream(writing), SystemClock(), patience)


def _stream(writing: int) -> TextIO:
    return os.fdopen(writing, "w", encoding="utf-8", closefd=False)


def _all_of(reading: int) -> bytes:
    os.set_blocking(reading, False)
    found = b""
    with contextlib.suppress(BlockingIOError):
        while raw := os.read(reading, 1 << 20):
            found += raw
    return found


@pytest.mark.parametrize("kind", [pipe, terminal, connection])
def test_a_reader_who_stands_still_costs_whole_lines_and_is_told_how_many(
    kind: Callable[[], AbstractContextManager[tuple[int, int]]],
) -> None:
    with kind() as (reading, writing):
        outlet, lost = _outlet(writing), list[int]()
        outlet.recovered = lost.append
        for _ in range(MANY):
            outlet.write(LINE)
        early = _all_of(reading)
        outlet.write("taken again\n")
        late = _all_of(reading)

    lines = (early + late).decode().splitlines(keepends=True)
    whole = lines.count(LINE)
    assert lines[-1] == "taken again\n"
    assert lines[whole:-1] in ([], [lines[whole]])  # one may be cut, and ends its line
    assert lost == [MANY - whole]


def test_those_who_share_the_stream_may_wait_as_before() -> None:
    with pipe() as (_, writing):
        outlet = _outlet(writing)
        outlet.write(LINE)

        assert os.get_blocking(writing)


def test_a_terminal_that_was_stopped_by_its_keys_is_not_waited_for() -> None:
    with terminal() as (reading, writing):
        outlet = _outlet(writing)
        termios.tcflow(writing, termios.TCOOFF)
        outlet.write("unseen\n")
        termios.tcflow(writing, termios.TCOON)
        outlet.write("seen\n")

        assert _all_of(reading) == b"seen\n"


def test_a_reader_who_is_only_slow_gets_every_line() -> None:
    with pipe() as (reading, writing):
        outlet, found = _outlet(writing, patience=60.0), bytearray()
        wanted = len(LINE.encode()) * MANY

        def read() -> None:
            while len(found) < wanted:
                found.extend(os.read(reading, 500))

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(MANY):
            outlet.write(LINE)
        reader.join()

    assert found.decode() == LINE * MANY


def test_long_lines_of_several_who_write_to_one_journal_stay_whole_and_none_is_lost() -> None:
    found, many = bytearray(), 100
    with connection() as (reading, writing):

        def write(letter: str) -> None:
            outlet = _outlet(writing, patience=60.0)
            for _ in range(many):
                outlet.write(letter * 12_000 + "\n")

        writers = [threading.Thread(target=write, args=letter) for letter in "abcd"]
        for writer in writers:
            writer.start()
        while len(found) < len(writers) * many * 12_001:
            found.extend(os.read(reading, 1 << 16))
        for writer in writers:
            writer.join()

    lines = Counter(found.decode().splitlines())
    assert lines == {letter * 12_000: many for letter in "abcd"}


def test_what_is_said_of_lost_lines_waits_for_nobody_who_writes() -> None:
    """Another thread may just write, and hold what that line goes through."""
    with pipe() as (reading, writing):
        outlet = _outlet(writing)
        for _ in range(MANY):
            outlet.write(LINE)
        _all_of(reading)
        other = threading.Thread(target=outlet.write, args=["from another thread\n"])

        def tell(_lost: int) -> None:
            other.start()
            other.join(WITHIN)
            said.append(other.is_alive())

        said: list[bool] = []
        outlet.recovered = tell
        outlet.write("taken again\n")

    assert said == [False]


def test_what_has_no_file_is_written_to_as_it_is() -> None:
    stream = io.StringIO()
    outlet = Outlet(stream, SystemClock())

    outlet.write("a" + "ü" * 5_000 + "\n")

    assert stream.getvalue() == "a" + "ü" * 5_000 + "\n"


def test_a_stream_that_somebody_closed_costs_lines_only() -> None:
    stream = io.StringIO()
    outlet = Outlet(stream, SystemClock())
    stream.close()

    outlet.write("unseen\n")


def test_patience_is_used_up_by_waiting_and_comes_back_slowly() -> None:
    fresh = Patience(1.0, last=0.0)
    used = fresh.after(since=5.0, now=5.75)

    assert fresh.left(0.0) == 1.0
    assert used.left(5.75) == pytest.approx(0.25)
    assert used.left(6.75) == pytest.approx(0.25 + REGAINED)
    assert used.after(6.0, 9.0).left(9.0) == 0.0
    assert used.left(1_000.0) == 1.0
