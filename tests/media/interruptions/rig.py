"""Runs a job, interrupts it, delivers it again and again, and keeps what was seen.

The processes are made, killed and buried by the product's own house for them, so that what a
killed worker leaves behind is dealt with as it would be by the coordinator.
"""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import msgspec
import psutil
from typing_extensions import override

from consumers.topology import pool_queues
from supervisor.processes import Death, Processes, WorkerProcess
from tests.media.interruptions import soundness, worker
from tests.media.interruptions.cases import JOB, QUEUE, Case
from tests.media.interruptions.worker import Report, Task
from tests.support.media_server import MediaServer
from workers import messages
from workers.descendants import descendants, is_running
from workers.processor import Job
from workers.spec import WorkerSpec

PRELOAD = ("workers.download", "workers.cutter", "workers.preview", worker.__name__)
TIMEOUT = 60.0  # seconds one run of a job may take


class Way(Enum):
    """How a run is interrupted."""

    KILL = "its worker is killed"
    KILL_AT_STEP = "its worker is killed before a certain step"
    KILL_AT_END = "its worker is killed before one of the last steps"
    KILL_TOOL = "a program that it started is killed"
    CANCEL = "it is cancelled"
    STOP = "its worker is told to leave"


AT_STEPS = (Way.KILL_AT_STEP, Way.KILL_AT_END)
LAST = 16  # steps in which a result is published and the work folder removed


@dataclass(frozen=True, slots=True)
class Blow:
    """An interruption; ``when`` is the share of an undisturbed run that goes before."""

    way: Way
    when: float
    roll: float  # decides what is hit where there is a choice

    @override
    def __str__(self) -> str:
        return f"{self.way.value}, after {self.when:.0%} of it, roll {self.roll:.3f}"

    @classmethod
    def rolled(cls, way: Way, chance: random.Random) -> "Blow":
        """Return one at a random instant."""
        return cls(way, chance.uniform(0.0, 1.05), chance.random())


NO_BLOW = Blow(Way.KILL, 1000.0, 0.0)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one run left behind."""

    report: Report | None  # None: its process was killed
    tree: "Tree"
    survivors: tuple[str, ...]  # processes
    seconds: float
    asked: int  # requests that the site had


@dataclass(frozen=True, slots=True)
class Kept:
    """A file or folder: its content, and the marks that a rewriting changes."""

    content: bytes
    marks: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> "Kept":
        """Return what is at a path."""
        stat = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        return cls(content, (stat.st_ino, stat.st_mtime_ns))


Tree = dict[str, Kept]  # by path below the media root


@dataclass(frozen=True, slots=True)
class Bout:
    """A job that was interrupted, delivered again, and delivered again when it was done."""

    case: Case
    blow: Blow
    flaws: tuple[str, ...]  # of what an undisturbed run makes
    undisturbed: Seen
    hit: Seen
    again: Seen
    third: Seen


@dataclass(slots=True)
class Rig:
    """The house of the workers, and where their folders are."""

    folder: Path
    site: MediaServer
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    undisturbed: dict[str, Seen] = field(default_factory=dict)  # by case
    flaws: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _processes: Processes = field(init=False)
    _deaths: "dict[str, asyncio.Future[Death]]" = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Rig"]:
        """Start what the workers are made by, and end it with them."""
        self._processes = Processes(self._died, entry=worker.ENTRY, preload=PRELOAD)
        await self._processes.start()
        try:
            yield self
        finally:
            await self._processes.close()

    async def bout(self, case: Case, blow: Blow) -> Bout:
        """Interrupt a job once and see what becomes of it."""
        if case.name not in self.undisturbed:
            seen = self.undisturbed[case.name] = await self.run(case, self._media(case))
            self.flaws[case.name] = tuple(soundness.flaws(case, seen.report))
        media = self._media(case)
        hit, again, third = [await self.run(case, media, one) for one in (blow, NO_BLOW, NO_BLOW)]
        flaws, undisturbed = self.flaws[case.name], self.undisturbed[case.name]
        return Bout(case, blow, flaws, undisturbed, hit, again, third)

    async def run(self, case: Case, media: Path, blow: Blow = NO_BLOW) -> Seen:
        """Run a job, struck by a blow, and look when everything of it should be over."""
        spec = self._spec(case, media, blow)
        dead = self._deaths[spec.worker_id] = asyncio.get_running_loop().create_future()
        asked, began = len(self.site.asked), time.monotonic()
        process = await self._processes.spawn(spec, receive=lambda _: None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(dead), self._until(case, blow))
        if not dead.done():
            strike(process, blow)
        try:
            await asyncio.wait_for(asyncio.shield(dead), TIMEOUT + 10)
        finally:
            await self._processes.kill(spec.worker_id)
        survivors = tuple(running(process.pid, media))
        seconds = time.monotonic() - began
        file = worker.report_of(spec)
        report = msgspec.json.decode(file.read_bytes(), type=Report) if file.exists() else None
        return Seen(report, tree(media), survivors, seconds, len(self.site.asked) - asked)

    def _until(self, case: Case, blow: Blow) -> float:
        if blow is NO_BLOW or blow.way in AT_STEPS:
            return TIMEOUT
        return self.undisturbed[case.name].seconds * blow.when

    def _spec(self, case: Case, media: Path, blow: Blow) -> WorkerSpec:
        number = next(self.numbers)
        job = Job(JOB, QUEUE, case.body(self.site))
        task = Task(job, {"allow": ["127.0.0.0/8"]}, self._step(case, blow))
        return WorkerSpec(
            worker_id=f"{case.processor}-{number}",
            incarnation=1,
            pool="interrupted",
            processor=case.processor,
            queues=pool_queues(QUEUE),
            broker="embedded",
            media=str(media),
            stacks=str(self.folder / f"{number}.stacks"),
            timeout=TIMEOUT,
            options=msgspec.to_builtins(task),
        )

    def _step(self, case: Case, blow: Blow) -> int:
        """Return the step that is not to be taken; 0: all are."""
        if blow.way not in AT_STEPS:
            return 0
        report = self.undisturbed[case.name].report
        steps = report.steps if report else 0
        among = steps if blow.way is Way.KILL_AT_STEP else min(LAST, steps)
        return steps - int(blow.roll * among)

    def _media(self, case: Case) -> Path:
        media = self.folder / f"media-{next(self.numbers)}"
        case.prepare(media)
        return media

    def _died(self, death: Death) -> None:
        self._deaths[death.worker_id].set_result(death)


def strike(process: WorkerProcess, blow: Blow) -> None:
    """Interrupt a run now."""
    match blow.way:
        case Way.CANCEL:
            process.pipe.send(messages.Cancel(QUEUE, JOB))
        case Way.STOP:
            process.pipe.send(messages.Stop())
        case Way.KILL_TOOL if tools := descendants(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(tools[int(blow.roll * len(tools))], signal.SIGKILL)
        case _:
            process.signal(signal.SIGKILL)


def tree(media: Path) -> Tree:
    """Return everything below the media root."""
    return {str(path.relative_to(media)): Kept.of(path) for path in sorted(media.rglob("*"))}


def running(session: int, media: Path) -> Sequence[str]:
    """Return what runs in a worker's session, or is about its media folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            words = " ".join(process.cmdline())
            is_of_it = os.getsid(process.pid) == session or str(media) in words
            is_there = process.pid != os.getpid() and is_running(process.pid)
            if is_there and (is_of_it or process.cwd().startswith(str(media))):
                found.append(f"{process.pid} {words[:160]}")
    return found
