"""The command line beside a running program, and without one: answers, exit codes, clear words."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.program import REPOSITORY, Program
from tests.support.site import Site

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

POOLS = {
    "download": {"queue": "download_queue", "processor": "workers.download"},
    "toy": {},
}
FAILED, USAGE, NO_BROKER = 1, 2, 3


def test_publish_waits_for_the_outcome_and_its_exit_code_tells_it(
    configured: Configured, site: Site
) -> None:
    program = configured(POOLS).start()

    good = program.cli("publish", "download", "--link", site.link("clip"), "--wait")
    gone = program.cli("publish", "download", "--link", site.link("gone"), "--wait", "--json")
    data = program.cli("publish", "toy", "--data", '{"name": "hello"}', "--from", "me", "--wait")
    refused = program.cli("publish", "nobody", "--data", "{}")
    unreadable = program.cli("publish", "toy", "--data", "{nope")

    assert good.returncode == 0, good.stderr
    assert "completed" in good.stdout
    assert gone.returncode == FAILED
    assert json.loads(gone.stdout)["state"] == "failed"
    assert "404" in json.loads(gone.stdout)["error"]["message"]
    assert data.returncode == 0
    assert (refused.returncode, refused.stdout) == (FAILED, "")
    assert "nobody" in refused.stderr
    assert "download" in refused.stderr
    assert unreadable.returncode == USAGE
    assert "JSON" in unreadable.stderr
    assert not any("Traceback" in said.stderr for said in (good, gone, data, refused, unreadable))


def test_what_is_shown_has_the_promised_shapes(configured: Configured) -> None:
    program = configured(POOLS).start()
    (held,) = program.submit("toy", {"do": "wait", "gate": "open", "name": "held", "from": "me"})
    (dead,) = program.submit("toy", {"do": "reject"})
    program.wait_until(lambda: program.worker("toy-1").job == held, "the job to be in hand")

    status = _asked(program, "status")
    table = program.cli("status")
    processors.open_gate(program.media, "open")
    program.wait_for_state("completed", held)
    program.wait_for_state("failed", dead)
    listed = _asked(program, "jobs", "--pool", "toy")
    failed = _asked(program, "jobs", "--state", "failed")
    shown = _asked(program, "show", held)
    queue = next(one for one in _asked(program, "status")["queues"] if one["pool"] == "toy")

    worker = next(one for one in status["workers"] if one["id"] == "toy-1")
    wanted = "id pool state pid restarts job crashCount startTime lastActivity memory consuming"
    assert set(wanted.split()) <= set(worker)
    assert (worker["state"], worker["job"]) == ("processing", held)
    assert {"queue", "ready", "active", "dead", "delayed", "completed"} <= set(queue)
    assert (queue["completed"], queue["dead"], queue["active"]) == (1, 1, 0)
    assert {"totalWorkers", "activeWorkers", "successRate"} <= set(status["health"])
    assert {"download-1", "toy-1"} <= set(table.stdout.split())
    assert [job["id"] for job in listed] == [dead, held]
    assert [job["id"] for job in failed] == [dead]
    assert (shown["state"], shown["from"], shown["progress"]) == ("completed", "me", 100.0)
    assert shown["history"][0]["worker"] == "toy-1"
    assert shown["result"]["data"]["name"] == "held"
    assert held in program.cli("jobs").stdout


def test_what_is_not_there_is_said_in_words(configured: Configured) -> None:
    program = configured(POOLS)

    alone = {
        words: program.cli(*words.split())
        for words in ("status", "jobs", "show 1", "publish toy --data {}")
    }
    program.start()
    unknown = {
        words: program.cli(*words.split())
        for words in ("show no-such-job", "jobs --pool nobody", "jobs --state lost")
    }

    for said in alone.values():
        assert said.returncode == FAILED
        assert "no supervisor is running here" in said.stderr
        assert "python -m supervisor -c" in said.stderr
    assert [said.returncode for said in unknown.values()] == [FAILED, FAILED, USAGE]
    assert "no-such-job" in unknown["show no-such-job"].stderr
    assert "nobody" in unknown["jobs --pool nobody"].stderr
    assert "'lost'" in unknown["jobs --state lost"].stderr
    assert not any("Traceback" in said.stderr for said in (*alone.values(), *unknown.values()))


@pytest.mark.rabbitmq
def test_with_a_broker_jobs_are_published_without_a_supervisor(
    vhost_url: str, configured: Configured
) -> None:
    program = configured(POOLS, vhost_url)

    published = program.cli("publish", "toy", "--data", '{"name": "early"}', "--json")
    urgent = program.cli("publish", "toy", "--data", '{"name": "urgent"}', "--priority", "high")
    waiting = publisher.depth(vhost_url, "toy_queue", "toy_queue.priority")
    program.start()
    program.wait_for_count("completed", 2)

    assert (published.returncode, urgent.returncode) == (0, 0), published.stderr + urgent.stderr
    assert waiting == 2
    assert program.job(json.loads(published.stdout)["id"]).state.value == "completed"


def test_without_a_broker_publishing_says_where_it_looked(
    configured: Configured, free_port: int
) -> None:
    program = configured(POOLS, f"amqp://guest:guest@127.0.0.1:{free_port}/")

    said = program.cli("publish", "toy", "--data", "{}")

    assert said.returncode == NO_BROKER
    assert f"127.0.0.1:{free_port}" in said.stderr
    assert "guest:guest" not in said.stderr
    assert "Traceback" not in said.stderr


def test_the_doctor_names_what_is_missing(configured: Configured, free_port: int) -> None:
    program = configured(POOLS, f"amqp://guest:guest@127.0.0.1:{free_port}/")
    healthy = configured(POOLS)

    ill = program.cli("doctor", "--json", PATH="/nowhere")
    well = healthy.cli("doctor")

    answers = {answer["what"]: answer for answer in json.loads(ill.stdout)}
    assert ill.returncode == FAILED
    assert answers["broker"]["level"] == "fail"
    assert str(free_port) in answers["broker"]["found"]
    assert answers["ffmpeg"]["level"] == "fail"
    assert "apt-get install ffmpeg" in answers["ffmpeg"]["remedy"]
    assert well.returncode == 0, well.stdout


def _asked(program: Program, *words: str) -> Any:
    said: subprocess.CompletedProcess[str] = program.cli(*words, "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def test_the_example_configuration_is_right(configured: Configured) -> None:
    program = configured(POOLS)

    said = program.cli("check", "-c", str(Path(REPOSITORY) / "supervisor.yaml"))

    assert said.returncode == 0, said.stderr
    assert "download_queue" in said.stdout
    assert "guest:guest" not in said.stdout
