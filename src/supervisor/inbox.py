"""The inbox: events in the order they came; time passes only when nothing else happens."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from supervisor.core.events import Event, Ticked

TURNS = 3  # of the loop: it polls, reads, and delivers what it read


class Inbox:
    """A queue of events with a deadline; everybody may put, the coordinator takes."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._events: deque[tuple[float, Event]] = deque()  # each with when it came
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event; never blocks."""
        self._events.append((self._now(), event))
        self._arrived.set()

    @property
    def behind(self) -> float:
        """For how many seconds the oldest event has waited."""
        return self._now() - self._events[0][0] if self._events else 0.0

    async def take(self, *, within: float | None) -> Event:
        """Return the next event, or ``Ticked`` when none came within so many seconds."""
        if not self._events:
            self._arrived.clear()
            try:
                async with asyncio.timeout(within):
                    await self._arrived.wait()
            except TimeoutError:
                await _hear_what_waits()
                if not self._events:
                    return Ticked()
        return self._events.popleft()[1]


async def _hear_what_waits() -> None:
    """Let the loop read its sockets: after a pause of ours, beats lie there and time has passed.

    uvloop runs timers first; without this every worker would look hung after a suspended machine.
    """
    for _ in range(TURNS):
        await asyncio.sleep(0)
