"""A clock that stands still until a test moves it."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FakeClock:
    """Implements `Clock`; `advance` lets those who sleep wake up in their order."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def monotonic(self) -> float:
        return self._now

    def utcnow(self) -> datetime:
        return START + timedelta(seconds=self._now)

    def roll(self) -> float:
        return 0.5

    async def sleep(self, delay: float) -> None:
        awake = asyncio.Event()
        self._sleepers.append((self._now + delay, awake))
        await awake.wait()

    def advance(self, seconds: float) -> None:
        self._now += seconds
        due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self._now]
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper not in due]
        for _, awake in sorted(due, key=lambda sleeper: sleeper[0]):
            awake.set()
