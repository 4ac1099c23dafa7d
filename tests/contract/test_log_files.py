"""The files of logs: written by one, turned over, torn and broken; read by another meanwhile."""

import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumers.log_file import LogFile, path_of
from supervisor.core.log_lines import Sought
from supervisor.log_files import STALE, Found, LogFiles
from tests.support.clocks import WITHIN

KEEP = 2_000
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def _line(number: int, level: str = "info") -> str:
    moment = (NOW + timedelta(seconds=number)).isoformat()
    return json.dumps({"event": f"line {number}", "level": level, "timestamp": moment})


def _written(folder: Path, process: str, *numbers: int, keep: int = 1_000_000) -> LogFile:
    file = LogFile(path_of(folder, process), keep)
    for number in numbers:
        file.write(_line(number))
    return file


def _numbers(found: Found) -> list[int]:
    return [int(str(line.said["event"]).removeprefix("line ")) for line in found.lines]


# --- written ----------------------------------------------------------------------------------


def test_files_are_private_and_never_longer_than_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "logs"

    _written(folder, "a-1", *range(200), keep=KEEP).close()

    files = {file.name: file.stat() for file in folder.iterdir()}
    assert set(files) == {"a-1.jsonl", "a-1.jsonl.1"}
    assert all(stat.st_size <= KEEP for stat in files.values())
    assert all(stat.st_mode & 0o077 == 0 for stat in (*files.values(), folder.stat()))
    assert _numbers(LogFiles(folder).last(Sought(), 3)) == [197, 198, 199]


def test_two_incarnations_and_many_threads_write_whole_lines(tmp_path: Path) -> None:
    files = [LogFile(path_of(tmp_path, "a-1"), 1_000_000) for _ in range(2)]

    def write(begin: int) -> None:
        for number in range(begin, begin + 100):
            files[begin // 100 % 2].write(_line(number))

    threads = [threading.Thread(target=write, args=(100 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(_numbers(LogFiles(tmp_path).last(Sought(), 1000))) == list(range(400))


def test_only_one_of_two_incarnations_turns_the_file_over(tmp_path: Path) -> None:
    old, new = (LogFile(path_of(tmp_path, "a-1"), KEEP) for _ in range(2))
    new.write(_line(0))
    for number in range(1, 30):
        old.write(_line(number))  # turns it over on the way
    after = _numbers(LogFiles(tmp_path).last(Sought(), 100))
    for number in range(30, 60):
        new.write(_line(number))  # into the older one first, which it knows

    assert after == list(range(30))
    assert sorted(_numbers(LogFiles(tmp_path).last(Sought(), 100))) == list(range(60))


def test_a_line_begins_anew_after_one_that_was_torn(tmp_path: Path) -> None:
    _written(tmp_path, "a-1", 1).close()
    with path_of(tmp_path, "a-1").open("a") as file:
        file.write('{"event": "killed in the mid')

    before = LogFiles(tmp_path).last(Sought(), 10)
    _written(tmp_path, "a-1", 2)
    after = LogFiles(tmp_path).last(Sought(), 10)

    assert _numbers(before) == [1]
    assert [line.said["event"] for line in after.lines] == [
        "line 1",
        '{"event": "killed in the mid',
        "line 2",
    ]


def test_a_disk_that_takes_nothing_costs_lines_only_and_is_told_of_once(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.write_text("in the way")
    file, told = LogFile(path_of(folder, "a-1"), KEEP), list[object]()
    file.failed = lambda _path, error: told.append(error.strerror)
    file.recovered = lambda _path, lost: told.append(lost)

    file.write(_line(1))
    file.write(_line(2))
    folder.unlink()
    file.write(_line(3))
    file.write(_line(4))

    assert told == ["File exists", 2]
    assert _numbers(LogFiles(folder).last(Sought(), 10)) == [3, 4]


def test_what_is_said_of_a_disk_waits_for_nobody_who_writes(tmp_path: Path) -> None:
    """Another thread may just write, and hold what that line goes through."""
    folder = tmp_path / "logs"
    folder.write_text("in the way")
    file = LogFile(path_of(folder, "a-1"), KEEP)

    def tell(_path: Path, _said: object) -> None:
        other = threading.Thread(target=file.write, args=[_line(2)])
        other.start()
        other.join(WITHIN)
        waited.append(other.is_alive())

    waited: list[bool] = []
    file.failed = file.recovered = tell
    file.write(_line(1))
    folder.unlink()
    file.write(_line(3))

    assert waited == [False, False]


def test_a_full_disk_costs_lines_only() -> None:
    file, told = LogFile(Path("/dev/full"), 0), list[object]()
    file.failed = lambda _path, error: told.append(error.strerror)

    file.write(_line(1))
    file.write(_line(2))

    assert told == ["No space left on device"]


# --- read -------------------------------------------------------------------------------------


def test_the_last_lines_of_all_are_in_the_order_of_time(tmp_path: Path) -> None:
    _written(tmp_path, "a-1", 1, 4, 7)
    _written(tmp_path, "a-2", 2, 5, 8)
    _written(tmp_path, "supervisor", 3, 6)
    files = LogFiles(tmp_path)

    assert files.processes() == ("supervisor", "a-1", "a-2")
    assert _numbers(files.last(Sought(), 4)) == [5, 6, 7, 8]
    assert files.last(Sought(), 4).is_cut
    assert not files.last(Sought(), 8).is_cut
    assert _numbers(files.last(Sought(frozenset({"a-2"})), 9)) == [2, 5, 8]
    assert _numbers(files.last(Sought(since=NOW + timedelta(seconds=6)), 9)) == [6, 7, 8]


def test_followed_over_a_turn_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    file, files = _written(tmp_path, "a-1", 0, keep=KEEP), LogFiles(tmp_path)
    found = files.last(Sought(), 10)
    seen, at = _numbers(found), found.positions
    for number in range(1, 300):
        file.write(_line(number))
        if number % 7 == 0:
            news = files.since(at, Sought())
            assert not news.has_gap
            seen, at = seen + _numbers(news), news.positions

    assert seen == list(range(295))


def test_lines_that_went_too_fast_are_said_to_be_lost(tmp_path: Path) -> None:
    file, files = _written(tmp_path, "a-1", 0, keep=KEEP), LogFiles(tmp_path)
    at = files.last(Sought(), 10).positions
    for number in range(1, 100):
        file.write(_line(number))

    news = files.since(at, Sought())

    assert news.has_gap
    assert _numbers(news) == list(range(_numbers(news)[0], 100))
    assert not files.since(news.positions, Sought()).has_gap


def test_a_new_worker_is_followed_from_its_first_line(tmp_path: Path) -> None:
    files = LogFiles(tmp_path / "logs")
    at = files.last(Sought(), 10).positions
    _written(tmp_path / "logs", "a-1", 1, 2)

    news = files.since(at, Sought())

    assert (_numbers(news), news.has_gap) == ([1, 2], False)
    assert _numbers(files.since(news.positions, Sought())) == []


def test_a_file_that_somebody_emptied_is_followed_from_its_new_beginning(tmp_path: Path) -> None:
    file, files = _written(tmp_path, "a-1", 1, 2), LogFiles(tmp_path)
    at = files.last(Sought(), 10).positions
    os.truncate(path_of(tmp_path, "a-1"), 0)
    file.write(_line(3))

    assert _numbers(files.since(at, Sought())) == [3]


def test_a_file_that_was_cut_short_is_read_again(tmp_path: Path) -> None:
    _written(tmp_path, "a-1", 1, 2, 3).close()
    files = LogFiles(tmp_path)
    at = files.last(Sought(), 10).positions
    os.truncate(path_of(tmp_path, "a-1"), len(_line(1)) + 1)
    _written(tmp_path, "a-1", 4)

    assert files.since(at, Sought()).has_gap
    assert _numbers(files.since(at, Sought())) == [1, 4]


def test_a_file_that_is_turned_over_while_it_is_opened_is_read_once(tmp_path: Path) -> None:
    _written(tmp_path, "a-1", 1, 2)
    path = path_of(tmp_path, "a-1")
    os.link(path, f"{path}.1")

    assert _numbers(LogFiles(tmp_path).last(Sought(), 10)) == [1, 2]


def test_a_clock_put_back_loses_no_line_and_changes_no_order(tmp_path: Path) -> None:
    _written(tmp_path, "a-1", 10, 20, 12, 13)
    _written(tmp_path, "b-1", 11, 30)

    assert _numbers(LogFiles(tmp_path).last(Sought(), 10)) == [10, 11, 20, 12, 13, 30]
    assert _numbers(LogFiles(tmp_path).last(Sought(), 3)) == [12, 13, 30]


def test_half_a_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    _written(tmp_path, "a-1", 1).close()
    files = LogFiles(tmp_path)
    at = files.last(Sought(), 10).positions
    with path_of(tmp_path, "a-1").open("a") as file:
        file.write(_line(2)[:20])
        file.flush()
        half = files.since(at, Sought())
        file.write(_line(2)[20:] + "\n")

    assert _numbers(half) == []
    assert _numbers(files.since(half.positions, Sought())) == [2]


def test_an_endless_line_is_shown_cut_and_hides_no_other(tmp_path: Path) -> None:
    files = LogFiles(tmp_path)
    _written(tmp_path, "a-1", 1).close()
    at = files.last(Sought(), 10).positions
    with path_of(tmp_path, "a-1").open("a") as file:
        file.write("x" * 5_000_000 + "\n")
    _written(tmp_path, "a-1", 2)

    last = [str(line.said["event"]) for line in files.last(Sought(), 10).lines]
    news = list[str]()
    while (page := files.since(at, Sought())).lines:
        at = page.positions
        news += [str(line.said["event"]) for line in page.lines]

    assert (last[0], last[-1], news[-1]) == ("line 1", "line 2", "line 2")
    assert all(len(event) <= 4000 for event in last + news)


def test_files_of_workers_that_are_gone_for_a_day_are_removed(tmp_path: Path) -> None:
    for name in ("supervisor", "a-1", "a-2", "b-1"):
        _written(tmp_path, name, *range(30), keep=KEEP).close()
    (tmp_path / "notes.txt").write_text("not ours")
    long_ago = NOW.timestamp() - STALE - 60
    for file in tmp_path.iterdir():
        when = NOW.timestamp() if file.name.startswith("b") else long_ago
        os.utime(file, (when, when))

    gone = LogFiles(tmp_path).sweep(["a-1"], NOW)

    assert gone == ("a-2",)
    assert LogFiles(tmp_path).processes() == ("supervisor", "a-1", "b-1")
    assert (tmp_path / "notes.txt").exists()
    assert not (tmp_path / "a-2.jsonl.1").exists()


def test_what_cannot_be_read_is_an_error_and_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert LogFiles(tmp_path / "nowhere").last(Sought(), 10).lines == []
    with pytest.raises(OSError, match="Not a directory"):
        LogFiles(tmp_path / "file").last(Sought(), 10)
