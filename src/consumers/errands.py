"""Errands: short tasks that run beside a loop, kept until they end and never lost in silence."""

import asyncio
from collections.abc import Callable, Coroutine

from consumers import logs

log = logs.get(__name__)


class Errands:
    """Holds running tasks; a task that raises is logged with its traceback.

    ``failed`` is told of it, too: whoever waited for the end of that task waits in vain.
    """

    def __init__(self) -> None:
        self.failed: Callable[[BaseException], None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        """Answer whether any errand is under way."""
        return bool(self._tasks)

    def run(self, work: Coroutine[object, None, None]) -> None:
        """Start an errand; errands start in the order they were given."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def finish(self) -> None:
        """Return when every errand has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def settle(self, within: float) -> None:
        """Return when every errand there is now has ended, or so many seconds later."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)

    async def cancel(self) -> None:
        """Cancel every errand and return when all have ended."""
        for task in self._tasks:
            task.cancel()
        await self.finish()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("errand failed", exc_info=error)
            if self.failed is not None:
                self.failed(error)
