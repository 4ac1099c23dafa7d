"""``events``, against a supervisor that remembers."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.cli.following import words
from supervisor.cli.main import cli
from supervisor.ports import Event
from tests.support.control import NOW, FakeControl
from tests.support.house import running
from tests.support.waiting import wait_until

TOLD = (
    Event("waiting", NOW, queue="cutter_queue", id="7"),
    Event("completed", NOW, "cutter_queue", "7", "w-1", {"result": {"n": 1}, "duration": 1.5}),
    Event("worker.crashed", NOW, worker="w-1", data={"why": "killed", "exit": ""}),
    Event("failed", NOW, "cutter_queue", "8", root="7", parent="7"),
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "supervisor.yaml"
    pools = "workers: {download: {queue: q, processor: workers.download}}"
    path.write_text(f"broker: embedded\nstate: {tmp_path}/s\n{pools}\n")
    return path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeControl]:
    control = FakeControl()
    with running(control, tmp_path / "s" / "supervisor.sock"):
        yield control


@contextmanager
def telling(house: FakeControl) -> Iterator[None]:
    """Tell what happens as soon as somebody listens, then end."""

    def tell() -> None:
        wait_until(lambda: house.bulletin.listeners, within=10, what="a listener")
        for event in TOLD:
            house.say(event)
        house.say(None)

    thread = threading.Thread(target=tell)
    thread.start()
    yield
    thread.join()


def call(config: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["-c", str(config), "events", *arguments])
    assert "Traceback" not in result.output
    return result


def test_events_are_shown_a_line_each(house: FakeControl, config: Path) -> None:
    with telling(house):
        shown = call(config)

    lines = shown.output.splitlines()
    assert len(lines) == 4
    assert lines[1].split(maxsplit=1)[1] == (
        'completed         cutter_queue 7 (w-1)  result: {"n":1}, duration: 1.5s'
    )
    assert lines[2].endswith("worker.crashed    (w-1)  why: killed")


def test_programs_get_json_and_only_what_they_ask_for(house: FakeControl, config: Path) -> None:
    with telling(house):
        shown = call(
            config, "--json", "--name", "completed", "--queue", "cutter_queue", "--count", "1"
        )

    (line,) = map(json.loads, shown.output.splitlines())
    assert (line["name"], line["result"], line["duration"]) == ("completed", {"n": 1}, 1.5)
    assert shown.exit_code == 0


def test_one_chain_is_followed_by_its_first_job(house: FakeControl, config: Path) -> None:
    with telling(house):
        shown = call(config, "--root", "7", "--json")

    lines = [json.loads(line) for line in shown.output.splitlines()]
    assert [line["name"] for line in lines] == ["waiting", "completed", "failed"]
    assert (lines[2]["root"], lines[2]["parent"]) == ("7", "7")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--name", "complete"), "there is no event 'complete'; there are waiting"),
        (("--queue", "cutter"), "queue: no pool has the queue 'cutter'; there are "),
        (("--count", "x"), "must be a whole number, is x"),
    ],
)
def test_what_can_never_happen_is_named(
    house: FakeControl, config: Path, typed: tuple[str, str], said: str
) -> None:
    shown = call(config, *typed)

    assert shown.exit_code in {1, 2}
    assert said in shown.output


def test_only_the_time_and_what_is_said_are_pale() -> None:
    crashed = words(TOLD[2])

    assert not crashed.style
    styles = {crashed.plain[span.start : span.end].strip(): span.style for span in crashed.spans}
    assert {name: style for name, style in styles.items() if ":" not in name} == {
        "worker.crashed": "red"
    }
    assert set(styles.values()) == {"dim", "red"}


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["shown", "json"])
def test_nothing_is_said_when_nobody_reads_any_more(
    house: FakeControl, config: Path, options: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "supervisor", "-c", str(config), "events", *options]

    with telling(house):
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")
