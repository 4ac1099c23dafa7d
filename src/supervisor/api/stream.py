"""Events as a stream a browser understands (Server-Sent Events)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec

from supervisor.api.wire import HELLO, MISSED
from supervisor.desks.events import Listening, News, Told

KEEP_ALIVE = ": still here\n\n"


async def stream(
    listening: Listening, closing: asyncio.Event, *, keep_alive: float
) -> AsyncIterator[str]:
    """Yield events as text until they end or ``closing`` is set, a comment when all is quiet."""
    closed = asyncio.ensure_future(closing.wait())
    following = asyncio.ensure_future(listening.take())
    try:
        yield f"{HELLO}\n\n"
        while not closing.is_set():
            await asyncio.wait(
                (following, closed), timeout=keep_alive, return_when=asyncio.FIRST_COMPLETED
            )
            if following.done():
                news = following.result()
                if news is None:
                    return
                yield written(news)
                following = asyncio.ensure_future(listening.take())
            elif not closed.done():
                yield KEEP_ALIVE
    finally:
        listening.leave()
        for waiting in (following, closed):
            waiting.cancel()
        for waiting in (following, closed):
            with contextlib.suppress(asyncio.CancelledError):
                await waiting


def written(news: News) -> str:
    """Return news as they are written on the stream: first how many are lost, if any are."""
    said = "".join(map(_event, news.told))
    if news.missed == 0:
        return said
    return f"event: {MISSED}\ndata: {msgspec.json.encode({MISSED: news.missed}).decode()}\n\n{said}"


def _event(told: Told) -> str:
    return f"id: {told.key}\nevent: {told.name}\ndata: {told.body.decode()}\n\n"
