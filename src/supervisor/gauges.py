"""What the machine has left: room on file systems, memory. Asked in threads, waited for briefly.

A network file system whose server is away answers nobody for minutes; the thread that asked then
hangs, alone, and no second one is sent after it.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from supervisor.core.conditions import Space

MEMORY = Path("/proc/meminfo")

T = TypeVar("T")


class SilentError(Exception):
    """No answer came in time; the message says for how long."""


class Gauge(Generic[T]):
    """A question to the kernel that may take for ever."""

    def __init__(self, question: Callable[[], T]) -> None:
        self._question = question
        self._asked: asyncio.Future[T] | None = None

    async def read(self, *, within: float) -> T:
        """Return the answer.

        Raises:
            OSError: the kernel refused.
            SilentError: there is none so far. The next to ask waits for the same answer.
        """
        if self._asked is None:
            here = asyncio.get_running_loop()
            self._asked = asked = here.create_future()
            # A daemon: a thread that hangs in the kernel must not keep the process from leaving.
            thread = threading.Thread(target=self._ask, args=(here, asked), daemon=True)
            thread.start()
        done, _ = await asyncio.wait([self._asked], timeout=within)
        if not done:
            message = f"has not answered for {within:g} s"
            raise SilentError(message)
        asked, self._asked = self._asked, None
        return asked.result()

    def _ask(self, here: asyncio.AbstractEventLoop, asked: asyncio.Future[T]) -> None:
        try:
            tell = partial(asked.set_result, self._question())
        except OSError as error:
            tell = partial(asked.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is gone, and who waited
            here.call_soon_threadsafe(tell)


def space(folder: Path) -> Space:
    """Return what the file system of a folder has for us. Raises OSError."""
    found = os.statvfs(folder)
    return Space(
        free=found.f_bavail * found.f_frsize,
        total=found.f_blocks * found.f_frsize,
        device=folder.stat().st_dev,
    )


def available_memory(file: Path = MEMORY) -> int | None:
    """Return how much memory new work could have, None where the kernel does not say."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kilobytes is None else int(kilobytes) * 1024
