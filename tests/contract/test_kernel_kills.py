"""Real workers killed by us, by the kernel and by others: each is told from the others.

The kernel is a folder here: its count of kills is written by the test.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from supervisor.cgroup import KernelKills, counters
from supervisor.processes import Death, Processes, WorkerProcess
from tests.support.toy_processes import WITHIN
from tests.support.toys import ENTRY, spec_for
from workers.messages import FromWorker, Ready

pytestmark = pytest.mark.processes
MEMBERSHIP = "0::/system.slice/ours.service\n"


class Kernel:
    """What the kernel shows of our group."""

    def __init__(self, folder: Path) -> None:
        self.membership, self.mounted = folder / "cgroup", folder / "sys"
        self.membership.write_text(MEMBERSHIP)
        self._events = next(counters(MEMBERSHIP, self.mounted))
        self._events.parent.mkdir(parents=True)
        self.count(0)

    def count(self, killed: int) -> None:
        self._events.write_text(f"oom {killed}\noom_kill {killed}\n")


class Pen:
    """One worker at a time, and its death."""

    def __init__(self, folder: Path, kernel: Kernel) -> None:
        self._folder = folder
        self._deaths: asyncio.Queue[Death] = asyncio.Queue()
        kills = KernelKills(kernel.membership, kernel.mounted)
        toys = ("tests.support.toys",)
        self.processes = Processes(self._deaths.put_nowait, entry=ENTRY, preload=toys, kernel=kills)

    async def spawn(self) -> WorkerProcess:
        ready = asyncio.Event()

        def receive(message: FromWorker) -> None:
            if isinstance(message, Ready):
                ready.set()

        worker = await self.processes.spawn(spec_for(self._folder, "beat"), receive=receive)
        await asyncio.wait_for(ready.wait(), WITHIN)
        return worker

    async def death(self) -> Death:
        return await asyncio.wait_for(self._deaths.get(), WITHIN)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


@pytest.fixture
async def pen(tmp_path: Path, kernel: Kernel) -> AsyncIterator[Pen]:
    opened = Pen(tmp_path, kernel)
    await opened.processes.start()
    yield opened
    await opened.processes.close()


async def test_a_kill_that_the_kernel_counts_was_for_want_of_memory(
    pen: Pen, kernel: Kernel
) -> None:
    worker = await pen.spawn()
    await pen.processes.usage()
    kernel.count(1)

    os.kill(worker.pid, signal.SIGKILL)

    death = await pen.death()
    assert death.is_out_of_memory
    assert death.words == "killed by the kernel, out of memory (SIGKILL)"


async def test_a_kill_that_the_kernel_does_not_count_was_somebody_elses(pen: Pen) -> None:
    worker = await pen.spawn()

    os.kill(worker.pid, signal.SIGKILL)

    death = await pen.death()
    assert (death.is_out_of_memory, death.words) == (False, "killed by SIGKILL (9)")


async def test_a_kill_of_our_own_is_not_the_kernels_whatever_it_counts(
    pen: Pen, kernel: Kernel
) -> None:
    worker = await pen.spawn()
    kernel.count(1)

    await pen.processes.kill(worker.spec.worker_id)

    death = await pen.death()
    assert (death.is_out_of_memory, death.words) == (False, "killed by SIGKILL (9)")
