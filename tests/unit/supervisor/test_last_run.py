"""A run that broke off is told of at the next start; one that ended in order is not."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from consumers.clock import SystemClock
from consumers.log_file import LogFile, path_of
from supervisor import last_run
from supervisor.api.socket import SocketError, bind
from supervisor.app import opened
from supervisor.config.settings import Settings
from supervisor.last_run import NAME, STARTS, marked
from tests.support.clocks import FakeClock


def run(state: Path, why: str = "") -> Sequence[Mapping[str, Any]]:
    """Run once, unable to end in order for this reason; return what was said."""
    with capture_logs() as lines, marked(state, state / "logs", FakeClock()):
        assert json.loads((state / NAME).read_bytes())["pid"] == os.getpid()
        if why:
            last_run.disown(state, why)
    return lines


def test_an_orderly_end_leaves_nothing_to_tell(tmp_path: Path) -> None:
    assert run(tmp_path) == run(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_broke_off_is_told_of_once_with_its_pid_and_its_last_line(
    tmp_path: Path,
) -> None:
    began = "2026-11-22T10:00:00+00:00"
    (tmp_path / NAME).write_text(json.dumps({"pid": 4711, "began": began}))
    file = LogFile(path_of(tmp_path / "logs", "supervisor"), 1_000_000)
    for second, event in enumerate((STARTS, "job completed", STARTS, "ledger is upgraded")):
        moment = f"2026-11-22T10:00:0{second}Z"
        file.write(json.dumps({"timestamp": moment, "level": "info", "event": event}))
    file.close()

    assert run(tmp_path) == [
        {
            "event": "the run before did not end in order",
            "log_level": "warning",
            "pid": 4711,
            "began": began,
            "last_line": "2026-11-22T10:00:01Z",
        }
    ]
    assert run(tmp_path) == []


def test_an_end_for_want_of_the_guard_is_told_of_with_the_reason(tmp_path: Path) -> None:
    assert run(tmp_path, why="its guard was gone") == []

    (told,) = run(tmp_path)
    assert (told["pid"], told["why"]) == (os.getpid(), "its guard was gone")


def test_a_mark_that_is_half_written_is_one(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"pid": 47')

    (told,) = run(tmp_path)
    assert "pid" not in told


async def test_a_second_one_with_a_ledger_of_its_own_leaves_the_mark_of_the_first(
    tmp_path: Path,
) -> None:
    settings = Settings("amqp://h", tmp_path, f"sqlite:///{tmp_path}/l", media=tmp_path, workers={})
    mark = tmp_path / NAME
    mark.write_text("of the first")
    with bind(settings.socket) as first:
        first.listen()
        with pytest.raises(SocketError, match="another supervisor answers here; stop it"):
            async with opened(settings, "node", SystemClock()):
                pass

    assert mark.read_text() == "of the first"
