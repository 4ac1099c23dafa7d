"""The inbox: events in the order they came; time passes only when nothing else happens."""

import asyncio
from collections import deque

from supervisor.core.events import Event, Ticked

TURNS = 3  # of the loop: it polls, reads, and delivers what it read


class Inbox:
    """A queue of events with a deadline; everybody may put, the coordinator takes."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event; never blocks."""
        self._events.append(event)
        self._arrived.set()

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
        return self._events.popleft()


async def _hear_what_waits() -> None:
    """Let the loop read its sockets: after a pause of ours, beats lie there and time has passed.

    uvloop runs timers first; without this every worker would look hung after a suspended machine.
    """
    for _ in range(TURNS):
        await asyncio.sleep(0)
