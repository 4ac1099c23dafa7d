"""Work on demand: a pool is worked off by a command that ends, or by the supervisor there is."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping

import httpx
import pytest

from tests.journeys.conftest import Configured
from tests.support import publisher
from tests.support.ports import free_port
from tests.support.processors import open_gate
from tests.support.program import REPOSITORY, Program
from tests.support.rabbitmq import PrivateRabbit
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

IDLE: Mapping[str, object] = {"instances": 0}


def work(program: Program, *words: str) -> tuple[int, dict[str, object]]:
    """Run `work --json` and return its exit code and its summary."""
    done = program.cli("work", *words, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def begun(program: Program, pool: str) -> subprocess.Popen[bytes]:
    """Begin `work --json` and return its process."""
    command = [sys.executable, "-m", "supervisor", "-c", str(program.config), "work", pool]
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, "--json"], cwd=REPOSITORY, stdout=pipe, stderr=pipe)


def test_a_command_works_a_queue_off_and_ends(driver: str, configured: Configured) -> None:
    yearly = {"pool": "others", "cron": "0 3 1 1 *"}
    program = configured({"jobs": IDLE, "others": IDLE}, driver, schedules={"yearly": yearly})
    program.start()
    assert program.cli("schedule", "pause", "yearly").returncode == 0
    program.submit("jobs", *({"do": "nothing"} for _ in range(5)))
    assert program.stop() == 0

    code, first = work(program, "jobs", "--max-jobs", "3")
    assert (code, first["ended"], first["completed"], first["waiting"]) == (0, "jobs", 3, 2)

    code, rest = work(program, "jobs", "--until-empty", "--instances", "2")
    assert (code, rest["ended"], rest["completed"], rest["waiting"]) == (0, "empty", 2, 0)
    assert program.count("completed") == 5
    assert program.ledger("SELECT name, paused FROM schedules") == [("yearly", 1)]  # as it was
    program.wait_until_gone()


def test_how_a_command_ends_tells_what_came_of_it(configured: Configured) -> None:
    program = configured({"failing": IDLE, "deadly": IDLE, "slow": IDLE}, stop_grace="1s")
    program.may_raise = True
    program.start()
    program.submit("failing", {"do": "fail", "times": 1}, {"do": "reject"}, {"do": "nothing"})
    program.submit("deadly", {"do": "die"}, *({"do": "nothing"} for _ in range(4)))
    program.submit("slow", {"do": "sleep", "seconds": 60})
    assert program.stop() == 0

    code, told = work(program, "failing")  # what is tried again soon is waited for
    assert (code, told["completed"], told["failed"], told["retried"]) == (4, 2, 1, 1)
    assert told["failures"] == list(program.ids("failed"))

    _, told = work(program, "deadly", "--max-jobs", "2", "--max-seconds", "20")
    assert told["begun"] == 2  # although its worker died, and another took its place
    assert program.count("completed") == 3

    code, told = work(program, "slow", "--max-seconds", "1")  # its job goes back
    assert (code, told["ended"], told["completed"], told["waiting"]) == (0, "time", 0, 1)


@pytest.mark.rabbitmq
def test_a_command_takes_nothing_of_other_pools_though_it_hands_jobs_to_them(
    vhost4_url: str, configured: Configured
) -> None:
    cut = {**IDLE, "processor": "tests.support.filmworks:cut", "then": "preview"}
    program = configured({"cutter": cut, "preview": IDLE, "others": {}}, vhost4_url)
    for queue in ("preview_queue_dlq", "others_queue_dlq"):
        publisher.publish(vhost4_url, queue, {"name": "of another machine"})
    for pieces in (3, 4):
        film = {"filePath": f"f{pieces}.mp4", "pieces": pieces}
        publisher.publish(vhost4_url, "cutter_queue", film)

    code, told = work(program, "cutter")

    assert (code, told["completed"], told["unpublished"]) == (0, 2, 0)
    assert publisher.depth(vhost4_url, "preview_queue") == 7
    for queue in ("preview_queue_dlq", "others_queue_dlq"):
        assert publisher.depth(vhost4_url, queue) == 1
    assert program.count("failed") == 0
    assert program.count("waiting") == 7


@pytest.mark.rabbitmq
def test_a_command_waits_for_what_follows_to_be_in_its_queue_and_says_what_is_not(
    rabbit: PrivateRabbit, configured: Configured
) -> None:
    url = rabbit.fresh_vhost()
    cut = {**IDLE, "processor": "tests.support.filmworks:cut", "then": "preview"}
    program = configured({"cutter": cut, "preview": IDLE}, url)
    full, vhost = '{"max-length": 0, "overflow": "reject-publish"}', url.rpartition("/")[2]
    rabbit.ctl("set_policy", "-p", vhost, "full", "^preview_queue$", full, "--apply-to", "queues")
    publisher.publish(url, "cutter_queue", {"filePath": "f.mp4"})

    with begun(program, "cutter") as running:
        wait_until(lambda: program.count("completed") == 1, within=30, what="the job")
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(5)  # its queue is empty for longer than is waited for
        running.send_signal(signal.SIGTERM)
        told, _ = running.communicate(timeout=30)

    assert (running.returncode, json.loads(told)["unpublished"]) == (3, 3)
    assert program.count("pending") == 3


def test_a_broker_that_is_away_is_exit_code_3_and_a_wrong_file_78(configured: Configured) -> None:
    away = configured({"jobs": IDLE}, f"amqp://guest:guest@127.0.0.1:{free_port()}/")
    code, told = work(away, "jobs", "--max-seconds", "1")
    assert (code, told["ended"]) == (3, "broker")

    wrong = configured({"jobs": {"processor": "no.such.module"}})
    assert wrong.cli("work", "jobs").returncode == 78
    assert wrong.cli("work", "nobody").returncode == 78


def test_the_supervisor_there_is_does_it_one_run_of_a_pool_at_a_time(
    configured: Configured,
) -> None:
    program = configured({"jobs": IDLE, "residents": {"instances": 1}}).start()
    gated, _ = program.submit("jobs", {"do": "wait", "gate": "g"}, {"do": "nothing"})
    running = begun(program, "jobs")
    program.wait_for_state("active", gated)

    assert program.cli("work", "jobs").returncode == 1  # one at a time
    transport = httpx.HTTPTransport(uds=str(program.socket))
    with httpx.Client(transport=transport, base_url="http://s") as http:
        assert http.post("/api/workers").status_code == 409  # the one pool without workers
        assert http.get("/api/pools/jobs/run").json()["begun"] == 1

    open_gate(program.media, "g")
    told, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    assert json.loads(told)["completed"] == 2
    assert [worker.id for worker in program.status().workers] == ["residents-1"]

    (resident,) = program.submit("residents", {"do": "nothing"})
    _, own = work(program, "residents")  # those who have workers keep them
    assert (own["ended"], own["waiting"]) == ("empty", 0)
    program.wait_for_state("completed", resident)
    _restarted(program)


def _restarted(program: Program) -> None:
    """Check that an operator's restart lets the job end first."""
    (slow,) = program.submit("residents", {"do": "wait", "gate": "r"})
    program.wait_for_state("active", slow)
    assert program.cli("restart", "residents-1").returncode == 0
    open_gate(program.media, "r")
    program.wait_for_state("completed", slow)
    program.wait_until(lambda: program.worker("residents-1").restarts == 1, "a new process")
    restart = program.worker("residents-1").last_restart
    assert restart is not None
    assert restart.cause == "operator"


def test_a_pool_is_scaled_while_it_works(driver: str, configured: Configured) -> None:
    program = configured({"jobs": {"instances": 1}}, driver).start()
    (slow,) = program.submit("jobs", {"do": "wait", "gate": "g"})
    program.wait_for_state("active", slow)

    assert program.cli("scale", "jobs", "2").returncode == 0
    program.wait_until_consuming()
    program.submit("jobs", {"do": "nothing"})
    program.wait_for_count("completed", 1)

    told = program.cli("scale", "jobs", "0")
    assert "when their jobs are done" in told.stdout
    program.wait_until(lambda: len(program.status().workers) == 1, "the idle worker to leave")
    open_gate(program.media, "g")
    program.wait_for_state("completed", slow)
    program.wait_until(lambda: not program.status().workers, "the other one to leave")
    assert program.job(slow).crashes == 0

    program.send(signal.SIGTTIN)
    program.wait_until(lambda: len(program.status().workers) == 1, "a worker more")
    program.send(signal.SIGTTOU)
    program.wait_until(lambda: not program.status().workers, "a worker less")
