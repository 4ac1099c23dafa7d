"""A question to somebody who may not answer for long: asked once at a time, waited for briefly."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

T = TypeVar("T")


class Inquiry(Generic[T]):
    """One question; whoever asks while it is under way waits for the same answer."""

    def __init__(self, question: Callable[[], Coroutine[None, None, T]]) -> None:
        self._question = question
        self._asked: asyncio.Task[T] | None = None

    async def answer(self, *, within: float) -> T | None:
        """Return the answer, None if there is none so far. Raises what the question raised."""
        if self._asked is None:
            self._asked = asyncio.create_task(self._question())
        asked = self._asked
        done, _ = await asyncio.wait([asked], timeout=within)
        if not done:
            return None
        if self._asked is asked:
            self._asked = None
        return asked.result()
