"""Worker processes with their families: what is killed, measured, dumped and replaced."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.toy_processes import WITHIN, Toys, foreign_process, toy_house
from tests.support.waiting import wait_until
from workers.descendants import is_running
from workers.messages import Heartbeat, Progressed

__all__ = ["foreign_process", "toy_house"]
pytestmark = pytest.mark.processes


async def gone(pids: list[int]) -> None:
    await asyncio.to_thread(
        wait_until,
        lambda: not any(is_running(pid) for pid in pids),
        within=WITHIN,
        what=f"the end of {pids}",
    )


# --- families ----------------------------------------------------------------------------------


async def test_killing_a_worker_kills_all_it_started(house: Toys) -> None:
    worker = await house.spawn("children")
    family = await house.children_of(worker)
    assert all(is_running(pid) for pid in family)

    await house.processes.kill("toy-1")

    assert len(family) == 3
    assert not any(is_running(pid) for pid in family)


async def test_what_a_dead_worker_leaves_behind_is_gone_before_its_death_is_told(
    stranger: int, house: Toys
) -> None:
    worker = await house.spawn("children")
    bystander = await house.spawn("children", number=2)
    family = await house.children_of(worker)
    others = await house.children_of(bystander)

    os.kill(worker.pid, signal.SIGKILL)
    await house.until(lambda: house.deaths)

    assert not any(is_running(pid) for pid in family)
    assert all(is_running(pid) for pid in (stranger, bystander.pid, *others))


@pytest.mark.invariant(9)
async def test_a_worker_whose_coordinator_hangs_up_ends_with_its_family(house: Toys) -> None:
    worker = await house.spawn("children")
    family = await house.children_of(worker)

    worker.pipe.abort()
    await house.until(lambda: house.deaths)

    await gone([worker.pid, *family])


# --- looking in --------------------------------------------------------------------------------


async def test_a_stack_is_dumped_although_c_code_holds_the_interpreter(house: Toys) -> None:
    worker = await house.spawn("hold")
    await house.ready(worker)

    stack = ""
    async with asyncio.timeout(WITHIN):
        while "a_function_with_a_name_to_find" not in stack:  # it says ready a little before
            stack = await house.processes.dump_stack("toy-1")

    assert "Current thread" in stack


async def test_a_stack_can_be_dumped_twice_and_the_worker_lives_on(house: Toys) -> None:
    worker = await house.spawn()
    await house.ready(worker)

    first = await house.processes.dump_stack("toy-1")
    second = await house.processes.dump_stack("toy-1")

    assert first.count("Current thread") == second.count("Current thread") == 1
    assert house.deaths == []


async def test_a_stopped_worker_has_no_stack_and_that_is_said(house: Toys) -> None:
    worker = await house.spawn()
    await house.ready(worker)
    os.kill(worker.pid, signal.SIGSTOP)

    answer = await house.processes.dump_stack("toy-1", wait=0.2)

    assert answer == f"no stack within 0.2 s: process {worker.pid} is stopped"


async def test_usage_counts_a_worker_and_its_children(house: Toys) -> None:
    idle, busy = await house.spawn(), await house.spawn("spin", number=2)
    await house.ready(idle)
    await house.ready(busy)
    usage = await house.processes.usage()
    async with asyncio.timeout(WITHIN):
        while usage["toy-2"].memory < 100_000_000 or usage["toy-2"].cpu < 0.1:
            await asyncio.sleep(0.1)  # a share of the processor is measured over time
            usage = await house.processes.usage()

    assert usage["toy-2"].processes == 2
    assert usage["toy-2"].memory > 100_000_000 > usage["toy-1"].memory > 1_000_000
    assert usage["toy-2"].cpu > usage["toy-1"].cpu
    assert usage["toy-2"].cpu < 1.5


async def test_a_flooding_worker_does_not_starve_another(house: Toys) -> None:
    flooding, quiet = await house.spawn("flood"), await house.spawn(number=2)
    await house.until(lambda: len(house.of(flooding, Progressed)) > 10_000)
    heard = len(house.of(quiet, Heartbeat))

    async with asyncio.timeout(1.0):
        await house.until(lambda: len(house.of(quiet, Heartbeat)) >= heard + 5)


async def test_a_killed_worker_is_replaced_at_once(house: Toys) -> None:
    started, speaking = [], []
    for _ in range(6):
        began, heir = await house.replace()
        started.append(time.monotonic() - began)
        await house.ready(heir)
        speaking.append(time.monotonic() - began)

    for name, times in (("started", started), ("speaking", speaking)):
        print(name, *(f"{each * 1000:.0f} ms" for each in times))  # noqa: T201 - shown by -s
    assert min(speaking) < 0.5


async def test_no_process_holds_a_pipe_that_is_not_its_own(house: Toys) -> None:
    first, second = await house.spawn(), await house.spawn(number=2)
    await house.ready(first)
    await house.ready(second)

    ours, one, other = map(sockets_of, (os.getpid(), first.pid, second.pid))

    assert one
    assert other
    assert not one & other
    assert not ours & (one | other)


def sockets_of(pid: int) -> set[str]:
    entries = list(Path(f"/proc/{pid}/fd").iterdir())
    targets = (entry.readlink().name for entry in entries if entry.is_symlink())
    return {name for name in targets if name.startswith("socket:")}
