"""The program is told to stop, or is killed: jobs end or go back, and nothing is left running."""

import signal

import pytest

from tests.journeys.conftest import Configured
from tests.support import processors, publisher
from tests.support.program import Program
from tests.support.site import Site

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

HELD = {"do": "wait", "gate": "open", "name": "held"}
DOWNLOAD = {"download": {"queue": "download_queue", "processor": "workers.download"}}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_a_stop_lets_the_job_in_hand_end(number: signal.Signals, configured: Configured) -> None:
    program = configured({"toy": {}}).start()
    first, second = program.submit("toy", HELD, {"name": "next"})
    program.wait_until(lambda: processors.runs(program.media), "the job to run")

    program.send(number)
    program.wait_until(lambda: program.status().state == "draining", "the stop to begin")
    processors.open_gate(program.media, "open")
    assert program.wait() == 0

    states = dict(program.ledger("SELECT id, state FROM jobs"))
    assert states[first] == "completed"
    assert states[second] != "completed"
    assert program.survivors() == []
    program.start()
    program.wait_for_state("completed", second)
    assert [run.name for run in processors.runs(program.media)] == ["held", "next"]


@pytest.mark.rabbitmq
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_a_second_signal_stops_now_and_the_job_goes_back(
    number: signal.Signals, vhost_url: str, configured: Configured, site: Site
) -> None:
    program = configured(DOWNLOAD, vhost_url).start()
    publisher.publish(vhost_url, "download_queue", {"link": site.link("held")})
    assert site.halfway.acquire(timeout=20)
    program.wait_until(lambda: program.worker("download-1").job, "the job to be in hand")

    program.send(number)
    program.wait_until(lambda: program.status().state == "draining", "the stop to begin")
    program.send(number)
    assert program.wait(within=10) == 0

    assert program.survivors() == []
    assert publisher.depth(vhost_url, "download_queue", "download_queue.priority") == 1
    site.release.set()
    program.start()
    program.wait_for_count("completed", 1)
    crashes = program.ledger("SELECT attempts, crashes FROM jobs")
    assert crashes == [(0, 0)]


@pytest.mark.rabbitmq
def test_a_stop_lets_a_job_of_the_broker_end_and_leaves_the_others(
    vhost_url: str, configured: Configured
) -> None:
    program = configured({"toy": {}}, vhost_url).start()
    publisher.publish(vhost_url, "toy_queue", HELD)
    program.wait_until(lambda: processors.runs(program.media), "the job to run")
    publisher.publish(vhost_url, "toy_queue", *({"name": f"{n}"} for n in range(5)))

    program.send(signal.SIGTERM)
    program.wait_until(lambda: program.status().state == "draining", "the stop to begin")
    processors.open_gate(program.media, "open")
    assert program.wait() == 0

    assert program.count("completed") == 1
    assert publisher.depth(vhost_url, "toy_queue", "toy_queue.priority") == 5


def test_a_job_that_outlasts_the_grace_goes_back(configured: Configured) -> None:
    program = configured({"toy": {}}, stop_grace="1s").start()
    (job_id,) = program.submit("toy", {"do": "parent", "name": "endless"})
    program.wait_until(lambda: _commands(program, "sleep 987"), "the child to run")

    assert program.stop() == 0

    assert program.survivors() == []
    (state, crashes) = program.ledger("SELECT state, crashes FROM jobs WHERE id = ?", job_id)[0]
    assert state in {"waiting", "active", "pending"}
    assert crashes == 0


@pytest.mark.invariant(10)
@pytest.mark.parametrize("victim", ["coordinator", "guard"])
def test_nothing_survives_a_kill_of_the_coordinator_or_of_its_guard(
    victim: str, configured: Configured, site: Site
) -> None:
    program = configured(DOWNLOAD | {"toy": {}}, stop_grace="1s").start()
    held, parent = (
        program.submit("download", {"link": site.link("held")}),
        program.submit("toy", {"do": "parent"}),
    )
    assert site.halfway.acquire(timeout=20)
    program.wait_until(lambda: _commands(program, "sleep 987"), "the child to run")
    assert program.process is not None
    coordinator, guard = program.status().pid, program.process.pid
    assert coordinator != guard

    if victim == "guard":
        program.process.kill()
    else:
        next(p for p in program.survivors() if p.pid == coordinator).kill()
    program.wait(within=15)
    program.wait_until_gone()
    assert ("the coordinator was killed by SIGKILL" in program.log) == (victim == "coordinator")
    assert len(program.lines("guard is gone, stopping at once")) == (victim == "guard")

    site.release.set()
    program.start()
    program.wait_for_state("completed", *held)
    assert program.job(parent[0]).crashes == 0


def _commands(program: Program, words: str) -> bool:
    return any(words in " ".join(process.cmdline()) for process in program.survivors())


def test_a_supervisor_that_is_asked_says_how_its_workers_stand(configured: Configured) -> None:
    program = configured({"toy": {}}).start()
    program.submit("toy", HELD)
    program.wait_until(lambda: processors.runs(program.media), "the job to run")

    program.send(signal.SIGUSR2)
    line = program.wait_for_line("worker described", worker="toy-1")

    assert line["state"] == "processing"
    assert "most recent call first" in line["stack"]
    program.send(signal.SIGUSR1)
    program.wait_for_line("signal has no meaning yet", signal="SIGUSR1")
    processors.open_gate(program.media, "open")
    assert program.stop() == 0
