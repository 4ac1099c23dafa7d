"""One timer for all delayed messages: it sleeps until the earliest of them is due."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from consumers.clock import Clock


class Alarm:
    """Calls ``ring`` once at the earliest moment it was set to, then waits to be set again."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due: datetime | None = None
        self._sleep: asyncio.Task[None] | None = None

    def set(self, due: datetime) -> None:
        """Ring at ``due``, unless it is set to an earlier moment already."""
        if self._due is not None and self._due <= due:
            return
        if self._sleep is not None:
            self._sleep.cancel()
        self._due = due
        self._sleep = asyncio.create_task(self._sleep_until(due))

    async def close(self) -> None:
        """Ring no more."""
        if self._sleep is not None:
            self._sleep.cancel()
            await asyncio.gather(self._sleep, return_exceptions=True)

    async def _sleep_until(self, due: datetime) -> None:
        left = (due - self._clock.utcnow()).total_seconds()
        while left > 0:  # a moment is not over because a clock of another kind says so
            await self._clock.sleep(left)
            left = (due - self._clock.utcnow()).total_seconds()
        self._due = self._sleep = None
        self._ring()
