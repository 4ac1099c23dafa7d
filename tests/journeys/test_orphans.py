"""Every process of the program is killed at every stage of its life: nothing is left running.

What can go on (a worker or the fork server was killed) goes on; what cannot takes everything it
started with it, children in sessions of their own too, and leaves no zombie.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.journeys.conftest import Configured
from tests.support import rogues
from tests.support.processors import open_gate
from tests.support.program import Program
from tests.support.waiting import wait_until
from workers.descendants import is_running

pytestmark = [pytest.mark.journey, pytest.mark.processes, pytest.mark.timeout(90)]

POOLS = {"rogue": {"processor": "tests.support.rogues", "instances": 2}}
FAMILY = {"do": "family", "gate": "open"}
GONE = 15.0  # seconds

Find = Callable[[Program], int | None]


def guard(program: Program) -> int | None:
    return program.process.pid if program.process else None


def coordinator(program: Program) -> int | None:
    return _first(_children_of(guard(program)))


def fork_server(program: Program) -> int | None:
    below = _children_of(coordinator(program))
    return _first(each for each in below if "forkserver" in _words(each))


def worker(program: Program) -> int | None:
    return _first(_children_of(fork_server(program)))


VICTIMS: dict[str, Find] = {
    "guard": guard, "coordinator": coordinator, "fork server": fork_server, "worker": worker,
}  # fmt: skip


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_at_any_moment_of_the_start_leaves_nothing_or_is_made_good(
    victim: str, configured: Configured
) -> None:
    goes_on = victim in {"fork server", "worker"}
    # The last three: it is there, its successor in the order of birth is there, all is well.
    for stage in list(VICTIMS.values())[list(VICTIMS).index(victim) :]:
        program = configured(POOLS).start(wait=False)
        program.wait_until(lambda: stage(program), "the start to get so far")
        pid = VICTIMS[victim](program)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        if goes_on:
            program.wait_until_consuming()
            (job,) = program.submit("rogue", {})
            program.wait_for_state("completed", job)
            assert zombies(program) == []
            assert program.stop() == 0
        program.wait_until_gone()
        assert program.wait() is not None
