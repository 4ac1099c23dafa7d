"""``schedule``, ``retries`` and the moments of ``publish``, against a supervisor that remembers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.cli.main import cli
from tests.support.control import FakeControl
from tests.support.house import running

POOLS = "workers:\n  download: {queue: download_queue, processor: workers.download}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "supervisor.yaml"
    path.write_text(f"broker: embedded\nstate: {tmp_path}/s\n{POOLS}")
    return path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeControl]:
    control = FakeControl()
    with running(control, tmp_path / "s" / "supervisor.sock"):
        yield control


def call(config: Path, *arguments: str, stdin: str = "") -> Result:
    result = CliRunner().invoke(cli, ["-c", str(config), *arguments], input=stdin)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def add(config: Path, *more: str) -> Result:
    return call(config, "schedule", "add", "nightly", "download", "--cron", "0 3 * * *", *more)


def test_a_schedule_is_added_and_listed(house: FakeControl, config: Path) -> None:
    added = add(config, "--zone", "Europe/Lisbon", "--data", '{"n": 1}', "--priority", "low")
    listed = call(config, "schedule", "list")

    assert added.exit_code == 0
    view = house.schedules.known["nightly"]
    assert (view.zone, view.data, view.priority.word) == ("Europe/Lisbon", {"n": 1}, "low")
    assert "0 3 * * *" in listed.output
    assert "Mon 2026-11-23 03:00:00 +0000" in listed.output


def test_a_schedule_of_the_same_name_is_changed_by_who_says_so(
    house: FakeControl, config: Path
) -> None:
    for every in ("30s", "1m"):
        call(config, "schedule", "add", "poll", "download", "--every", every, "--replace")

    shown = call(config, "schedule", "list", "--json")
    assert [one["every"] for one in json.loads(shown.stdout)] == [60.0]


def test_steps_are_written_as_people_write_times(house: FakeControl, config: Path) -> None:
    call(config, "schedule", "add", "poll", "download", "--every", "1m30s")

    assert house.schedules.known["poll"].every == 90.0
    assert "every 1m 30s" in call(config, "schedule", "show", "poll").output


def test_programs_get_json(house: FakeControl, config: Path) -> None:
    assert json.loads(add(config, "--json").output)["name"] == "nightly"
    assert json.loads(call(config, "schedule", "list", "--json").output)[0]["zone"] == "UTC"
    shown = json.loads(call(config, "schedule", "show", "nightly", "--json").output)
    assert shown["nextRuns"] == ["2026-11-23T03:00:00+00:00"]


def test_a_schedule_is_paused_resumed_and_run(house: FakeControl, config: Path) -> None:
    add(config)

    paused = call(config, "schedule", "pause", "nightly")
    listed = call(config, "schedule", "list")
    resumed = call(config, "schedule", "resume", "nightly")
    ran = call(config, "schedule", "run", "nightly")

    assert paused.output == "schedule nightly is paused\n"
    assert "paused" in listed.output
    assert resumed.output == "schedule nightly runs next at 2026-11-23T03:00:00+00:00\n"
    assert ran.output == "job schedule:nightly:now is pending in download_queue\n"
    assert house.schedules.ran == ["nightly"]


def test_a_schedule_is_removed_by_whoever_is_sure(house: FakeControl, config: Path) -> None:
    add(config)

    unsure = call(config, "schedule", "remove", "nightly")
    sure = call(config, "schedule", "remove", "nightly", "--yes")

    assert unsure.exit_code == 2
    assert "needs --yes where there is no terminal" in unsure.output
    assert (sure.exit_code, sure.output) == (0, "schedule nightly is removed\n")
    assert house.schedules.known == {}


def test_what_is_wrong_with_a_schedule_is_said(house: FakeControl, config: Path) -> None:
    add(config)

    again, unknown = add(config), call(config, "schedule", "show", "weekly")
    never = call(config, "schedule", "add", "x", "download", "--every", "soon")

    assert (again.exit_code, unknown.exit_code, never.exit_code) == (1, 1, 2)
    assert "there is a schedule nightly already" in again.output
    assert "no schedule 'weekly'" in unknown.output
    assert "--every: must be a time like" in never.output


def test_without_schedules_the_list_says_how_to_add_one(house: FakeControl, config: Path) -> None:
    assert "add one with: schedule add" in call(config, "schedule", "list").output


def test_retries_are_shown_as_bars(house: FakeControl, config: Path) -> None:
    shown = call(config, "retries", "download")

    lines = shown.output.splitlines()
    bars = [line.count("█") for line in lines]
    assert lines[0] == ("download: at most 3 attempts, from 1s doubling to 10m, jitter equal")
    assert [bar for bar in bars if bar] == [40, 4, 1]
    assert json.loads(call(config, "retries", "download", "--json").output)["rows"][1] == {
        "attempts": 2,
        "completed": 8,
        "failed": 0,
        "cancelled": 0,
        "active": 0,
        "waiting": 1,
    }
    assert call(config, "retries", "nowhere").exit_code == 1


def test_a_job_may_be_published_for_a_moment(house: FakeControl, config: Path) -> None:
    for moment in ("2026-12-24T18:00:00+01:00", "2026-12-24T17:00:00Z"):
        call(config, "publish", "download", "--link", "https://h/v", "--at", moment)

    wanted = datetime(2026, 12, 24, 17, tzinfo=UTC)
    assert [order.run_at for order in house.orders] == [wanted, wanted]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (("--at", "tomorrow"), "--at: must be a moment like 2026-12-24T18:00:00+01:00"),
        (("--at", "2026-12-24T18:00:00"), "--at: say in which zone, like"),
        (("--at", "2026-12-24"), "like 2026-12-24T00:00:00Z or 2026-12-24T00:00:00+01:00"),
        (("--at", "2026-12-24T18:00:00Z", "--delay", "5s"), "either --at or --delay, not both"),
        (("--delay", "4000d"), "--delay: must be 0 to 315,360,000 s"),
    ],
)
def test_a_moment_that_makes_no_sense_is_refused(
    house: FakeControl, config: Path, said: tuple[str, ...], why: str
) -> None:
    result = call(config, "publish", "download", "--link", "https://h/v", *said)

    assert result.exit_code == 2
    assert why in " ".join(result.output.split())
    assert house.orders == []


def test_what_is_done_with_a_schedule_is_said_in_json_too(house: FakeControl, config: Path) -> None:
    add(config)

    paused = call(config, "schedule", "pause", "nightly", "--json")
    resumed = call(config, "schedule", "resume", "nightly", "--json")
    removed = call(config, "schedule", "remove", "nightly", "--yes", "--json")

    assert [json.loads(each.output)["paused"] for each in (paused, resumed)] == [True, False]
    assert json.loads(removed.output) == {"name": "nightly", "removed": True}


def test_what_follows_is_handed_in_with_a_schedule_and_with_a_job(
    house: FakeControl, config: Path
) -> None:
    assert add(config, "--data", '{"n": 1}', "--then", "download").exit_code == 0
    link = ("publish", "download", "--link", "http://127.0.0.1/")
    assert call(config, *link, "--then", "a", "--then", '["b"]').exit_code == 0

    assert house.schedules.known["nightly"].data == {"n": 1, "then": ["download"]}
    assert house.orders[0].then == [{"pool": "a", "then": ["b"]}]


def test_what_cannot_follow_is_never_handed_in(house: FakeControl, config: Path) -> None:
    twice = add(config, "--data", '{"then": "a"}', "--then", "download")
    nothing = call(config, "publish", "download", "--link", "http://127.0.0.1/", "--then", "")

    assert (twice.exit_code, nothing.exit_code) == (2, 2)
    assert "--then: the data says it too; say it once" in twice.output
    assert "--then: then[0]: '' is no name for a pool" in nothing.output
    assert not house.schedules.known
    assert not house.orders
