"""A processor for the journeys: each job says in its body what the processor shall do to it.

``{"do": "sleep", "seconds": 3}``. Every run is noted in the media folder: which job, which
attempt, by which process, when it began and when it ended.
"""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workers.processor import HostError, Job, JobContext, Reject, Result, Retry

RUNS = "runs.txt"
LOOK = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class Run:
    """One line of the notes."""

    what: str  # begun | ended
    name: str  # of the job, as its publisher called it
    attempt: int
    pid: int
    at: float  # seconds since 1970


def runs(media: Path, *, name: str | None = None, what: str = "begun") -> list[Run]:
    """Return what was noted."""
    file = media / RUNS
    lines = file.read_text().splitlines() if file.exists() else []
    noted = [_run(line) for line in lines]
    return [run for run in noted if run.what == what and name in {None, run.name}]


def open_gate(media: Path, name: str) -> None:
    """Let jobs pass that wait at a gate."""
    media.mkdir(parents=True, exist_ok=True)
    (media / f"gate-{name}").touch()


async def handle(job: Job, context: JobContext) -> Result:
    """Do to this job what its body says."""
    _note("begun", job, context)
    await DEEDS[str(job.data.get("do", "nothing"))](job, context)
    _note("ended", job, context)
    return Result(data={"name": _name(job), "attempt": job.attempt})


def plain(job: Job, context: JobContext) -> Mapping[str, object]:
    """Be a user's plain function, which runs in a thread and returns a dict."""
    context.progress(50, "half way")
    context.log(f"hello {job.sender}")
    return {"greeting": f"hello {job.data.get('who', 'nobody')}"}


def deaf(job: Job, context: JobContext) -> Mapping[str, object]:
    """Be a plain function that looks at no flag; it takes a minute unless it is to be quick."""
    _note("begun", job, context)
    time.sleep(0 if job.data.get("quick") else 60)
    return {}


async def _nothing(_job: Job, _context: JobContext) -> None:
    return


async def _sleep(job: Job, _context: JobContext) -> None:
    await asyncio.sleep(_number(job, "seconds"))


async def _wait(job: Job, context: JobContext) -> None:
    gate = context.media / f"gate-{job.data.get('gate', _name(job))}"
    while not gate.exists():  # noqa: ASYNC110 - the other side is another process
        await asyncio.sleep(LOOK)


async def _fail(job: Job, _context: JobContext) -> None:
    if job.attempt <= _number(job, "times"):
        why = f"attempt {job.attempt} fails"
        raise ValueError(why)


async def _fail_until(job: Job, context: JobContext) -> None:
    if not (context.media / f"gate-{job.data.get('gate', _name(job))}").exists():
        why = f"the door is shut for number {job.id}"
        raise ValueError(why)


async def _wait_and_fail(job: Job, context: JobContext) -> None:
    await _wait(job, context)
    await _fail(job, context)


async def _reject(_job: Job, _context: JobContext) -> None:
    says = "never again"
    raise Reject(says, code="unwanted", hint="send another")


async def _blame_the_machine(_job: Job, _context: JobContext) -> None:
    raise HostError("no scanner", code="no_scanner", hint="plug it in")


async def _later(job: Job, _context: JobContext) -> None:
    if job.attempt == 1:
        says = "not now"
        raise Retry(says, after=_number(job, "after"))


async def _exit(job: Job, _context: JobContext) -> None:
    os._exit(int(_number(job, "code")))


async def _leave(job: Job, _context: JobContext) -> None:
    sys.exit(int(_number(job, "code")))


async def _fault(_job: Job, _context: JobContext) -> None:
    ctypes.string_at(0)


async def _die(_job: Job, _context: JobContext) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _swell(job: Job, context: JobContext) -> None:
    """Use memory, then wait at a gate with it."""
    memory = bytearray(int(_number(job, "megabytes")) * 1_000_000)
    memory[::4096] = b"x" * len(memory[::4096])
    await _wait(job, context)


async def _swell_child(job: Job, context: JobContext) -> None:
    """Let a child process use memory, and wait at a gate."""
    size = int(_number(job, "megabytes")) * 1_000_000
    code = f"import time; kept = b'x' * {size}; time.sleep(600)"
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await _wait(job, context)
    child.kill()
    await child.wait()


async def _block(job: Job, _context: JobContext) -> None:
    time.sleep(_number(job, "seconds"))  # noqa: ASYNC251 - the mistake that is to be noticed


async def _hold(job: Job, _context: JobContext) -> None:
    """Hold the interpreter's lock: no other thread runs either."""
    until = time.monotonic() + _number(job, "seconds")
    while time.monotonic() < until:  # a signal cuts one sleep short
        ctypes.PyDLL(None).sleep(1)


async def _parent(job: Job, _context: JobContext) -> None:
    """Start a child process that never ends, and wait for it."""
    child = await asyncio.create_subprocess_exec("sleep", "987")
    await child.wait()


async def _crowd(job: Job, context: JobContext) -> None:
    """Wait until so many jobs have begun; then kill the process, or work for a moment.

    In the first round the others work for longer than it takes the killer to strike.
    """
    while len({run.name for run in runs(context.media)}) < _number(job, "company"):  # noqa: ASYNC110
        await asyncio.sleep(LOOK)
    if job.data.get("kills"):
        os.kill(os.getpid(), signal.SIGKILL)
    is_first_round = len(runs(context.media, name=_name(job))) == 1
    await asyncio.sleep(20.0 if is_first_round else 0.05)


DEEDS: Mapping[str, Callable[[Job, JobContext], Awaitable[None]]] = {
    "nothing": _nothing,
    "sleep": _sleep,
    "wait": _wait,
    "fail": _fail,
    "fail_until": _fail_until,
    "wait and fail": _wait_and_fail,
    "reject": _reject,
    "blame the machine": _blame_the_machine,
    "later": _later,
    "exit": _exit,
    "leave": _leave,
    "fault": _fault,
    "die": _die,
    "crowd": _crowd,
    "swell": _swell,
    "swell child": _swell_child,
    "block": _block,
    "hold": _hold,
    "parent": _parent,
}


def _note(what: str, job: Job, context: JobContext) -> None:
    context.media.mkdir(parents=True, exist_ok=True)
    line = f"{what}\t{_name(job)}\t{job.attempt}\t{os.getpid()}\t{time.clock_gettime(0)}\n"
    with (context.media / RUNS).open("a") as notes:  # one short write: lines do not mix
        notes.write(line)


def _run(line: str) -> Run:
    what, name, attempt, pid, at = line.split("\t")
    return Run(what, name, int(attempt), int(pid), float(at))


def _name(job: Job) -> str:
    return str(job.data.get("name", job.id))


def _number(job: Job, field: str) -> float:
    return float(str(job.data[field]))
