"""Every process of the program is killed at every stage of its life: nothing is left running.

What can go on (a worker or the fork server was killed) goes on; what cannot takes everything it
started with it, children in sessions of their own too. No zombie stays.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterable
from functools import partial

import psutil
import pytest

from tests.journeys.conftest import Configured
from tests.support import rogues
from tests.support.processors import open_gate
from tests.support.program import Program
from workers.descendants import is_running

pytestmark = [pytest.mark.journey, pytest.mark.processes, pytest.mark.timeout(90)]

POOLS = {"rogue": {"processor": "tests.support.rogues"}}
FAMILY = {"do": "family", "gate": "open"}
GOES_ON = {"fork server", "worker"}


def guard(program: Program) -> int | None:
    return program.process.pid if program.process else None


def coordinator(program: Program) -> int | None:
    return next(iter(children_of(guard(program))), None)


def fork_server(program: Program) -> int | None:
    below = children_of(coordinator(program))
    return next((pid for pid in below if "forkserver" in words_of(pid)), None)


def worker(program: Program) -> int | None:
    return next(iter(children_of(fork_server(program))), None)


# In the order in which they are born.
FINDS: dict[str, Callable[[Program], int | None]] = {
    "guard": guard, "coordinator": coordinator, "fork server": fork_server, "worker": worker,
}  # fmt: skip


def kill(victim: str, program: Program) -> None:
    pid = FINDS[victim](program)
    assert pid is not None, program.log
    os.kill(pid, signal.SIGKILL)


def with_family(configured: Configured) -> tuple[Program, str]:
    """Start a program whose worker runs a job that has children."""
    program = configured(POOLS).start()
    (job,) = program.submit("rogue", FAMILY)
    program.wait_until(lambda: len(rogues.family(program.media)) == 2, "the children to run")
    return program, job


def assert_nothing_is_left(program: Program, *, family: Iterable[int]) -> None:
    program.wait()
    program.wait_until_gone()
    assert not [pid for pid in family if is_running(pid)]


def assert_it_goes_on(program: Program) -> None:
    program.wait_until_consuming()
    (job,) = program.submit("rogue", {})
    program.wait_for_state("completed", job)
    program.wait_until(lambda: not zombies(program), f"no zombies: {zombies(program)}")


# --- the matrix --------------------------------------------------------------------------------


@pytest.mark.invariant(10)
@pytest.mark.parametrize("victim", FINDS)
def test_a_kill_at_any_moment_of_the_start_leaves_nothing_or_is_made_good(
    victim: str, configured: Configured
) -> None:
    born = list(FINDS)
    for stage in born[born.index(victim) :]:  # it is there, and so is each that comes after it
        program = configured(POOLS).start(wait=False)
        program.wait_until(partial(FINDS[stage], program), f"the {stage} to be born")
        kill(victim, program)
        if victim in GOES_ON:
            assert_it_goes_on(program)
            assert program.stop() == 0
        assert_nothing_is_left(program, family=())


@pytest.mark.invariant(10)
@pytest.mark.parametrize("victim", FINDS)
def test_a_kill_in_the_middle_of_a_job_leaves_nothing_or_is_made_good(
    victim: str, configured: Configured
) -> None:
    program, job = with_family(configured)
    family = rogues.family(program.media)

    kill(victim, program)

    if victim not in GOES_ON:
        assert_nothing_is_left(program, family=family)
        return
    if victim == "worker":
        program.wait_for_line("worker crashed", worker="rogue-1")
        assert not [pid for pid in family if is_running(pid)]
    open_gate(program.media, "open")
    program.wait_for_state("completed", job)
    assert_it_goes_on(program)
    blamed = {"fork server": 0, "worker": 1}[victim]
    assert program.job(job).crashes == program.worker("rogue-1").restarts == blamed
    assert program.stop() == 0
    assert_nothing_is_left(program, family=rogues.family(program.media))


@pytest.mark.invariant(10)
@pytest.mark.parametrize("victim", FINDS)
def test_a_kill_in_the_middle_of_the_stop_leaves_nothing(
    victim: str, configured: Configured
) -> None:
    program, job = with_family(configured)
    program.send(signal.SIGTERM)
    program.wait_until(lambda: program.status().state == "draining", "the stop to begin")

    kill(victim, program)
    if victim == "fork server":
        open_gate(program.media, "open")
        assert program.wait() == 0

    assert_nothing_is_left(program, family=rogues.family(program.media))
    assert (job in program.ids("completed")) == (victim == "fork server")


# --- looking -----------------------------------------------------------------------------------


def children_of(pid: int | None) -> list[int]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [] if pid is None else [child.pid for child in psutil.Process(pid).children()]
    return []


def words_of(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline())
    return ""


def zombies(program: Program) -> list[int]:
    """Return what is dead below the program and was not taken leave of."""
    assert program.process is not None
    found = []
    for process in psutil.Process(program.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() == psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found
