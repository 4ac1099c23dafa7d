"""What the command line shows of the house and its workers, for people and for programs."""

import json
from pathlib import Path

from supervisor.core.records import Incident
from tests.support.control import NOW, FakeControl
from tests.support.terminals import call, config, control, house

__all__ = ["config", "control", "house"]


def test_status_shows_workers_with_their_jobs_and_queues(house: FakeControl, config: Path) -> None:
    call(config, "publish", "download", "--link", "https://h/v", "--id", "holiday-clip")

    result = call(config, "status")

    assert result.exit_code == 0
    shown = " ".join(result.output.split())
    for words in (
        "running for 2h 3m",
        "broker amqp://localhost:5672/ connected",
        "48213 184 / 512 MB 43%",
        "crashed, next in 8.4s",
        "holiday-clip",
        "killed by SIGKILL while it ran a job",
        "crash loop: 5 crashes in a row, next start in 40s",
        "paused",
    ):
        assert words in shown


def test_status_in_a_pipe_holds_no_control_codes_and_is_not_cut(
    house: FakeControl, config: Path
) -> None:
    result = call(config, "status")

    assert "\x1b" not in result.output
    assert "…" not in result.output


def test_status_fits_a_small_terminal(house: FakeControl, config: Path) -> None:
    result = call(config, "status")

    assert max(len(line.rstrip()) for line in result.output.splitlines()) <= 80


def test_status_as_json_has_the_shape_that_programs_rely_on(
    house: FakeControl, config: Path
) -> None:
    status = json.loads(call(config, "status", "--json").output)

    assert {"id", "pool", "state", "pid", "restarts", "job"} <= set(status["workers"][0])
    assert {"queue", "ready", "active", "dead"} <= set(status["queues"][0])


def test_workers_are_listed_with_why_they_were_restarted(house: FakeControl, config: Path) -> None:
    shown = " ".join(call(config, "workers").output.split())
    told = json.loads(call(config, "workers", "--json").output)

    assert "48213 184 / 512 MB 43%" in shown
    assert "used 1.1 GB, the limit is 1 GB" in shown
    assert "download_queue" not in shown
    assert [worker["id"] for worker in told] == [worker.id for worker in house.view.workers]


STACK = 'Current thread 0x1 (most recent call first):\n  File "clip.py", line 7 in wait_for_it'
HANG = Incident(
    "download-1", "download", "hang", "no heartbeat for 31 s", NOW, "SIGKILL", 77, ("j1",), STACK
)
CRASH = Incident("gone-7", "gone", "crash", "exit code 3", NOW, "exit code 3", 78)


def test_a_worker_is_shown_with_what_befell_it_and_the_stack_it_hung_in(
    house: FakeControl, config: Path
) -> None:
    house.befell = [HANG, CRASH]

    shown = call(config, "workers", "download-1").output

    for line in ("download-1  processing", *STACK.splitlines()):
        assert line in shown
    words = " ".join(shown.split())
    for said in ("pid 48213", "hang", "why no heartbeat for 31 s exit SIGKILL", "jobs j1"):
        assert said in words
    assert "exit code 3" not in words
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_incidents_are_there_for_programs_also_of_workers_that_are_gone(
    house: FakeControl, config: Path
) -> None:
    house.befell = [HANG, HANG, CRASH]

    here = json.loads(call(config, "workers", "download-1", "--limit", "1", "--json").output)
    gone = json.loads(call(config, "workers", "gone-7", "--json").output)

    (hang,) = here["incidents"]
    assert (hang["workerId"], hang["stack"]) == ("download-1", STACK)
    assert here["worker"]["id"] == "download-1"
    assert (gone["worker"], gone["incidents"][0]["error"]) == (None, "exit code 3")
    assert "gone-7  is not there now" in call(config, "workers", "gone-7").output


def test_the_workers_of_a_pool_are_listed_by_its_name(house: FakeControl, config: Path) -> None:
    all_of_them = json.loads(call(config, "workers", "--json").stdout)
    of_pool = json.loads(call(config, "workers", "download", "--json").stdout)

    assert of_pool == [worker for worker in all_of_them if worker["pool"] == "download"]
    assert of_pool


def test_a_worker_that_nobody_knows_is_answered_with_those_there_are(
    house: FakeControl, config: Path
) -> None:
    result = call(config, "workers", "downlod-1")

    assert result.exit_code == 1
    assert "no worker downlod-1 is known; there are: download-1, download-2" in result.output
