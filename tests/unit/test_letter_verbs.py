"""The verbs for dead letters: what they ask of a supervisor, what they say, when they ask first."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.cli.lettering import MOST_LINES
from supervisor.cli.main import cli
from supervisor.desks.letters import Chosen, EditOrder, ReplayOrder
from tests.support.control import FakeControl
from tests.support.house import running
from tests.support.letters import ERROR, GROUP, LINE, FakeLetters


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[FakeLetters]:
    (tmp_path / "supervisor.yaml").write_text(
        f"broker: embedded\nstate: {tmp_path}/s\n"
        "workers:\n  cutter: {queue: cutter_queue, processor: workers.cutter}\n"
    )
    control = FakeControl()
    with running(control, tmp_path / "s" / "supervisor.sock"):
        yield control.letters


def call(folder: Path, *words: str, given: str | bytes | None = None) -> Result:
    config = str(folder / "supervisor.yaml")
    return CliRunner().invoke(cli, ["-c", config, "dlq", *words], input=given)


def test_they_are_listed_by_what_is_asked(letters: FakeLetters, tmp_path: Path) -> None:
    words = ("--pool", "cutter", "--from", "ana", "--newer", "2h", "--text", "row")
    listed = call(tmp_path, "list", *words)
    as_json = call(tmp_path, "list", "--json")

    assert letters.asked[0] == Chosen(pool="cutter", sender="ana", newer=7200.0, text="row")
    assert "dead-1" in listed.stdout
    assert ERROR in listed.stdout
    assert "there are more" in listed.stderr
    assert [each["id"] for each in json.loads(as_json.stdout)] == ["dead-1"]


def test_groups_say_how_many_since_when_and_what_went_wrong(
    letters: FakeLetters, tmp_path: Path
) -> None:
    shown = call(tmp_path, "groups", "--pool", "cutter").output
    found = json.loads(call(tmp_path, "groups", "--json").output)

    line = next(line for line in shown.splitlines() if line.startswith(GROUP))
    assert line.split()[1] == "412"
    assert line.endswith(ERROR)
    assert f"412 dead letters in 1 group; look at one with `dlq list --group {GROUP}`" in shown
    assert found[0]["group"] == GROUP


def test_one_is_shown_with_its_bytes_its_traceback_and_what_can_be_done(
    letters: FakeLetters, tmp_path: Path
) -> None:
    shown = call(tmp_path, "show", "dead-1").output
    raw = call(tmp_path, "show", "dead-1", "--body")
    missing = call(tmp_path, "show", "unknown")

    for part in ('{"filePath":"a.mp4"}', "Traceback ...", "header mine", "x-job-seq", "412 alike"):
        assert part in shown
    assert f"`dlq retry --group {GROUP}` all of its group" in shown
    assert raw.stdout_bytes == b'{"filePath":"a.mp4"}'
    assert missing.exit_code == 1


def test_a_group_runs_again_at_a_rate_and_can_be_undone(
    letters: FakeLetters, tmp_path: Path
) -> None:
    trial = call(tmp_path, "retry", "--group", GROUP, "--rate", "600/min", "--dry-run")
    done = call(tmp_path, "retry", "--group", GROUP, "--rate", "600/min")
    undone = call(tmp_path, "undo", "3")
    told = call(tmp_path, "replays")

    order = ReplayOrder(group=GROUP, rate=10.0)
    assert letters.asked[1] == order
    assert letters.asked[0].dry_run
    assert f"412 dead letters would run again (group {GROUP}), the last of them in" in trial.stdout
    assert ERROR in trial.stdout
    assert "`dlq undo" not in trial.stdout
    assert done.stdout.endswith("replay 3: `dlq undo 3` takes back what has not begun\n")
    assert done.stderr == "note: a note\n"
    assert undone.output == (
        "replay 3: 400 jobs are dead letters again; 12 had begun, or were changed since\n"
    )
    assert "12 completed, 400 pending" in told.output


@pytest.mark.parametrize("verb", ["retry", "purge"])
@pytest.mark.parametrize("words", [(), ("--limit", "3"), ("--all", "--pool", "cutter")])
def test_all_are_meant_only_by_saying_so(
    letters: FakeLetters, tmp_path: Path, verb: str, words: tuple[str, ...]
) -> None:
    refused = call(tmp_path, verb, *words)

    assert refused.exit_code == 2
    assert "--all" in refused.output
    assert letters.asked == []


def test_one_is_edited_field_by_field_or_as_a_whole(letters: FakeLetters, tmp_path: Path) -> None:
    call(tmp_path, "edit", "dead-1", "--set", "height=720", "--set", "name=a=b")
    call(tmp_path, "edit", "dead-1", "--data", "-", given='{"filePath": "c.mp4"}')

    assert letters.edited == [
        ("dead-1", EditOrder({"filePath": "a.mp4", "height": 720, "name": "a=b"})),
        ("dead-1", EditOrder({"filePath": "c.mp4"})),
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("edit", "dead-1"), "say what is to change"),
        (("edit", "dead-1", "--set", "height"), "--set: must be NAME=VALUE"),
        (("edit", "dead-1", "--data", "[]"), '--data must be a JSON object, like {"link"'),
        (("retry", "dead-1", "--rate", "fast"), "--rate: must be so many"),
        (("list", "--older", "soon"), "--older: must be a time"),
        (("undo", "three"), "must be a whole number, is three"),
    ],
)
def test_a_slip_of_the_pen_is_named(
    letters: FakeLetters, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    refused = call(tmp_path, *words)

    assert refused.exit_code == 2
    assert says in refused.output
    assert letters.edited == []


def test_a_purge_says_how_many_and_asks_first(letters: FakeLetters, tmp_path: Path) -> None:
    refused = call(tmp_path, "purge", "--group", GROUP)
    trial = call(tmp_path, "purge", "--group", GROUP, "--dry-run")
    asked = len(letters.asked)
    done = call(tmp_path, "purge", "--group", GROUP, "--yes")

    assert refused.exit_code == 2
    assert f"to throw away 412 dead letters for good (group {GROUP}) needs --yes" in refused.output
    assert trial.stdout.endswith(f"412 dead letters would go (group {GROUP})\n")
    assert all(order.dry_run for order in letters.asked[:asked])
    assert letters.asked[-1] == Chosen(group=GROUP)
    assert done.output == f"412 dead letters gone for good (group {GROUP})\n"


def test_they_are_written_to_a_file_or_to_stdout(letters: FakeLetters, tmp_path: Path) -> None:
    file = tmp_path / "letters.ndjson"
    written = call(tmp_path, "export", "--group", GROUP, "--limit", "2", "-o", str(file))
    piped = call(tmp_path, "export")

    assert letters.asked[0] == Chosen(group=GROUP, limit=2)
    assert (file.read_bytes(), written.stderr) == (LINE * 2, f"{file}: 2 dead letters\n")
    assert piped.stdout_bytes == LINE * 3


def test_a_file_is_taken_in_by_parts_and_bad_lines_are_named(
    letters: FakeLetters, tmp_path: Path
) -> None:
    good = call(tmp_path, "import", "-", given=LINE * (MOST_LINES + 1))
    bad = call(tmp_path, "import", "-", given=LINE * (MOST_LINES + 1) + b"broken\n")

    assert (good.exit_code, good.output) == (0, "501 dead letters taken in, 0 known already\n")
    assert len(letters.lines) == 2 * (MOST_LINES + 1) + 1
    assert (bad.exit_code, bad.stderr) == (1, f"line {MOST_LINES + 2} refused: no JSON\n")
