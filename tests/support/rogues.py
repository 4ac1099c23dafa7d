"""A processor that misbehaves towards its supervisor: each job names its misdeed.

``family`` starts a child in the worker's process group and one in a session of its own, notes
their pids in the media folder, and waits at a gate; the others stop the worker, hold its
interpreter, or misuse the pipe to the coordinator.
"""

import asyncio
import ctypes
import gc
import os
import random
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consumers.executor import Executor
from workers import messages
from workers.messages import FRAME_LIMIT
from workers.pipe import HEADER, Pipe
from workers.processor import Job, JobContext, Reject

FAMILY = "family.txt"
LOOK = 0.02  # seconds
BURST = 500  # messages before the loop has another turn
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def family(media: Path) -> list[int]:
    """Return the pids of all children that jobs have noted."""
    file = media / FAMILY
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


async def handle(job: Job, context: JobContext) -> None:
    """Do what the job's body says."""
    await DEEDS[str(job.data.get("do", "nothing"))](job, context)


async def _nothing(_job: Job, _context: JobContext) -> None:
    return


async def _family(job: Job, context: JobContext) -> None:
    """Have children, and end them when the gate opens."""
    children = await _children(context)
    gate = context.media / f"gate-{job.data['gate']}"
    while not gate.exists():  # noqa: ASYNC110 - the other side is another process
        await asyncio.sleep(LOOK)
    for child in children:
        child.kill()
        await child.wait()


async def _children(context: JobContext) -> list[asyncio.subprocess.Process]:
    """Start processes as ffmpeg would be one, and note their pids."""
    children = [
        await asyncio.create_subprocess_exec("sleep", "987", start_new_session=is_apart)
        for is_apart in (False, True)
    ]
    context.media.mkdir(parents=True, exist_ok=True)
    with (context.media / FAMILY).open("a") as notes:
        notes.write("".join(f"{child.pid}\n" for child in children))
    return children


async def _stop(_job: Job, context: JobContext) -> None:
    """Be stopped, with children that go on."""
    await _children(context)
    os.kill(os.getpid(), signal.SIGSTOP)


async def _hold(_job: Job, _context: JobContext) -> None:
    """Sleep in C without letting any other Python code run."""
    while True:  # a signal cuts one sleep short
        ctypes.PyDLL(None).sleep(600)


async def _backtrack(_job: Job, _context: JobContext) -> None:
    """Match an expression that never comes to an end, and holds the interpreter too."""
    re.match(r"(a+)+$", "a" * 60 + "b")


async def _flood(job: Job, _context: JobContext) -> None:
    """Say valid things as fast as they are taken."""
    told = messages.Progressed(queue_name=job.queue, job_id=job.id, percent=1.0)
    line = messages.Progressed(queue_name=job.queue, job_id=job.id, line="again and again")
    await _pour(lambda _: (told, line))


async def _ask(job: Job, _context: JobContext) -> None:
    """Ask as fast as it is taken, and wait for no answer."""

    def question(number: int) -> tuple[messages.JobError]:
        return (
            messages.JobError(
                worker_id="rogue",
                timestamp=MOMENT,
                error="it never was",
                queue_name=job.queue,
                job_id=f"nobody-{number}",
                call=number,
            ),
        )

    await _pour(question)


async def _pour(say: Callable[[int], tuple[messages.Progressed | messages.JobError, ...]]) -> None:
    pipe, number = _pipe(), 1_000_000
    while True:
        for _ in range(BURST):
            number += 1
            if not pipe.is_congested:
                for message in say(number):
                    pipe.send(message)
        await asyncio.sleep(0)


async def _halve(_job: Job, _context: JobContext) -> None:
    """Begin a frame that is never ended, and fall silent."""
    await _write_raw(HEADER.pack(1000) + b'{"type": "heart')
    time.sleep(600)  # noqa: ASYNC251 - no beat may complete the frame


async def _boast(_job: Job, _context: JobContext) -> None:
    """Begin a frame that claims to be a gigabyte."""
    await _write_raw(HEADER.pack(1_000_000_000))
    await asyncio.sleep(600)


async def _babble(_job: Job, _context: JobContext) -> None:
    """Send frames that mean nothing, then fail."""
    await _write_raw((HEADER.pack(4) + b"what") * 12)
    why = "said enough"
    raise Reject(why)


async def _pickle(job: Job, _context: JobContext) -> None:
    """Send a pickle that would run a command, as a frame or bare."""
    told = pickled(str(job.data["command"]))
    await _write_raw(HEADER.pack(len(told)) + told if job.data["framed"] else told)


def pickled(command: str) -> bytes:
    """Return a pickle that runs a command when it is loaded."""
    return f"cos\nsystem\n(S{command!r}\ntR.".encode()


async def _rattle(_job: Job, _context: JobContext) -> None:
    """Send noise."""
    await _write_raw(b"\xff" + random.Random(7).randbytes(4096))  # noqa: S311 - noise


async def _shout(_job: Job, context: JobContext) -> None:
    """Log a line that is larger than the pipe takes."""
    context.log("x" * (FRAME_LIMIT + 1))
    await asyncio.sleep(0)


async def _leak(_job: Job, context: JobContext) -> None:
    """Talk about what is nobody's business, as libraries do."""
    context.log(f"connecting to {context.options['address']}")
    context.progress(1, f"asking {context.options['address']}")
    why = f"no answer from {context.options['address']}"
    raise ConnectionError(why)


async def _write_raw(words: bytes) -> None:
    """Write past the pipe's own framing."""
    pipe = _pipe()
    await pipe.flushed()
    pipe._channel.sendall(words)


async def _derail(_job: Job, _context: JobContext) -> None:
    """Spoil what settles jobs in this process: a stand-in for a mistake of the product's own."""

    async def fail(*_: object) -> None:
        raise LookupError("nobody thought of this")

    setattr(Executor, "_settle_run", fail)  # noqa: B010 - nobody else may


def _pipe() -> Pipe[Any]:
    """Return the worker's end of its pipe, which no processor is given."""
    return next(each for each in gc.get_objects() if isinstance(each, Pipe))


DEEDS: Mapping[str, Callable[[Job, JobContext], Awaitable[None]]] = {
    "nothing": _nothing,
    "family": _family,
    "stop": _stop,
    "hold": _hold,
    "backtrack": _backtrack,
    "flood": _flood,
    "ask": _ask,
    "halve": _halve,
    "derail": _derail,
    "boast": _boast,
    "babble": _babble,
    "pickle": _pickle,
    "rattle": _rattle,
    "shout": _shout,
    "leak": _leak,
}
