"""The inbox: events in the order they came; time passes only when nothing else happens."""

import asyncio
from collections import deque

from supervisor.core.events import Event, Ticked


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
                if not self._events:  # one may have come in the very moment
                    return Ticked()
        return self._events.popleft()
