"""The one door to time and chance; everything else takes ``now`` and ``roll`` as arguments."""

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for durations and deadlines."""

    def utcnow(self) -> datetime:
        """Return the moment people see, aware and in UTC."""

    def roll(self) -> float:
        """Return a random number in [0, 1)."""

    async def sleep(self, delay: float) -> None:
        """Wait for ``delay`` seconds."""


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    def utcnow(self) -> datetime:
        """Return the moment people see, aware and in UTC."""
        return datetime.now(UTC)

    def roll(self) -> float:
        """Return a random number in [0, 1); it spreads load and guards nothing."""
        return random.random()  # noqa: S311 - jitter, not cryptography

    async def sleep(self, delay: float) -> None:
        """Wait for ``delay`` seconds."""
        await asyncio.sleep(delay)


class WallWatch:
    """Notices that the wall clock was put back; at the first look it may have been."""

    def __init__(self, clock: Clock, least: float) -> None:
        """Watch a clock; to lose less than ``least`` seconds counts for nothing."""
        self._clock = clock
        self._least = least
        self._ahead: float | None = None  # of the wall clock before the other, at the last look

    def was_put_back(self) -> bool:
        """Answer whether the clock was put back since this was asked last."""
        before = self._ahead
        self._ahead = self._clock.utcnow().timestamp() - self._clock.monotonic()
        return before is None or before - self._ahead > self._least

    def look_again(self) -> None:
        """Say that nothing came of the last answer: the next one is yes."""
        self._ahead = None
