"""The guard, with a real coordinator and real workers below it: nothing survives, ever."""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor import guard
from tests.support.waiting import wait_until
from workers.descendants import is_running

pytestmark = pytest.mark.processes

WITHIN = 20.0  # seconds
ROOT = Path(__file__).parents[2]


class House:
    """A coordinator and its workers, guarded or not, run from outside."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: int) -> None:
        self.process = process
        self._output = output
        self._read = b""
        told = json.loads(self.line("{"))
        self.coordinator = int(told["coordinator"])
        self.guarded = bool(told["guard"])
        self.family = [self.coordinator, int(told["worker"]), *map(int, told["children"])]

    def line(self, words: str) -> str:
        """Return the next line of output with these words, after what the terminal echoed."""
        while True:
            while b"\n" not in self._read:
                assert select.select([self._output], [], [], WITHIN)[0], self._read
                self._read += os.read(self._output, 4096)
            line, _, self._read = self._read.partition(b"\n")
            if words in line.decode():
                return line.decode().strip()

    def is_gone(self) -> bool:
        return not any(is_running(pid) for pid in self.family)


Start = Callable[..., House]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    houses: list[House] = []
    processes: list[subprocess.Popen[bytes]] = []

    def begin(act: str = "children", *, guarded: bool = True) -> House:
        output, theirs = pty.openpty()
        process = subprocess.Popen(
            command(tmp_path, act, guarded=guarded),
            cwd=ROOT,
            env=environment(),
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_take_the_terminal,  # noqa: PLW1509 - pytest runs no thread that matters
        )
        processes.append(process)
        os.close(theirs)
        houses.append(House(process, output))
        return houses[-1]

    yield begin
    for house in houses:
        for pid in house.family:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
        os.close(house._output)
    for process in processes:
        process.kill()
        process.wait(WITHIN)


def command(folder: Path, act: str, *, guarded: bool) -> list[str]:
    house = [sys.executable, "-m", "tests.support.toy_house", str(folder), act]
    return [sys.executable, "-m", "supervisor.guard", *house] if guarded else house


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


def _take_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def wait_until_gone(house: House) -> None:
    wait_until(house.is_gone, within=WITHIN, what=f"the end of {house.family}")


@pytest.mark.invariant(10)
@pytest.mark.parametrize("act", ["children", "children and hold"])
def test_nothing_survives_a_killed_coordinator(start: Start, act: str) -> None:
    house = start(act)

    os.kill(house.coordinator, signal.SIGKILL)
    code = house.process.wait(WITHIN)

    assert code == 128 + signal.SIGKILL
    assert house.is_gone()


def test_workers_end_themselves_when_an_unguarded_coordinator_is_killed(start: Start) -> None:
    house = start(guarded=False)
    assert not house.guarded

    os.kill(house.coordinator, signal.SIGKILL)

    wait_until_gone(house)


@pytest.mark.invariant(10)
def test_nothing_survives_a_coordinator_that_ends_by_an_exception(start: Start) -> None:
    house = start(guarded=False)

    os.kill(house.coordinator, signal.SIGUSR1)

    assert house.process.wait(WITHIN) == 1
    wait_until_gone(house)


@pytest.mark.invariant(10)
@pytest.mark.parametrize("act", ["children", "children and hold"])
def test_nothing_survives_a_killed_guard(start: Start, act: str) -> None:
    house = start(act)
    assert house.guarded

    house.process.kill()

    wait_until_gone(house)


def test_the_coordinators_exit_code_is_the_guards(start: Start) -> None:
    house = start()

    house.process.terminate()

    assert house.process.wait(WITHIN) == 7
    assert house.is_gone()


def test_ctrl_c_on_the_terminal_is_one_interrupt(start: Start) -> None:
    house = start()
    assert os.getpgid(house.coordinator) != os.getpgid(house.process.pid)

    os.write(house._output, b"\x03")
    house.line("interrupted")
    house.process.terminate()

    assert house.line("interrupts") == "interrupts 1"
    assert house.process.wait(WITHIN) == 7


def test_signals_reach_the_coordinator_through_the_guard(start: Start) -> None:
    house = start()

    house.process.send_signal(signal.SIGINT)
    house.line("interrupted")
    house.process.send_signal(signal.SIGINT)
    house.line("interrupted")
    house.process.terminate()

    assert house.line("interrupts") == "interrupts 2"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (
            "os.kill(os.getpid(), 9)",
            "rabbit-supervisor: the coordinator was killed by SIGKILL; "
            "everything it had started has been ended\n",
        ),
        ("os.kill(os.getppid(), 10); time.sleep(20)", ""),  # dies of what its guard passed on
        ("sys.exit(9)", ""),
    ],
    ids=["killed", "told", "by itself"],
)
def test_a_coordinator_that_could_not_say_what_it_died_of_is_reported(act: str, said: str) -> None:
    program = f"import os, sys, time; {act}"
    run = subprocess.run(
        [sys.executable, "-m", "supervisor.guard", sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=WITHIN,
        check=False,
    )

    assert run.stderr.decode() == said


def test_a_program_that_cannot_be_started_is_named() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "supervisor.guard", "/no/such/program"],
        capture_output=True,
        env=environment(),
        timeout=WITHIN,
        check=False,
    )

    assert run.returncode == 127
    assert b"/no/such/program: cannot be started: No such file" in run.stderr


def test_a_coordinator_whose_guard_died_before_it_began_does_not_begin(tmp_path: Path) -> None:
    config = tmp_path / "supervisor.yaml"
    config.write_text(f"broker: embedded\nstate: {tmp_path}/state\n")

    run = subprocess.run(
        [sys.executable, "-m", "supervisor", "-c", str(config)],
        env=environment() | {guard.VARIABLE: f"9:{_a_pid_that_is_gone()}"},
        capture_output=True,
        timeout=WITHIN,
        check=False,
    )

    assert run.returncode == guard.EXIT_ABANDONED
    assert b"names a guard that is gone" in run.stderr
    assert not (tmp_path / "state").exists()


def _a_pid_that_is_gone() -> int:
    process = subprocess.Popen(["true"])
    process.wait(WITHIN)
    return process.pid


def test_the_guard_imports_nothing_dear() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import sys, supervisor.guard; print(*sys.modules)"],
        capture_output=True,
        env=environment(),
        timeout=WITHIN,
        check=True,
    )
    modules = set(run.stdout.decode().split())

    assert not modules & {"asyncio", "psutil", "msgspec", "multiprocessing", "aio_pika", "logging"}
