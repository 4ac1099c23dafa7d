"""The log: one line an event, for people or machines, with the secrets masked."""

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typing_extensions import override

from consumers import logs
from consumers.log_file import LogFile


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


def _lose(url: str) -> None:
    message = f"{url} is gone"
    raise OSError(message)


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_level_and_logger() -> None:
    stream = io.StringIO()
    log = logs.get("supervisor.fleet")
    logs.configure("info", stream=stream)

    log.info("worker started", worker="download-1", pid=42)

    (line,) = _lines(stream)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "worker started",
        "level": "info",
        "logger": "supervisor.fleet",
        "worker": "download-1",
        "pid": 42,
    }


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    logs.configure("warning", stream=stream)

    logs.get("x").info("too quiet")

    assert stream.getvalue() == ""


def test_a_terminal_gets_words_in_colour() -> None:
    stream = Terminal()
    logs.configure("info", stream=stream)

    logs.get("x").info("worker started", worker="download-1")

    assert "\x1b[" in stream.getvalue()
    assert "worker started" in stream.getvalue()


def test_json_can_be_had_on_a_terminal_and_words_elsewhere() -> None:
    terminal, pipe = Terminal(), io.StringIO()

    logs.configure("info", json=True, stream=terminal)
    logs.get("x").info("one")
    logs.configure("info", json=False, stream=pipe)
    logs.get("x").info("two")

    assert _lines(terminal)[0]["event"] == "one"
    assert not pipe.getvalue().startswith("{")
    assert "\x1b[" not in pipe.getvalue()


def test_an_exception_stays_on_its_one_line() -> None:
    stream = io.StringIO()
    logs.configure("info", stream=stream)

    try:
        _lose("amqp://guest:hunter2@broker/")
    except OSError:
        logs.get("x").exception("broker lost")

    (line,) = _lines(stream)
    assert "OSError: amqp://guest:***@broker/ is gone" in str(line["exception"])


def test_journald_gets_priorities_and_no_timestamps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        journal = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{journal.st_dev}:{journal.st_ino}")
        logs.configure("info", stream=stream)
        logs.get("x").error("disk full")
        logging.getLogger("library").warning("slow")
        stream.seek(0)
        ours, theirs = stream.read().splitlines()

    assert ours.startswith('<3>{"')
    assert theirs.startswith('<4>{"')
    assert "timestamp" not in ours + theirs


def test_a_stream_that_is_not_the_journals_is_written_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    with (tmp_path / "log").open("w+") as stream:
        logs.configure("info", stream=stream)
        logs.get("x").error("disk full")
        stream.seek(0)
        line = json.loads(stream.read())

    assert "timestamp" in line


def test_libraries_are_heard_from_warning_on_in_the_same_shape() -> None:
    stream = io.StringIO()
    logs.configure("info", stream=stream)

    logging.getLogger("httpx").info("HTTP Request: POST https://example.org/secret-path")
    logging.getLogger("sqlalchemy.pool").warning("connection %s lost", 3)

    (line,) = _lines(stream)
    assert line["event"] == "connection 3 lost"
    assert line["logger"] == "sqlalchemy.pool"
    assert line["level"] == "warning"


@pytest.mark.parametrize("level", ["info", "debug"])
def test_the_amqp_libraries_tracebacks_are_left_out(level: str) -> None:
    stream = io.StringIO()
    logs.configure(level, stream=stream)

    logging.getLogger("aiormq.connection").error("Unexpected connection close")

    assert _lines(stream) == []


def test_python_warnings_are_lines_too() -> None:
    stream = io.StringIO()
    logs.configure("info", stream=stream)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old spelling", DeprecationWarning, stacklevel=1)

    assert "old spelling" in str(_lines(stream)[0]["event"])


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("amqp://guest:guest@localhost:5672/", "amqp://guest:***@localhost:5672/"),
        ("see amqps://u:p@ss:w@host/v now", "see amqps://u:***@host/v now"),
        ("https://a.org/x?id=1&access_token=abc&y=2", "https://a.org/x?id=1&access_token=***&y=2"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("https://a.org/watch?v=abc:d@e", "https://a.org/watch?v=abc:d@e"),
        ("from user123: done", "from user123: done"),
    ],
)
def test_secrets_in_texts_are_masked_and_nothing_else(said: str, shown: str) -> None:
    assert logs.mask(said) == shown


def test_what_is_named_a_secret_is_masked_wherever_it_is() -> None:
    settings = {
        "password": "a",
        "webhooks": [{"secret": "b", "url": "http://x"}],
        "WORKER_TOKEN": "c",
        "headers": {"Authorization": "d"},
        "tokens": 3,
        "secret": None,
    }

    assert logs.mask(settings) == {
        "password": "***",
        "webhooks": [{"secret": "***", "url": "http://x"}],
        "WORKER_TOKEN": "***",
        "headers": {"Authorization": "***"},
        "tokens": 3,
        "secret": None,
    }


def test_a_secret_among_an_events_fields_is_masked() -> None:
    stream = io.StringIO()
    logs.configure("info", stream=stream)

    logs.get("x").info("configured", broker="amqp://a:b@c/", secret=b"t", path=Path("/var"))

    line = _lines(stream)[0]
    assert (line["broker"], line["secret"], line["path"]) == ("amqp://a:***@c/", "***", "/var")


def test_a_value_that_contains_itself_is_cut_off() -> None:
    endless: list[object] = []
    endless.append(endless)

    assert "[" in str(logs.mask(endless))


def test_an_unknown_level_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"logs.level: must be one of debug, .*, is 'loud'"):
        logs.configure("loud")


def test_lines_are_kept_masked_and_with_their_time_however_they_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = LogFile(tmp_path / "a-1.jsonl", 1_000_000)
    with (tmp_path / "journal").open("w+") as stream:
        journal = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{journal.st_dev}:{journal.st_ino}")
        for is_json in (True, False):
            logs.configure("info", json=is_json, stream=stream, file=kept)
            logs.get("x").info("connected", broker="amqp://a:b@c/")
            logs.get("x").debug("too quiet")
        logging.getLogger("library").warning("slow \udc80")

    lines = [json.loads(line) for line in kept.path.read_text().splitlines()]
    assert all(str(line.pop("timestamp")).endswith("Z") for line in lines)
    ours = {"event": "connected", "level": "info", "logger": "x", "broker": "amqp://a:***@c/"}
    assert lines[:2] == [ours, ours]
    assert lines[2] == {"event": "slow ?", "level": "warning", "logger": "library"}


def test_a_line_that_is_too_long_is_kept_without_most_of_it(tmp_path: Path) -> None:
    kept, stream = LogFile(tmp_path / "a-1.jsonl", 1_000_000), io.StringIO()
    logs.configure("info", stream=stream, file=kept)

    logs.get("x").info("huge", text="y" * 5_000_000, table={"a": ["z" * 100_000]}, count=3)

    line = json.loads(kept.path.read_text())
    assert len(kept.path.read_text()) < 20_000
    assert (line["event"], line["count"], line["text"][:2]) == ("huge", 3, "yy")
    assert line["text"].endswith("… (cut, of 5,000,000 characters)")
    assert len(stream.getvalue()) > 5_000_000


def test_a_disk_that_takes_no_lines_is_told_of_once_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    stream = io.StringIO()
    logs.configure("info", stream=stream, file=LogFile(tmp_path / "logs" / "a-1.jsonl", 1_000_000))

    logs.get("x").info("one")
    logs.get("x").info("two")
    (tmp_path / "logs").unlink()
    logs.get("x").info("three")

    events = [str(line["event"]) for line in _lines(stream)]
    lost = "lines are not kept, they are only here"
    assert sorted(events) == sorted(["one", "two", "three", lost, "lines are kept again"])
    assert "three" in (tmp_path / "logs" / "a-1.jsonl").read_text()


def test_a_stream_that_takes_nothing_costs_lines_only(tmp_path: Path) -> None:
    kept = LogFile(tmp_path / "a-1.jsonl", 1_000_000)
    reading, writing = os.pipe()
    os.close(reading)  # whoever read the lines is gone

    for stream in (Path("/dev/full").open("w"), os.fdopen(writing, "w")):  # noqa: SIM115
        with stream:
            logs.configure("info", stream=stream, file=kept)
            logs.get("x").error("still at work")

    assert kept.path.read_text().count("still at work") == 2


def test_lines_that_a_reader_did_not_take_are_counted_when_it_does() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as stream:
        os.set_blocking(reading, False)
        logs.configure("info", stream=stream)
        for _ in range(4):
            logs.get("x").info("word " * 6_000)
        reader.read()
        logs.get("x").info("read again")

        *_, again, counted = reader.read().splitlines()

    assert json.loads(again)["event"] == "read again"
    assert json.loads(counted)["missing"] == 2
