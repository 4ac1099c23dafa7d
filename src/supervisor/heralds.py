"""The heralds: who carry what happens to other programs, and to the user's own functions.

They listen to the bulletin, live in the coordinator's session, and can be started and stopped as
one.
"""

import asyncio

from consumers.broker.port import Session
from supervisor.gazette import Gazette
from supervisor.hooks.runner import Hooks
from supervisor.ports import EventsView
from supervisor.replies import Replies


class Heralds:
    """A tenant of the coordinator's session for all of them."""

    def __init__(self, replies: Replies, gazette: Gazette | None, hooks: Hooks | None) -> None:
        self._replies = replies
        self._gazette = gazette
        self._hooks = hooks

    def view(self) -> EventsView | None:
        """Return how the events for other programs fare, if there are any."""
        return None if self._gazette is None else self._gazette.view

    async def open(self, session: Session) -> None:
        """Speak by this session from now on."""
        await self._replies.open(session)
        if self._gazette is not None:
            await self._gazette.open(session)

    def lost(self) -> None:
        """Wait for the next session."""
        self._replies.lost()
        if self._gazette is not None:
            self._gazette.lost()

    async def run(self) -> None:
        """Carry what happens, until cancelled."""
        async with asyncio.TaskGroup() as together:
            for herald in (self._replies, self._gazette, self._hooks):
                if herald is not None:
                    together.create_task(herald.run())

    async def close(self) -> None:
        """Carry what is left."""
        async with asyncio.TaskGroup() as together:
            for herald in (self._replies, self._gazette, self._hooks):
                if herald is not None:
                    together.create_task(herald.close())
