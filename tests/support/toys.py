"""Toy workers: the entry of a process whose ``options["act"]`` says what it does.

Each says ``ready`` first and beats until it is ended; what else it does is a function below.
"""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from consumers.topology import pool_queues
from workers import lifeline, messages
from workers.messages import Heartbeat, Ready, Stopped, ToWorker
from workers.pipe import Pipe
from workers.spec import WorkerSpec

ENTRY = "tests.support.toys:main"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
BEAT = 0.02  # seconds


def spec_for(folder: Path, act: str = "beat", *, number: int = 1, **options: object) -> WorkerSpec:
    """Return the spec of a toy worker that keeps its files in ``folder``."""
    name = f"toy-{number}"
    return WorkerSpec(
        worker_id=name,
        incarnation=1,
        pool="toy",
        processor="none",
        queues=pool_queues("toy"),
        broker="embedded",
        media=str(folder),
        stacks=str(folder / f"{name}.stacks"),
        options={"act": act, **options},
    )


def main(told: bytes, channel: socket.socket) -> None:
    """Be a worker."""
    spec = msgspec.json.decode(told, type=WorkerSpec)
    lifeline.attach(spec, channel)
    asyncio.run(_live(spec, channel))


async def _live(spec: WorkerSpec, channel: socket.socket) -> None:
    ending = asyncio.Event()
    pipe: Pipe[ToWorker] = Pipe(ToWorker, lambda _: ending.set(), ending.set)
    await pipe.connect(channel)
    pipe.send(
        Ready(
            worker_id=spec.worker_id,
            timestamp=MOMENT,
            pid=os.getpid(),
            incarnation=spec.incarnation,
        )
    )
    _ACTS[str(spec.options["act"])](spec, pipe)
    while not ending.is_set():
        pipe.send_latest("heartbeat", Heartbeat(worker_id=spec.worker_id, timestamp=MOMENT))
        await asyncio.sleep(BEAT)
    await pipe.close()


def _beat(_spec: WorkerSpec, _pipe: Pipe[ToWorker]) -> None:
    """Do nothing else."""


def _tell_and_die(spec: WorkerSpec, pipe: Pipe[ToWorker]) -> None:
    """Say many things, then die without a warning, in the middle of a frame."""
    for number in range(int(str(spec.options["count"]))):
        pipe.send(messages.Settled(queue_name="toy", job_id=str(number)))
    pipe._channel.settimeout(None)
    pipe._channel.sendall(bytes(pipe._unsent) + b"\0\0\1\0half a fr")
    os.kill(os.getpid(), signal.SIGKILL)


def _leave(spec: WorkerSpec, _pipe: Pipe[ToWorker]) -> None:
    os._exit(int(str(spec.options["code"])))


def _fault(_spec: WorkerSpec, _pipe: Pipe[ToWorker]) -> None:
    ctypes.string_at(0)


def _hold_the_interpreter(_spec: WorkerSpec, _pipe: Pipe[ToWorker]) -> None:
    """Sleep in C without letting any other Python code run."""
    a_function_with_a_name_to_find()


def a_function_with_a_name_to_find() -> None:
    ctypes.PyDLL(None).usleep(600_000_000)


def _flood(_spec: WorkerSpec, pipe: Pipe[ToWorker]) -> None:
    """Talk without end."""

    def talk() -> None:
        if not pipe.is_congested:
            for number in range(500):
                pipe.send(messages.Progressed(queue_name="toy", job_id=str(number), percent=1.0))
        asyncio.get_running_loop().call_soon(talk)

    talk()


def _have_children(spec: WorkerSpec, pipe: Pipe[ToWorker]) -> None:
    """Start a child, a child in its own session, and the orphan of a child."""
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    pids = [
        subprocess.Popen(sleep).pid,
        subprocess.Popen(sleep, start_new_session=True).pid,
        int(
            subprocess.run(
                ["setsid", "sh", "-c", "setsid sleep 600 >/dev/null & echo $!"],
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        ),
    ]
    pipe.send(Stopped(worker_id=spec.worker_id, timestamp=MOMENT, reason=",".join(map(str, pids))))


def _have_children_and_hold(spec: WorkerSpec, pipe: Pipe[ToWorker]) -> None:
    _have_children(spec, pipe)
    a_function_with_a_name_to_find()


def _spin(_spec: WorkerSpec, _pipe: Pipe[ToWorker]) -> None:
    """Keep a child busy and hold some memory there."""
    subprocess.Popen([sys.executable, "-S", "-c", "x = bytearray(80_000_000)\nwhile True: pass"])


def _ignore_term(_spec: WorkerSpec, _pipe: Pipe[ToWorker]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)


_ACTS: dict[str, Callable[[WorkerSpec, Pipe[ToWorker]], None]] = {
    "beat": _beat,
    "tell and die": _tell_and_die,
    "leave": _leave,
    "fault": _fault,
    "hold": _hold_the_interpreter,
    "flood": _flood,
    "children": _have_children,
    "children and hold": _have_children_and_hold,
    "spin": _spin,
    "ignore term": _ignore_term,
}
