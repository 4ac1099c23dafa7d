"""The monkey: carries a plan of faults out on a running program, its broker and its publishers.

It starts again what a service manager would start again, and only when nothing of the old life is
left: whatever outlives the coordinator is a mishap. It is fair: it kills no worker whose jobs it
has hit before, for three such crashes would make a dead letter of an innocent.
"""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import psutil

from supervisor.client import NoSupervisorError
from supervisor.ports import ControlError
from tests.chaos import diary
from tests.chaos.plan import Fault, Planned
from tests.chaos.publishers import Publishers
from tests.support.fault_proxy import FaultProxy
from tests.support.program import Program
from tests.support.rabbitmq import PrivateRabbit

GONE = 20.0  # seconds for everything below a killed coordinator or guard to be gone
KILLED = 137  # the guard's exit code when its coordinator was killed


@dataclass(frozen=True, slots=True)
class Prey:
    """What the monkey may break; without a broker of its own there is nothing to break but us."""

    program: Program
    publishers: Publishers
    broker: PrivateRabbit | None = None
    proxy: FaultProxy | None = None
    vhost: str = ""


class Monkey:
    """Performs faults, each track in a thread of its own."""

    def __init__(self, prey: Prey, *, is_fair: bool = True) -> None:
        self._prey = prey
        self._is_fair = is_fair
        self._hits: Counter[int] = Counter()
        self._over = threading.Event()
        self.done: list[str] = []
        self.mishaps: list[str] = []
        self.coordinator_ends = 0
        self.outages = 0
        self._started = time.monotonic()

    def run(self, *tracks: Sequence[Planned]) -> None:
        """Carry all tracks out, side by side, and mend what is broken at the end."""
        self._started = time.monotonic()
        with ThreadPoolExecutor(max(1, len(tracks))) as threads:
            for work in [threads.submit(self._follow, track) for track in tracks]:
                work.result()
        self._mend()

    def _follow(self, track: Sequence[Planned]) -> None:
        for planned in track:
            self._over.wait(max(0.0, planned.at - (time.monotonic() - self._started)))
            what = self._perform(planned) or "nobody"
            at = time.monotonic() - self._started
            self.done.append(f"{at:6.1f} s  {planned.fault.value}: {what}")

    def _perform(self, planned: Planned) -> str | None:
        if planned.fault in _PROCESSES:
            self._look_after()
            return _PROCESSES[planned.fault](self, planned.roll)
        _CONNECTIONS[planned.fault](self, planned.lasting)
        return f"{planned.lasting:g} s" if planned.lasting else "done"

    # --- processes --------------------------------------------------------------------------

    def _hit_worker(self, roll: float, *, how: signal.Signals) -> str | None:
        workers = self._workers()
        for offset in range(len(workers)):
            pid = workers[(int(roll * len(workers)) + offset) % len(workers)]
            if not self._is_fair or self._may_hit(pid):
                self._strike(pid, how)
                return str(pid)
        return None

    def _may_hit(self, pid: int) -> bool:
        return all(self._hits[serial] == 0 for serial in self._in_hand(pid))

    def _strike(self, pid: int, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        # Looked at again: between the choice and the blow it may have begun others.
        self._hits.update(self._in_hand(pid))

    def _in_hand(self, pid: int) -> set[int]:
        return diary.in_hand(diary.read(self._prey.program.media), pid)

    def _workers(self) -> list[int]:
        with contextlib.suppress(NoSupervisorError, ControlError):
            return [worker.pid for worker in self._prey.program.status().workers if worker.pid]
        return []

    def _kill_forkserver(self, _roll: float) -> str | None:
        workers = {*self._workers(), *(line.pid for line in diary.read(self._prey.program.media))}
        coordinator = self._coordinator()
        if coordinator is None or not workers:
            return None
        with contextlib.suppress(psutil.Error):
            for child in coordinator.children():
                if child.pid not in workers and "forkserver" in " ".join(child.cmdline()):
                    child.kill()
                    return str(child.pid)
        return None

    def _kill_coordinator(self, _roll: float) -> str | None:
        coordinator = self._coordinator()
        if coordinator is None:
            return None
        self.coordinator_ends += 1
        coordinator.kill()
        code = self._prey.program.wait(GONE)
        if code != KILLED:
            self.mishaps.append(f"the guard of a killed coordinator left with {code}")
        self._begin_again("coordinator", within=0.5)
        return str(coordinator.pid)

    def _kill_guard(self, _roll: float) -> str:
        program = self._prey.program
        self.coordinator_ends += 1
        program.send(signal.SIGKILL)
        program.wait(GONE)
        self._begin_again("guard", within=GONE)
        return "done"

    def _coordinator(self) -> psutil.Process | None:
        process = self._prey.program.process
        with contextlib.suppress(psutil.Error):
            if process is not None:
                return next(iter(psutil.Process(process.pid).children()), None)
        return None

    def _begin_again(self, killed: str, *, within: float) -> None:
        program = self._prey.program
        try:
            program.wait_until_gone(within)
        except TimeoutError:
            left = [_described(process) for process in program.survivors()]
            self.mishaps.append(f"left {within:g} s after the {killed} was killed: {left}")
            program.end()
        program.start(wait=False)

    def _look_after(self) -> None:
        """Start a program that left by itself, and remember that it did."""
        program = self._prey.program
        if not program.is_running:
            assert program.process is not None
            end = program.log[-1500:]
            self.mishaps.append(f"it left by itself with {program.process.returncode}: {end}")
            self._begin_again("program", within=GONE)

    # --- connections ------------------------------------------------------------------------

    @property
    def _broker(self) -> PrivateRabbit:
        assert self._prey.broker is not None
        return self._prey.broker

    @property
    def _proxy(self) -> FaultProxy:
        assert self._prey.proxy is not None
        return self._prey.proxy

    def _kill_broker(self, lasting: float) -> None:
        self.outages += 1
        self._broker.kill()
        self._over.wait(lasting)
        self._broker.start()

    def _restart_broker(self, _lasting: float) -> None:
        self.outages += 1
        self._broker.restart()

    def _close_connections(self, _lasting: float) -> None:
        self._broker.ctl("close_all_connections", "closed by the administrator")

    def _reset(self, _lasting: float) -> None:
        self._proxy.reset()

    def _refuse(self, lasting: float) -> None:
        self._proxy.refuse(on=True)
        self._proxy.reset()
        self._over.wait(lasting)
        self._proxy.heal()

    def _for_a_while(self, lasting: float, *, fault: Callable[[FaultProxy], None]) -> None:
        fault(self._proxy)
        self._over.wait(lasting)
        self._proxy.heal()

    def _alarm(self, lasting: float, *, on: Sequence[str], off: Sequence[str]) -> None:
        self._broker.ctl(*on)
        self._over.wait(lasting)
        self._broker.ctl(*off)

    def _revoke(self, lasting: float) -> None:
        self._permit("^$")
        self._proxy.reset()  # what is open goes on
        self._over.wait(lasting)
        self._permit(".*")

    def _permit(self, what: str) -> None:
        self._broker.ctl("set_permissions", "-p", self._prey.vhost, "guest", what, what, what)

    def _mend(self) -> None:
        self._look_after()
        if self._prey.proxy is not None:
            self._prey.proxy.heal()
        if self._prey.broker is not None:
            self._prey.broker.start()


def _described(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:100]}"
    return f"{process.pid}"


_PROCESSES: Mapping[Fault, Callable[[Monkey, float], str | None]] = {
    Fault.KILL_WORKER: partial(Monkey._hit_worker, how=signal.SIGKILL),
    Fault.STOP_WORKER: partial(Monkey._hit_worker, how=signal.SIGSTOP),
    Fault.KILL_FORKSERVER: Monkey._kill_forkserver,
    Fault.KILL_COORDINATOR: Monkey._kill_coordinator,
    Fault.KILL_GUARD: Monkey._kill_guard,
    Fault.KILL_PUBLISHER: lambda monkey, roll: monkey._prey.publishers.kill(roll),
}
_CONNECTIONS: Mapping[Fault, Callable[[Monkey, float], None]] = {
    Fault.KILL_BROKER: Monkey._kill_broker,
    Fault.RESTART_BROKER: Monkey._restart_broker,
    Fault.CLOSE_CONNECTIONS: Monkey._close_connections,
    Fault.RESET: Monkey._reset,
    Fault.REFUSE: Monkey._refuse,
    Fault.BLACK_HOLE: partial(Monkey._for_a_while, fault=lambda proxy: proxy.black_hole(on=True)),
    Fault.FREEZE: partial(Monkey._for_a_while, fault=lambda proxy: proxy.freeze(on=True)),
    Fault.HALF_OPEN: partial(Monkey._for_a_while, fault=FaultProxy.half_open),
    Fault.SLOW: partial(Monkey._for_a_while, fault=lambda proxy: proxy.slow(2000)),
    Fault.MEMORY_ALARM: partial(
        Monkey._alarm,
        on=("set_vm_memory_high_watermark", "0.000001"),
        off=("set_vm_memory_high_watermark", "absolute", "1GB"),
    ),
    Fault.DISK_ALARM: partial(
        Monkey._alarm, on=("set_disk_free_limit", "900GB"), off=("set_disk_free_limit", "50MB")
    ),
    Fault.REVOKE: Monkey._revoke,
}
