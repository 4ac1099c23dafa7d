"""The bulletin: what happens, told to everyone who listens just now.

A listener that does not keep up loses the oldest news, never holds anyone up.
"""

import asyncio
from collections.abc import AsyncIterator

from supervisor.ports import Event

BACKLOG = 1000  # events kept for one slow listener


class Bulletin:
    """Fans events out to its listeners."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[Event | None]] = set()
        self._is_closed = False

    def publish(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            _put(listener, event)

    def close(self) -> None:
        """Tell every listener that nothing more comes, and those who would listen yet."""
        self._is_closed = True
        for listener in self._listeners:
            _put(listener, None)

    async def listen(self) -> AsyncIterator[Event]:
        """Yield what happens from now on."""
        if self._is_closed:
            return
        mine: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG)
        self._listeners.add(mine)
        try:
            while (event := await mine.get()) is not None:
                yield event
        finally:
            self._listeners.discard(mine)


def _put(listener: asyncio.Queue[Event | None], event: Event | None) -> None:
    if listener.full():
        listener.get_nowait()
    listener.put_nowait(event)
