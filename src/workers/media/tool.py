"""A tool as a child process: watched, fed, listened to, and ended with the job.

The child stays in the worker's process group, so that whoever ends the worker's group ends it too.
"""

import asyncio
import codecs
import contextlib
import math
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workers.media.faults import fault, from_start
from workers.processor import JobContext

GLANCE = 0.2  # seconds between two looks at the deadline and the cancel flag
GRACE = 5.0  # seconds between TERM and KILL
KEPT = 8192  # bytes of stderr kept: the reason stands at the end
CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Call:
    """What to run; ``limit`` bounds it in seconds, whatever the job's deadline."""

    command: tuple[str, ...]
    name: str = ""  # in messages; the program's own name when empty
    folder: Path | None = None
    stdin: bytes = b""
    env: Mapping[str, str] | None = None
    limit: float = math.inf


@dataclass(frozen=True, slots=True)
class Finished:
    """How a tool ended; the code is negative when a signal ended it."""

    code: int
    complaint: str


def unheard(_line: str) -> None:
    """Take a line of output and do nothing with it."""


async def run(
    call: Call, context: JobContext, on_line: Callable[[str], None] = unheard
) -> Finished:
    """Run a tool to its end and return how it ended; each line of its stdout is given away.

    Raises:
        RefusedError: ``cancelled``.
        TransientError: ``timeout``.
        HostError: it cannot be started: ``ffmpeg_missing``, ``exhausted``.
    """
    until = min(context.deadline, time.monotonic() + call.limit)
    process = await _start(call)
    attending = asyncio.ensure_future(_attend(process, call.stdin, on_line))
    try:
        while not attending.done():
            await asyncio.wait({attending}, timeout=GLANCE)
            if not attending.done():
                _look(context, until, tool=call.name or Path(call.command[0]).name)
        return Finished(process.returncode or 0, attending.result())
    finally:
        await _end(process)
        attending.cancel()
        await asyncio.wait({attending})


def _look(context: JobContext, until: float, *, tool: str) -> None:
    if context.cancelled.is_set():
        raise fault("cancelled", f"the job was cancelled while {tool} was running")
    if time.monotonic() >= until:
        raise fault("timeout", f"{tool} was still running when its time was over")


async def _start(call: Call) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *call.command,
            stdin=PIPE if call.stdin else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=call.folder,
            env=call.env,
        )
    except OSError as error:
        raise from_start(error, call.command[0], str(call.folder or "")) from error


async def _attend(process: Process, stdin: bytes, on_line: Callable[[str], None]) -> str:
    complaint, *_ = await asyncio.gather(
        _tail(process), _lines(process, on_line), _feed(process, stdin)
    )
    await process.wait()
    return complaint


async def _feed(process: Process, stdin: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it left without reading
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()


async def _lines(process: Process, on_line: Callable[[str], None]) -> None:
    if process.stdout is None:
        return
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    rest = ""
    while chunk := await process.stdout.read(CHUNK):
        *lines, rest = (rest + decode(chunk)).split("\n")
        for line in lines:
            on_line(line)
    if rest:
        on_line(rest)


async def _tail(process: Process) -> str:
    kept = b""
    while process.stderr is not None and (chunk := await process.stderr.read(CHUNK)):
        kept = (kept + chunk)[-KEPT:]
    return kept.decode(errors="replace")


async def _end(process: Process) -> None:
    """TERM, wait, KILL; a cancellation during the wait skips to KILL."""
    if process.returncode is not None:
        return
    try:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.terminate()
            await asyncio.wait_for(process.wait(), GRACE)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
