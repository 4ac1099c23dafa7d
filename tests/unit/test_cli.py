"""The command line against a supervisor that only remembers, over a real socket."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
import pytest
from click.testing import CliRunner

from consumers.jobs import Priority
from consumers.outcome import Failure
from supervisor.cli import waiting
from supervisor.cli.main import cli
from supervisor.client import Client, TooOftenError
from supervisor.core.readiness import Condition
from supervisor.core.records import JobRecord, JobState
from supervisor.ports import Event
from tests.support.control import NOW, FakeControl
from tests.support.terminals import call, config, control, house

__all__ = ["config", "control", "house"]

A_JOB = JobRecord("j1", "download", "download_queue", JobState.WAITING, Priority.NORMAL, {})


def test_a_link_is_published_for_its_user(house: FakeControl, config: Path) -> None:
    result = call(
        config, "publish", "download", "--link", "https://h/v", "--from", "user123", "--noreply"
    )

    assert (result.exit_code, result.output) == (0, "job job-1 is waiting in download_queue\n")
    assert house.orders[0].data == {"link": "https://h/v", "from": "user123", "noreply": True}


def test_a_file_is_published_by_its_absolute_path(house: FakeControl, config: Path) -> None:
    here = os.path.relpath(_clip(config.parent))

    call(config, "publish", "cutter", "--file", here)

    assert house.orders[0].data == {"filePath": str(Path(here).absolute())}


def test_a_file_in_the_media_folder_or_in_an_allowed_one_is_published(
    house: FakeControl, config: Path
) -> None:
    media, other = config.parent / "media", config.parent / "other"
    for folder in (media, other):
        folder.mkdir()
    _cutter(config, media, roots=[other])

    for folder in (media, other):
        assert call(config, "publish", "cutter", "--file", str(_clip(folder))).exit_code == 0


def test_a_file_that_no_worker_may_read_is_not_published(house: FakeControl, config: Path) -> None:
    media = config.parent / "media"
    media.mkdir()
    _cutter(config, media, roots=[])
    away = _clip(config.parent)

    result = call(config, "publish", "cutter", "--file", str(away))

    assert result.exit_code == 2
    assert f"{away} lies outside the media folder {media}: copy it there" in result.output
    assert house.orders == []


def test_a_file_that_has_been_copied_is_to_be_named_where_the_copy_is(
    house: FakeControl, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = config.parent / "media"
    media.mkdir()
    _cutter(config, media, roots=[])
    for folder in (config.parent, media):
        _clip(folder)
    monkeypatch.chdir(config.parent)

    result = call(config, "publish", "cutter", "--file", "clip.mp4")

    assert result.exit_code == 2
    assert f"did you mean {media}/clip.mp4?" in result.output


def test_a_file_that_is_not_there_is_not_published(house: FakeControl, config: Path) -> None:
    media = config.parent / "media"
    media.mkdir()
    _cutter(config, media, roots=[])
    (media / "kept.mp4").write_bytes(b"film")

    nowhere = call(config, "publish", "cutter", "--file", "nothere.mp4")
    kept = call(config, "publish", "cutter", "--file", "kept.mp4")
    folder = call(config, "publish", "cutter", "--file", str(media))

    assert (nowhere.exit_code, kept.exit_code, folder.exit_code) == (2, 2, 2)
    assert "--file: nothere.mp4 is not there" in nowhere.output
    assert f"did you mean {media}/kept.mp4?" in kept.output
    assert "is not a file" in folder.output
    assert house.orders == []


def _clip(folder: Path) -> Path:
    path = folder / "clip.mp4"
    path.write_bytes(b"film")
    return path


def _cutter(config: Path, media: Path, *, roots: list[Path]) -> None:
    allowed = ", ".join(str(root) for root in roots)
    config.write_text(
        f"broker: embedded\nstate: {config.parent}/s\nmedia: {{root: {media}}}\nworkers:\n"
        "  cutter: {queue: cutter_queue, processor: workers.cutter, "
        f"options: {{roots: [{allowed}]}}}}\n"
    )


def test_data_of_any_shape_is_published_from_the_line_or_from_stdin(
    house: FakeControl, config: Path
) -> None:
    call(config, "publish", "preview", "--data", '{"a": [1]}', "--priority", "high")
    call(config, "publish", "preview", "--data", "-", "--delay", "2m", stdin='{"b": null}')

    first, second = house.orders
    assert (first.data, first.priority, first.delay) == ({"a": [1]}, 2, 0.0)
    assert (second.data, second.priority, second.delay) == ({"b": None}, 3, 120.0)


def test_waiting_ends_with_the_result_and_the_exit_code_says_it_went_well(
    house: FakeControl, config: Path
) -> None:
    house.completes = True

    result = call(config, "publish", "download", "--link", "https://h/v", "--wait")

    assert result.exit_code == 0
    assert "completed" in result.output
    assert "/media/clip.mp4  (1.2 MB)" in result.output


def test_waiting_for_a_job_that_fails_ends_with_1_and_the_remedy(
    house: FakeControl, config: Path
) -> None:
    house.fails = True

    result = call(config, "publish", "download", "--link", "https://h/v", "--wait")

    assert result.exit_code == 1
    assert "the site says that there is no such video" in result.output
    assert "check the link" in result.output


def test_publish_answers_programs_in_json(house: FakeControl, config: Path) -> None:
    house.fails = True

    result = call(config, "publish", "download", "--link", "https://h/v", "--wait", "--json")

    job = json.loads(result.output)
    assert (result.exit_code, job["state"], job["error"]["code"]) == (1, "failed", "not_found")


def test_the_same_id_is_the_same_job(house: FakeControl, config: Path) -> None:
    for _ in range(2):
        result = call(config, "publish", "download", "--link", "https://h/v", "--id", "mine")
        assert "job mine is waiting" in result.output

    assert len(house.orders) == 1


def test_jobs_are_listed_and_filtered(house: FakeControl, config: Path) -> None:
    call(config, "publish", "download", "--link", "https://h/v", "--id", "one")
    call(config, "publish", "cutter", "--file", str(_clip(config.parent)), "--id", "two")

    assert "one" in call(config, "jobs").output
    assert "one" not in call(config, "jobs", "--pool", "cutter").output
    assert call(config, "jobs", "--state", "failed").output == "no such jobs\n"
    listed = json.loads(call(config, "jobs", "--json").output)
    assert [job["id"] for job in listed] == ["two", "one"]


def test_a_job_is_shown_with_all_that_is_known(house: FakeControl, config: Path) -> None:
    house.fails = True
    call(config, "publish", "download", "--link", "https://h/v", "--id", "a/1", "--wait")

    shown = call(config, "show", "a/1")

    assert shown.exit_code == 0
    for words in ("a/1  failed", "https://h/v", "download-1", "not_found", "resolved the link"):
        assert words in shown.output
    assert json.loads(call(config, "show", "a/1", "--json").output)["id"] == "a/1"


def test_the_configuration_may_be_named_after_the_command(house: FakeControl, config: Path) -> None:
    result = CliRunner().invoke(cli, ["status", "-c", str(config)])

    assert result.exit_code == 0


def test_the_configuration_may_be_named_by_the_environment(
    house: FakeControl, config: Path
) -> None:
    result = CliRunner().invoke(cli, ["status"], env={"SUPERVISOR_CONFIG": str(config)})

    assert result.exit_code == 0


def test_the_doctor_does_not_call_a_house_well_in_which_nothing_moves(
    house: FakeControl, config: Path
) -> None:
    full = Condition("media disk", "too full")
    house.view = msgspec.structs.replace(house.view, conditions=(full,))

    shown = call(config, "doctor").output

    assert "media disk: too full" in shown
    assert "nothing is missing; see " in shown
    assert "everything needed is here" not in shown


def test_events_are_followed_through_the_client(house: FakeControl, tmp_path: Path) -> None:
    event = Event("completed", NOW, queue="download_queue", id="job-1", data={"duration": 1.5})
    with Client(tmp_path / "s" / "supervisor.sock") as client:

        def tell() -> None:
            house.say(event)
            house.say(None)

        assert list(client.events(connected=tell)) == [event]


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("run",),
        ("check",),
        ("publish",),
        ("scale",),
        ("restart",),
        ("work",),
        ("status",),
        ("workers",),
        ("jobs",),
        ("show",),
        ("doctor",),
        ("demo",),
        ("version",),
    ],
)
def test_every_help_teaches_with_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*command, "--help"])

    assert result.exit_code == 0
    assert "python -m supervisor" in result.output.replace("Usage: python -m supervisor", "")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("scale", "idle", "two"), "'N': must be a whole number, is two"),
        (("scale", "idle", "257"), "257 is not in the range"),
        (("work", "idle", "--max-jobs", "1.5"), "must be a whole number, is 1.5"),
        (("work", "idle", "--wait", "--until-empty"), "say either --until-empty or --wait, not"),
    ],
)
def test_a_slip_is_told_in_plain_words(typed: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(cli, typed)

    assert result.exit_code == 2
    assert said in result.output


def test_a_long_outcome_is_cut_and_hides_no_other_column(house: FakeControl, config: Path) -> None:
    house.fails = True
    call(config, "publish", "download", "--link", "https://h/v", "--id", "one", "--wait")
    failure = Failure("the connection was refused " * 20)
    house.known["one"] = msgspec.structs.replace(house.known["one"], error=failure)

    lines = call(config, "jobs").output.splitlines()

    assert len(lines) == 3
    assert lines[0].split()[:5] == ["Job", "Pool", "State", "From", "Created"]
    assert lines[2].startswith("one           download  failed")
    assert lines[2].endswith("…")


def test_jobs_are_asked_for_by_all_that_the_api_knows(house: FakeControl, config: Path) -> None:
    said = ("--from", "ana", "--group", "g", "--sort", "oldest", "--since", "2026-11-22T10:00:00Z")

    done = call(config, "jobs", *said, "--until", "2026-11-22T12:00:00+01:00")
    wrong = call(config, "jobs", "--since", "yesterday")

    assert done.exit_code == 0
    wanted = house.wanted
    assert (wanted.sender, wanted.group, wanted.oldest) == ("ana", "g", True)
    assert wanted.since == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert wanted.until == datetime(2026, 11, 22, 11, tzinfo=UTC)
    assert (wrong.exit_code, "--since: must be a time like 10m" in wrong.output) == (2, True)


def test_jobs_are_asked_for_by_how_long_ago_they_came_as_lines_of_logs_are(
    house: FakeControl, config: Path
) -> None:
    call(config, "jobs", "--since", "2h", "--until", "1h")

    since, until = house.wanted.since, house.wanted.until
    assert since is not None
    assert until is not None
    assert 3599 < (until - since).total_seconds() < 3601


def test_a_worker_or_a_pool_is_restarted_by_its_name(house: FakeControl, config: Path) -> None:
    for name in ("download-1", "cutter"):
        assert call(config, "restart", name).exit_code == 0
    nobody = call(config, "restart", "cuter")

    assert house.pools.restarted == ["download-1", "cutter"]
    assert nobody.exit_code == 1
    assert "no worker and no pool 'cuter'" in nobody.output


def test_who_asks_too_often_while_a_job_runs_waits_as_long_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    naps: list[float] = []
    monkeypatch.setattr("supervisor.cli.waiting.time.sleep", naps.append)
    told: list[TooOftenError | JobRecord] = [TooOftenError("too many requests", 7.0), A_JOB]
    answers = iter(told)

    class Far:
        is_near = False

        def job(self, _: str) -> JobRecord:
            answer = next(answers)
            if isinstance(answer, TooOftenError):
                raise answer
            return msgspec.structs.replace(answer, state=JobState.COMPLETED)

    done = waiting.wait_for(cast("Client", Far()), A_JOB, quiet=True).job

    assert done.state is JobState.COMPLETED
    assert naps == [1.0, 7.0, 1.0]
