"""What a worker and all its children use of the machine, and how it is told to be nice.

Memory is the sum of the resident sets: what ``top`` shows for each, cheap to read, and an upper
bound, since pages that several processes share (code, what the fork server had loaded) count
once for each. The exact figure (PSS) walks every page table and was left alone.
"""

import contextlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from workers.descendants import descendants

NICEST = 19
STEPS_PER_HALVING = 5  # one nice step is a factor of 1.25 to the kernel; five of them make 3


@dataclass(frozen=True, slots=True)
class Usage:
    """One worker with its children: bytes, and shares of one processor (1.0 = one core busy)."""

    memory: int
    cpu: float
    processes: int


@dataclass(frozen=True, slots=True)
class _Reading:
    memory: int
    busy: float  # seconds of processor time since the worker started
    processes: int


class Meter:
    """Measures worker trees; cpu is an average since the last time the same tree was measured."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, float]] = {}  # pid -> (when, busy)

    def measure(self, pids: Mapping[str, int], *, now: float) -> dict[str, Usage]:
        """Return the usage of each living tree by its name; blocks, so call it in a thread."""
        readings = {name: _read(pid) for name, pid in pids.items()}
        last, self._last = self._last, {}
        usages = {}
        for name, reading in readings.items():
            if reading.processes:
                pid = pids[name]
                self._last[pid] = (now, reading.busy)
                cpu = _share(last.get(pid), now, reading.busy)
                usages[name] = Usage(reading.memory, cpu, reading.processes)
        return usages


def _share(last: tuple[float, float] | None, now: float, busy: float) -> float:
    if last is None or now <= last[0]:
        return 0.0
    # A reaped child's time moves to its parent, but one that nobody reaped takes its with it.
    return max(0.0, (busy - last[1]) / (now - last[0]))


def _read(pid: int) -> _Reading:
    memory, busy, count = 0, 0.0, 0
    for each in (pid, *descendants(pid)):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(each)
            with process.oneshot():
                times = process.cpu_times()
                memory += process.memory_info().rss
            busy += times.user + times.system + times.children_user + times.children_system
            count += 1
    return _Reading(memory, busy, count)


def own_memory() -> int:
    """Return the resident set of this process, in bytes."""
    memory: int = psutil.Process().memory_info().rss
    return memory


def niceness(share: float) -> int:
    """Return the nice value for a share of a processor: 1.0 is 0, a half 5, a quarter 10."""
    if share >= 1.0:
        return 0
    if share <= 0.0:
        return NICEST
    return min(NICEST, round(-STEPS_PER_HALVING * math.log2(share)))


def apply_niceness(share: float) -> None:
    """Make this process as nice as its share asks; one that is nicer already stays so."""
    wanted = max(niceness(share), os.getpriority(os.PRIO_PROCESS, 0))
    os.setpriority(os.PRIO_PROCESS, 0, wanted)


def state_of(pid: int) -> str:
    """Return the kernel's word for what a process is doing: running, sleeping, stopped, gone."""
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return "gone"
