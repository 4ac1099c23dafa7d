"""``logs``: what the processes said, while they live, after their death, and as it is said."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.journeys.conftest import Configured
from tests.support.ports import free_port
from tests.support.program import REPOSITORY, Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

# What a shell starts in the background ignores this signal, and all that is started by it.
AWARE = ("env", "--default-signal=INT")


class Reader:
    """A command that goes on; its lines are taken in by a thread."""

    def __init__(self, program: Program, *words: str) -> None:
        self.lines: list[dict[str, object]] = []
        self._process = subprocess.Popen(
            [*AWARE, sys.executable, "-m", "supervisor", "-c", str(program.config), *words],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def events(self, process: str) -> list[object]:
        return [line["event"] for line in self.lines if line["process"] == process]

    def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        self._thread.join(20)
        return self._process.wait(20)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            self.lines += map(json.loads, lines)


def test_what_was_said_is_shown_and_followed_and_outlives_everybody(configured: Configured) -> None:
    program = configured({"toy": {"retry": {"attempts": 1}}}).start()
    program.may_raise = True
    (failed,) = program.submit("toy", {"do": "fail", "times": 9})
    program.wait_for_state("failed", failed)
    following = Reader(program, "logs", "toy-1", "-f", "-n", "3", "--json")
    program.wait_until(lambda: following.lines, "the last line")
    (deadly,) = program.submit("toy", {"do": "exit", "code": 3})
    program.wait_until(lambda: "worker crashed" in following.events("supervisor"), "a crash")
    interrupted = following.interrupt()
    living = program.cli("logs", "toy-1")
    of_job = program.cli("logs", "--job", deadly, "--level", "warning", "--json", "-n", "1")
    unknown = program.cli("logs", "toy-9")

    assert "processor raised" in following.events("toy-1")
    assert interrupted == 130
    assert " toy-1       processor raised" in living.stdout
    assert failed in living.stdout
    assert "job failed  " in living.stdout
    assert "worker crashed  worker=toy-1" in living.stdout
    assert deadly in of_job.stdout
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "there are: supervisor, toy-1" in unknown.stderr

    for process in program.survivors():
        os.kill(process.pid, signal.SIGKILL)
    program.wait_until_gone()
    dead = program.cli("logs", "toy-1", "--since", "10m")

    assert dead.stdout.startswith(living.stdout[: living.stdout.index("\n")])
    assert "worker crashed  worker=toy-1" in dead.stdout


def test_what_is_followed_at_an_address_goes_on_when_the_supervisor_is_back(
    configured: Configured,
) -> None:
    port = free_port()
    program = configured({"toy": {}}, http={"listen": f"127.0.0.1:{port}"}).start()
    following = Reader(
        program, "logs", "supervisor", "-f", "--json", "--url", f"http://127.0.0.1:{port}"
    )
    program.wait_until(lambda: following.lines, "the first lines")

    program.stop()
    program.start()
    program.wait_until(
        lambda: following.events("supervisor").count("supervisor starts") == 2, "the second start"
    )
    interrupted = following.interrupt()

    assert "supervisor stopped" in following.events("supervisor")
    assert interrupted == 130


def test_a_supervisor_that_keeps_no_logs_says_so(configured: Configured) -> None:
    program = configured({"toy": {}}, logs={"format": "json", "keep": 0})
    nothing = program.cli("logs")

    assert nothing.returncode == 1
    assert "logs.keep is 0" in nothing.stderr
