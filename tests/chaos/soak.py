"""``make soak``: an hour of mixed work and 200 kills, then: has the coordinator stayed the same?

``python -m tests.chaos.soak --minutes 60 --kills 200 --on embedded``
"""

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from tests.chaos import checker, load, steadiness
from tests.chaos.evidence import Evidence
from tests.chaos.load import Share
from tests.chaos.nodes import NAMES, lent
from tests.chaos.plan import Fault, Planned
from tests.chaos.run import Setup, run
from tests.chaos.steadiness import Sample
from tests.support.program import Program
from tests.support.rabbitmq import PrivateRabbit

EARLY = 0.1  # of the time in which coordinator and guard are killed too
JOBS = 5.0  # a second
SAMPLES = 400  # of a run
ROWS = 12  # of the table


def kills(seed: int, seconds: float, count: int) -> tuple[Planned, ...]:
    """Return the kills of a soak.

    Any process is hit in its first tenth; afterwards those that a coordinator has to outlive, so
    that one of them gets old.
    """
    chance = random.Random(f"soak {seed}")  # noqa: S311 - reproducible on purpose
    moments = sorted(chance.uniform(1.0, seconds) for _ in range(count))
    early = [Fault.KILL_COORDINATOR, Fault.KILL_GUARD, Fault.KILL_WORKER, Fault.KILL_FORKSERVER]
    late = [*[Fault.KILL_WORKER] * 8, Fault.KILL_FORKSERVER, Fault.KILL_PUBLISHER]
    return tuple(
        Planned(at, chance.choice(early if at < seconds * EARLY else late), roll=chance.random())
        for at in moments
    )


class Observer:
    """Looks at the coordinator again and again, from a thread."""

    def __init__(self, every: float) -> None:
        self.samples: list[Sample] = []
        self._every = every
        self._over = threading.Event()

    @contextlib.contextmanager
    def watching(self, program: Program) -> Iterator[None]:
        """Watch while the context is open."""
        thread = threading.Thread(target=self._watch, args=(program,), name="observer")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self, program: Program) -> None:
        began = time.monotonic()
        while not self._over.wait(self._every):
            with contextlib.suppress(psutil.Error, StopIteration):
                self.samples.append(_sample(program, time.monotonic() - began))


def _sample(program: Program, at: float) -> Sample:
    assert program.process is not None
    guard = psutil.Process(program.process.pid)
    coordinator = next(iter(guard.children()))
    below = guard.children(recursive=True)
    return Sample(
        at=at,
        pid=coordinator.pid,
        memory=coordinator.memory_info().rss,
        descriptors=coordinator.num_fds(),
        zombies=frozenset(process.pid for process in below if _is_zombie(process)),
    )


def _is_zombie(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() == psutil.STATUS_ZOMBIE
    return False


def soak(
    seconds: float, count: int, folder: Path, *, seed: int, broker: PrivateRabbit | None = None
) -> tuple[Evidence, tuple[Sample, ...]]:
    """Run mixed work under kills and return what it left, and what was seen meanwhile."""
    observer = Observer(max(0.5, seconds / SAMPLES))
    share = Share(
        int(seconds * JOBS), seconds, killers=int(seconds / 10), has_garbage=broker is not None
    )
    setup = Setup(
        load.plan(seed, share),
        (kills(seed, seconds, count),),
        broker,
        beside=observer.watching,
    )
    return run(setup, folder), tuple(observer.samples)


def table(samples: Sequence[Sample]) -> str:
    """Return some of the samples as a small table."""
    lines = ["   time s      pid  memory MB  descriptors  zombies"]
    lines += [
        f"{one.at:9.0f}  {one.pid:7}  {one.memory / 1e6:9.1f}  {one.descriptors:11}  "
        f"{len(one.zombies):7}"
        for one in samples[:: max(1, len(samples) // ROWS)]
    ]
    return "\n".join(lines)


def main() -> int:
    """Soak; return 0 if nothing was lost and nothing grew."""
    words = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    words.add_argument("--minutes", type=float, default=60.0)
    words.add_argument("--kills", type=int, default=200)
    words.add_argument("--seed", type=int, default=int(time.time_ns() % 10**6))
    words.add_argument("--on", default="3.10", choices=NAMES)
    told = words.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    seconds = told.minutes * 60
    with lent(told.on) as node:
        evidence, samples = soak(seconds, told.kills, folder, seed=told.seed, broker=node)
    found = [*checker.examine(evidence), *steadiness.examine(samples, steadiness.Limits())]
    lines = [
        f"seed {told.seed}: {len(evidence.faults)} kills, {len(evidence.rows)} jobs, "
        f"{len(found)} rules broken; its folder is {folder}",
        table(samples),
        *(str(one) for one in found),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
