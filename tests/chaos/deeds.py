"""The processors of the chaos runs: each body says what its job does to its worker.

``{"serial": 17, "do": "flaky", "wait": 0.1, "times": 2}``: after ``wait`` seconds the deed.
"""

import asyncio
import ctypes
import functools
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.chaos.diary import BROKEN, ENDED, FAILED, Diary, Run
from tests.chaos.kinds import Kind
from workers.processor import Job, JobContext, Reject, Result

FOR_EVER = 600.0  # seconds


async def handle(job: Job, context: JobContext) -> Result:
    """Do it on the worker's loop."""
    diary = _diary(context.media)
    diary.begin(_run(job))
    try:
        await asyncio.sleep(_number(job, "wait"))
    except asyncio.CancelledError:
        diary.end(BROKEN, _run(job))
        raise
    return _done(job, diary)


def plain(job: Job, context: JobContext) -> Result:
    """Do it in a thread."""
    diary = _diary(context.media)
    diary.begin(_run(job))
    time.sleep(_number(job, "wait"))
    return _done(job, diary)


def _done(job: Job, diary: Diary) -> Result:
    try:
        DEEDS[Kind(job.data["do"])](job)
    except (ValueError, Reject):
        diary.end(FAILED, _run(job))
        raise
    diary.end(ENDED, _run(job))
    return Result(data={"serial": _serial(job)})


def _nothing(_job: Job) -> None:
    return


def _fail(job: Job) -> None:
    if job.attempt <= _number(job, "times"):
        why = f"attempt {job.attempt} fails"
        raise ValueError(why)


def _reject(_job: Job) -> None:
    why = "never again"
    raise Reject(why)


def _leave_a_child(_job: Job) -> None:
    subprocess.Popen(["sleep", f"{FOR_EVER:.0f}"], start_new_session=True)


def _exit(_job: Job) -> None:
    os._exit(3)


def _kill(_job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fault(_job: Job) -> None:
    _leave_no_core()
    ctypes.string_at(0)


def _abort(_job: Job) -> None:
    _leave_no_core()
    os.abort()


def _swell(job: Job) -> None:
    """Use memory and wait to be killed for it."""
    memory = bytearray(int(_number(job, "megabytes")) * 1_000_000)
    memory[::4096] = b"x" * len(memory[::4096])
    time.sleep(FOR_EVER)


def _block(_job: Job) -> None:
    time.sleep(FOR_EVER)


def _freeze(_job: Job) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(FOR_EVER)


DEEDS: Mapping[Kind, Callable[[Job], None]] = {
    Kind.GOOD: _nothing,
    Kind.SLOW: _nothing,
    Kind.FLAKY: _fail,
    Kind.CHILDREN: _leave_a_child,
    Kind.FAILING: _fail,
    Kind.REJECTING: _reject,
    Kind.EXIT: _exit,
    Kind.KILL: _kill,
    Kind.FAULT: _fault,
    Kind.ABORT: _abort,
    Kind.SWELL: _swell,
    Kind.BLOCK: _block,
    Kind.FREEZE: _freeze,
}


@functools.cache
def _diary(folder: Path) -> Diary:
    return Diary(folder)


def _leave_no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run(job: Job) -> Run:
    return Run(_serial(job), job.id, job.attempt)


def _serial(job: Job) -> int:
    return int(_number(job, "serial"))


def _number(job: Job, field: str) -> float:
    return float(str(job.data.get(field, 0)))
