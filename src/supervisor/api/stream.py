"""Events as a stream a browser understands (Server-Sent Events)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import msgspec

from supervisor.api.wire import HELLO
from supervisor.ports import Event

KEEP_ALIVE = ": still here\n\n"


async def stream(
    events: AsyncIterator[Event], closing: asyncio.Event, *, keep_alive: float
) -> AsyncIterator[str]:
    """Yield events as text until they end or ``closing`` is set, a comment when all is quiet."""
    closed = asyncio.create_task(closing.wait())
    following = asyncio.create_task(_next(events))
    try:
        await asyncio.sleep(0)  # let the subscription begin before we say that it has
        yield f"{HELLO}\n\n"
        while not closing.is_set():
            await asyncio.wait(
                {following, closed}, timeout=keep_alive, return_when=asyncio.FIRST_COMPLETED
            )
            if following.done():
                event = following.result()
                if event is None:
                    return
                yield written(event)
                following = asyncio.create_task(_next(events))
            elif not closed.done():
                yield KEEP_ALIVE
    finally:
        await _abandon(following, closed)


def written(event: Event) -> str:
    """Return one event as it is written on the stream."""
    return f"event: {event.name}\ndata: {msgspec.json.encode(event).decode()}\n\n"


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


async def _abandon(*waiting: asyncio.Task[Event | None] | asyncio.Task[Literal[True]]) -> None:
    for each in waiting:
        each.cancel()
    for each in waiting:
        with contextlib.suppress(asyncio.CancelledError):
            await each
