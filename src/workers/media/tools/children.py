"""Starting a tool from a thread that keeps no more rights than the tool shall have.

A thread of its own for each child: rights that a thread gave up (``landlock``) never come back, and
what it starts inherits the loss. Nothing of ours runs between fork and exec, which in a process of
many threads could hang; and no launcher has to start first, which would cost more than ffprobe.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from subprocess import DEVNULL
from tempfile import TemporaryFile
from typing import IO

from workers.descendants import kill_family, kill_group
from workers.media.tools import landlock
from workers.media.tools.landlock import Reach

SLACK = 5  # between a limit that signals and the one that kills


@dataclass(frozen=True, slots=True)
class Birth:
    """What to start and how; without a reach it may do what we may."""

    command: tuple[str, ...]
    folder: Path | None = None
    env: Mapping[str, str] | None = None
    stdin: bytes = field(default=b"", repr=False)  # cookies come this way
    reach: Reach | None = None
    limits: Mapping[int, int] = field(default_factory=dict)  # by resource
    leads: bool = False  # a process group of its own, because it starts programs itself


@dataclass(frozen=True, slots=True)
class Born:
    """A process that was started, and our ends of what it writes to.

    Sockets, not pipes: uvloop closes the number of a pipe twice, and the second time it may be that
    of a file which another thread has opened meanwhile.
    """

    process: "subprocess.Popen[bytes]"
    stdout: socket.socket
    stderr: socket.socket


class Child:
    """A process that was started, used on the loop that started it."""

    def __init__(self, born: Born, ended: "asyncio.Future[None]", *, leads: bool) -> None:
        self._process = born.process
        self._born = born
        self._leads = leads
        self._ended = ended
        self._unread = [born.stdout, born.stderr]
        self._pipes: list[asyncio.BaseTransport] = []

    @property
    def returncode(self) -> int | None:
        """How it ended, negative when a signal ended it; None while it runs."""
        return self._process.returncode

    async def stdout(self) -> asyncio.StreamReader:
        """Return what it prints."""
        return await self._reader(self._born.stdout)

    async def stderr(self) -> asyncio.StreamReader:
        """Return what it complains of."""
        return await self._reader(self._born.stderr)

    async def wait(self) -> None:
        """Wait for its end, and end what it left behind."""
        await asyncio.shield(self._ended)
        if self._leads and self.returncode is None:  # whoever killed it spared what it had started
            await asyncio.to_thread(kill_group, self._process.pid)
        self._process.wait()  # it is dead: this only buries it

    def terminate(self) -> None:
        """Ask it to end."""
        if self.returncode is None:
            os.kill(self._process.pid, signal.SIGTERM)  # unburied, its number is still its own

    async def kill(self) -> None:
        """Kill it with all it started, and bury it, even when cancelled meanwhile."""
        if self.returncode is not None:
            return
        killing = asyncio.ensure_future(asyncio.to_thread(self._kill))
        ending = asyncio.gather(killing, self._ended)
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait({ending})
            raise
        finally:
            self._process.wait()

    def _kill(self) -> None:
        kill_family(self._process.pid)
        if self._leads:
            kill_group(self._process.pid)

    def close(self) -> None:
        """Close the pipes from it."""
        for pipe in self._pipes:
            pipe.close()
        for stream in self._unread:
            stream.close()

    async def _reader(self, stream: socket.socket) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        here = asyncio.get_running_loop()
        pipe, _ = await here.connect_read_pipe(lambda: protocol, stream)
        self._unread = [other for other in self._unread if other is not stream]
        self._pipes.append(pipe)
        return reader


async def start(birth: Birth) -> Child:
    """Start a process.

    Raises:
        OSError: it cannot be started; ``filename`` says whether for its folder's sake.
    """
    here = asyncio.get_running_loop()
    born: asyncio.Future[Born] = here.create_future()
    ended: asyncio.Future[None] = here.create_future()

    def live() -> None:
        """Be the parent: give birth, and wait for the end without burying."""
        try:
            alive = _started(birth)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            _tell(here, partial(born.set_exception, error))
            return
        _tell(here, partial(born.set_result, alive))
        _await_end(alive.process)
        _tell(here, partial(ended.set_result, None))

    threading.Thread(target=live, name="tool", daemon=True).start()
    try:
        return Child(await asyncio.shield(born), ended, leads=birth.leads)
    except asyncio.CancelledError:
        await asyncio.wait({born})
        if born.exception() is None:
            child = Child(born.result(), ended, leads=birth.leads)
            await child.kill()
            child.close()
        raise


def _started(birth: Birth) -> Born:
    with ExitStack() as ours, ExitStack() as theirs:
        stdin = theirs.enter_context(_spoken(birth.stdin))
        out, its_out = _channel(ours, theirs)
        err, its_err = _channel(ours, theirs)
        if birth.reach is not None:
            landlock.restrict(birth.reach)
        process = subprocess.Popen(
            birth.command,
            stdin=stdin,
            stdout=its_out.fileno(),
            stderr=its_err.fileno(),
            cwd=birth.folder,
            env=birth.env,
            process_group=0 if birth.leads else None,
        )
        ours.pop_all()  # they stay open
    for what, most in birth.limits.items():
        _limit(process.pid, what, most)
    return Born(process, out, err)


def _channel(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    mine, its = socket.socketpair()
    return ours.enter_context(mine), theirs.enter_context(its)


def _await_end(process: "subprocess.Popen[bytes]") -> None:
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.wait()


def _limit(pid: int, what: int, most: int) -> None:
    """Lower a limit of a process that just began; it had no time to do harm."""
    if not hasattr(resource, "prlimit"):  # no Linux
        return
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, what)
        unlimited = hard == resource.RLIM_INFINITY
        # A little more before it is killed outright: the first signal says why.
        last = most + SLACK if unlimited else min(most + SLACK, hard)
        resource.prlimit(pid, what, (min(most, last), last))


@contextlib.contextmanager
def _spoken(words: bytes) -> Iterator[IO[bytes] | int]:
    """Yield an input that holds the words from the start: nobody has to feed it."""
    if not words:
        yield DEVNULL
        return
    in_memory = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("stdin"), "w+b") if in_memory else TemporaryFile() as file:
        file.write(words)
        file.seek(0)
        yield file


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is gone, and who waited
        loop.call_soon_threadsafe(what)
