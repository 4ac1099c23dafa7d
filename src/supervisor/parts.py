"""The parts of the house that run beside its coordinator, for as long as it stands."""

import asyncio
from collections.abc import Callable, Coroutine

from consumers import logs

log = logs.get(__name__)


class Parts:
    """Runs them until they are stopped; ``broken`` is told when one has failed before."""

    def __init__(self, broken: Callable[[], None]) -> None:
        self._broken = broken
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, work: Coroutine[None, None, None], *, name: str) -> None:
        """Have a part run from now on."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    async def stop(self) -> None:
        """End all of them; returns when they have ended."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("part of the supervisor failed, stopping", exc_info=error)
            self._broken()
