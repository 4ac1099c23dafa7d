"""A tool as a child process: confined, watched, listened to, and ended with the job.

The child stays in the worker's session, so that what outlives a killed worker is known for its own,
and is as nice as the worker. What it may touch is said in ``confinement``.
"""

import asyncio
import codecs
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from workers.media import settings
from workers.media.faults import fault, from_start, unnamed
from workers.media.tools import children, confinement, room, threads
from workers.media.tools.children import Birth, Child
from workers.media.tools.confinement import Execution
from workers.media.tools.landlock import ReplacedError
from workers.processor import JobContext

GLANCE = 0.2  # seconds between two looks at the deadline and the cancel flag
SURVEY = 2.0  # seconds between two looks at the disk that is being filled
GRACE = 5.0  # seconds between TERM and KILL
KEPT = 8192  # bytes of stderr kept: the reason stands at the end
CHUNK = 65536
LONGEST = 1 << 20  # characters of a line of stdout; the rest of a longer one is dropped


@dataclass(frozen=True, slots=True)
class Call:
    """What to run; ``limit`` bounds it in seconds, whatever the job's deadline."""

    command: tuple[str, ...]
    name: str = ""  # in messages; the program's own name when empty
    folder: Path | None = None
    stdin: bytes = field(default=b"", repr=False)  # cookies come this way
    env: Mapping[str, str] | None = None
    limit: float = math.inf
    visits: bool = False  # a child of our own that goes to the network
    most: int = 0  # bytes a file of its making may have, if that is more than any result


@dataclass(frozen=True, slots=True)
class Finished:
    """How a tool ended; the code is negative when a signal ended it."""

    code: int
    complaint: str  # without the names of the files it was told


def unheard(_line: str) -> None:
    """Take a line of output and do nothing with it."""


async def run(
    call: Call, context: JobContext, on_line: Callable[[str], None] = unheard
) -> Finished:
    """Run a tool to its end and return how it ended; each line of its stdout is given away.

    Raises:
        RefusedError: ``cancelled``.
        TransientError: ``timeout``.
        HostError: it cannot be started: ``ffmpeg_missing``, ``exhausted``; ``disk_full``, when it
            is about to take the last of the room.
    """
    until = min(context.deadline, time.monotonic() + call.limit)
    _look(context, until, tool=call.name or Path(call.command[0]).name)
    child = await _start(call, context, until)
    attending = asyncio.ensure_future(_attend(child, on_line))
    name = call.name or Path(call.command[0]).name
    survey = time.monotonic() + SURVEY
    try:
        while not attending.done():
            await asyncio.wait({attending}, timeout=GLANCE)
            if not attending.done():
                _look(context, until, tool=name)
            if call.folder is not None and time.monotonic() >= survey:
                await asyncio.to_thread(room.require_reserve, call.folder, name)
                survey = time.monotonic() + SURVEY
        return Finished(child.returncode or 0, unnamed(attending.result(), call.command))
    finally:
        await _end(child)
        attending.cancel()
        await asyncio.wait({attending})
        child.close()


def _look(context: JobContext, until: float, *, tool: str) -> None:
    if context.cancelled.is_set():
        raise fault("cancelled", f"the job was cancelled while {tool} was running")
    if time.monotonic() >= until:
        raise fault("timeout", f"{tool} was still running when its time was over")


async def _start(call: Call, context: JobContext, until: float) -> Child:
    try:
        birth = await asyncio.to_thread(_birth, call, context, until)
        return await children.start(birth)
    except ReplacedError as error:
        raise fault("not_found", f"{error.filename} {error.strerror}") from error
    except OSError as error:
        raise from_start(error, call.command[0], str(call.folder or "")) from error


def _birth(call: Call, context: JobContext, until: float) -> Birth:
    """Return how to start it: what deals with strangers is confined, other children are not."""
    birth = Birth(call.command, call.folder, call.env, call.stdin, leads=call.visits)
    if not call.visits and not confinement.is_ours(call.command):
        return birth
    chosen = settings.read(context.options)
    left = until - time.monotonic()
    most = max(chosen.max_size, call.most)
    execution = Execution(call.command, call.folder, context.media, left, largest=most)
    if call.visits:
        return replace(
            birth,
            reach=confinement.visitors_reach(execution) if chosen.confine else None,
            limits=confinement.visitors_limits(execution),
        )
    if not confinement.asks(call.command):
        most = threads.allowed(getattr(context, "cpu", 0.0))  # a context of one's own may not say
        birth = replace(birth, command=threads.bounded(call.command, most))
    return replace(
        birth,
        reach=confinement.reach(execution) if chosen.confine else None,
        limits=confinement.limits(execution),
    )


async def _attend(child: Child, on_line: Callable[[str], None]) -> str:
    complaint, _ = await asyncio.gather(
        _tail(await child.stderr()), _lines(await child.stdout(), on_line)
    )
    await child.wait()
    return complaint


async def _lines(stdout: asyncio.StreamReader, on_line: Callable[[str], None]) -> None:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    rest = ""
    while chunk := await stdout.read(CHUNK):
        *lines, rest = (rest + decode(chunk)).split("\n")
        for line in lines:
            on_line(line[:LONGEST])
        rest = rest[:LONGEST]
    if rest:
        on_line(rest)


async def _tail(stderr: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stderr.read(CHUNK):
        kept = (kept + chunk)[-KEPT:]
    return kept.decode(errors="replace")


async def _end(child: Child) -> None:
    """TERM, wait, KILL with all it started; a cancellation during the wait skips to KILL."""
    try:
        if child.returncode is None:
            child.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), GRACE)
    finally:
        await child.kill()
