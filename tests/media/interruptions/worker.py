"""A worker process that runs one job and reports: the product's lifeline and runner, no broker.

The spec's ``options`` hold a ``Task``; the report lies beside the stacks. It is written when the
run is over, however it ended, and there is none when the process was killed.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from consumers.clock import SystemClock
from consumers.outcome import Outcome
from workers import lifeline, messages, registry
from workers.context import Surroundings
from workers.descendants import descendants, is_running
from workers.messages import ToWorker
from workers.pipe import Pipe
from workers.processor import Job
from workers.runner import Runner
from workers.spec import WorkerSpec

ENTRY = f"{__name__}:main"
STEPS = frozenset(
    {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "open", "subprocess.Popen"}
)


class Task(msgspec.Struct, frozen=True):
    """What to run, and before which of its steps to be killed: 0 is before none."""

    job: Job
    options: Mapping[str, object] = {}
    step: int = 0


class Report(msgspec.Struct, frozen=True):
    """How a run ended; without an outcome it was stopped together with its worker."""

    outcome: Outcome | None
    started: tuple[str, ...]  # programs
    left: tuple[int, ...]  # pids of programs that still ran when the run was over
    steps: int


class Witness:
    """Sees what the process does to files and which programs it starts; may kill it for that."""

    def __init__(self, media: str, fatal: int) -> None:
        self.started: list[str] = []
        self.steps = 0
        self._media, self._fatal = media, fatal

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """Hear of everything, as an audit hook does."""
        if event not in STEPS:
            return
        if event == "open" and not str(arguments[0]).startswith(self._media):
            return
        if event == "subprocess.Popen":
            self.started.append(str(arguments[1]))
        self.steps += 1
        if self.steps == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def main(told: bytes, channel: socket.socket) -> None:
    """Be that worker."""
    spec = msgspec.json.decode(told, type=WorkerSpec)
    lifeline.attach(spec, channel)
    report = asyncio.run(_live(spec, channel))
    report_of(spec).write_bytes(msgspec.json.encode(report))
    os._exit(0)


def report_of(spec: WorkerSpec) -> Path:
    """Return where the report of a worker lies."""
    return Path(spec.stacks).with_suffix(".report")


async def _live(spec: WorkerSpec, channel: socket.socket) -> Report:
    task = msgspec.convert(spec.options, Task)
    runner = Runner(registry.load(spec.processor), _surroundings(spec, task), SystemClock())
    witness = Witness(spec.media, task.step)
    sys.addaudithook(witness)
    running = asyncio.ensure_future(runner.run(task.job))

    def obey(order: ToWorker) -> None:
        match order:
            case messages.Cancel():
                runner.cancel(order)
            case messages.Stop():
                running.cancel()
            case _:
                pass

    pipe: Pipe[ToWorker] = Pipe(ToWorker, obey, lambda: None)
    await pipe.connect(channel)
    await asyncio.wait({running})
    outcome = None if running.cancelled() else running.result()
    left = tuple(pid for pid in descendants(os.getpid()) if is_running(pid))
    return Report(outcome, tuple(witness.started), left, witness.steps)


def _surroundings(spec: WorkerSpec, task: Task) -> Surroundings:
    return Surroundings(
        media=Path(spec.media),
        options=task.options,
        timeout=spec.timeout,
        progressed=lambda _job, _percent, _note: None,
        said=lambda _job, _line: None,
    )
