"""``logs`` on a terminal: a line in words, and what is answered to what cannot be."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from consumers.log_file import LogFile, path_of
from supervisor.cli.log_words import words
from supervisor.cli.main import main


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SUPERVISOR_URL", raising=False)
    pool = "{queue: q, processor: workers.preview, instances: 2}"
    state = tmp_path / "state"
    config = tmp_path / "supervisor.yaml"
    config.write_text(f"broker: embedded\nstate: {state}\nworkers: {{download: {pool}}}\n")
    monkeypatch.setenv("SUPERVISOR_CONFIG", str(config))
    return state


def _keep(state: Path, process: str, *lines: str) -> None:
    file = LogFile(path_of(state / "logs", process), 1_000_000)
    for line in lines:
        file.write(line)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            {"level": "info", "process": "a-1", "event": "job taken", "job": "j1", "why": ""},
            "------------ info     a-1     job taken  job=j1",
        ),
        (
            {"process": "a-1", "worker": "a-1", "event": "x", "why": "two words", "count": 3},
            '------------          a-1     x  why="two words"  count=3',
        ),
        (
            {"process": "a-1", "event": "\x1b[31mred\r", "file": "a\x07b"},
            "------------          a-1      [31mred   file=a b",
        ),
        (
            {"process": "a-1", "event": "broke", "exception": "Traceback\n  \x1b[2Jhere"},
            "------------          a-1     broke\n    exception:\n      Traceback\n"
            "         [2Jhere",
        ),
    ],
)
def test_a_line_says_who_and_what_and_does_nothing_to_the_terminal(
    said: Mapping[str, object], shown: str
) -> None:
    assert words(said, 6).plain == shown


def test_the_date_is_said_before_the_first_line_and_where_it_changes(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ("2026-11-21T12:00:00.123Z", "2026-11-21T12:00:01Z", "2026-11-22T12:00:00Z")
    said = (f'{{"event": "x", "level": "info", "timestamp": "{day}"}}' for day in days)
    _keep(state, "download-1", *said)

    assert main(["logs"]) == 0
    first, line, _, second, _ = capsys.readouterr().out.splitlines()
    assert (first, second) == ("--- 2026-11-21 ---", "--- 2026-11-22 ---")
    assert line[8:12] == ".123"


@pytest.mark.parametrize("typed", ["warn", "WARNING", "Warn"])
def test_a_level_is_known_in_any_case_and_by_its_short_name(
    typed: str, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = ("info", "warning", "error")
    _keep(state, "download-1", *(f'{{"event": "e", "level": "{level}"}}' for level in levels))

    assert main(["logs", "--level", typed]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("typed", "code", "answer"),
    [
        (
            ["downlod-1"],
            1,
            "no worker 'downlod-1' has a log here; there are: supervisor, download-1",
        ),
        (["downlod-1"], 1, "did you mean download-1?"),
        (
            ["--since", "soon"],
            2,
            "--since: must be a time like 10m, 2h or 1d, or a moment like",
        ),
        (["--since", "2026-11-22T10:00"], 2, "--since: say in which zone"),
        (["-n", "-1"], 2, "0<=x<=5000"),
        (["--level", "loud"], 2, "'loud' is not one of 'debug', 'info'"),
    ],
)
def test_what_cannot_be_is_answered_with_what_can(
    typed: list[str], code: int, answer: str, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _keep(state, "download-1", '{"event": "x"}')

    assert main(["logs", *typed]) == code
    assert answer in " ".join(capsys.readouterr().err.split())


def test_that_no_supervisor_ever_ran_is_said(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs"]) == 1
    assert "no supervisor has run with this state folder yet" in capsys.readouterr().err


def test_lines_are_printed_as_they_are_with_their_process(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _keep(state, "download-7", '{"event": "of a worker there was", "n": 1.5}', "no JSON \udc80")

    assert main(["logs", "download", "--json"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        '{"process":"download-7","event":"of a worker there was","n":1.5}',
        '{"process":"download-7","event":"no JSON ?","level":"warning"}',
    ]
