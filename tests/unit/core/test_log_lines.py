"""Lines of logs: what is read from a file, which of it is wanted, and in which order it is."""

from datetime import UTC, datetime

import msgspec
import pytest

from supervisor.core import log_lines
from supervisor.core.log_lines import Position, Sought


def _at(minute: int, event: str, **facts: object) -> log_lines.Said:
    timestamp = datetime(2026, 11, 22, 10, minute, tzinfo=UTC).isoformat()
    return {"timestamp": timestamp, "level": "info", "event": event, **facts}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"Traceback (most recent", "Traceback (most recent"),
        (b'{"event": "cut in the mid', '{"event": "cut in the mid'),
        (b"caf\xe9 \xff", "caf� �"),
        (b"[1, 2]", "[1, 2]"),
        (b'{"a": NaN}', '{"a": NaN}'),
        (b"[" * 20_000, "[" * 4000),
        (b"\0\0\0abc", "abc"),
        (b"x" * 5_000_000, "x" * 4000),
    ],
)
def test_what_is_no_line_of_ours_is_shown_as_text_somebody_should_look_at(
    raw: bytes, shown: str
) -> None:
    assert log_lines.read(raw) == {"event": shown, "level": "warning"}


@pytest.mark.parametrize(
    ("wanted", "process", "facts", "fits"),
    [
        (Sought(), "a-1", {}, True),
        (Sought(level="warning"), "a-1", {}, False),
        (Sought(level="warning"), "a-1", {"level": "error"}, True),
        (Sought(level="warning"), "a-1", {"level": 3}, True),
        (Sought(job="j1"), "a-1", {"job": "j1"}, True),
        (Sought(job="j1"), "a-1", {"job": "j10"}, False),
        (Sought(job="j1"), "supervisor", {"jobs": "j0, j1"}, True),
        (Sought(job="j1"), "supervisor", {"jobs": ["j0", "j1", 2]}, True),
        (Sought(frozenset({"a-1"})), "a-1", {}, True),
        (Sought(frozenset({"a-1"})), "a-2", {}, False),
        (Sought(frozenset({"a"})), "a-2", {}, True),
        (Sought(frozenset({"a-1"})), "supervisor", {}, False),
        (Sought(frozenset({"a-1"})), "supervisor", {"worker": "a-1"}, True),
        (Sought(frozenset({"a-1"})), "supervisor", {"workerId": "a-1"}, True),
        (Sought(frozenset({"a"})), "supervisor", {"worker": "a-1"}, True),
        (Sought(frozenset({"a"})), "supervisor", {"pool": "a"}, True),
        (Sought(frozenset({"supervisor"})), "supervisor", {"worker": "a-1"}, True),
    ],
)
def test_a_line_fits_by_level_job_and_whom_it_concerns(
    wanted: Sought, process: str, facts: dict[str, object], *, fits: bool
) -> None:
    said = _at(0, "x") | facts

    assert wanted.fits(process, said) is fits
    assert wanted.may_be(msgspec.json.encode(said)) or not fits


def test_lines_of_several_processes_are_in_the_order_of_time() -> None:
    files = [
        log_lines.in_order("a-1", [_at(1, "first"), _at(4, "last")], Sought()),
        log_lines.in_order("b-1", [_at(2, "second"), {"event": "no time"}], Sought()),
    ]

    events = [line.said["event"] for line in log_lines.merged(files)]

    assert events == ["first", "second", "no time", "last"]


def test_a_clock_put_back_changes_no_order_and_loses_no_line() -> None:
    said = [_at(30, "before"), _at(5, "after"), _at(6, "later")]
    wanted = Sought(since=datetime(2026, 11, 22, 10, 4, tzinfo=UTC))

    lines = log_lines.in_order("a-1", said, wanted)

    assert [line.said["event"] for line in lines] == ["before", "after", "later"]
    assert len({line.moment for line in lines}) == 1


def test_only_lines_since_a_moment_are_wanted() -> None:
    wanted = Sought(since=datetime(2026, 11, 22, 10, 5, tzinfo=UTC))

    lines = log_lines.in_order("a-1", [_at(4, "old"), _at(5, "new")], wanted)

    assert [line.said["event"] for line in lines] == ["new"]


def test_positions_survive_being_a_word() -> None:
    positions = {"supervisor": Position("00ff00aa", 5), "my_pool-x-12": Position("12345678", 0)}

    assert log_lines.positions_in(log_lines.written(positions)) == positions
    assert log_lines.positions_in(log_lines.written({})) == {}


@pytest.mark.parametrize("word", ["x", "a-1.00ff00aa", "a-1.00ff00aa.x", "../a.00ff00aa.1", "~x~"])
def test_a_word_that_is_no_position_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="must be the `next` of an earlier answer"):
        log_lines.positions_in(word)


def test_a_name_that_nobody_has_is_answered_with_those_there_are() -> None:
    known = ("supervisor", "download-1")

    assert log_lines.unknown_process(["download", "download-1", "supervisor"], known) == ""
    assert log_lines.unknown_process(["downlod-1"], known) == (
        "no worker 'downlod-1' has a log here; there are: supervisor, download-1"
    )
