"""A clock that stands still until a test moves it, and dice that fall as the test wants."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
TURNS = 30  # more than any chain of callbacks in what is tested
WITHIN = 5.0  # seconds: the deadline of every wait for something that must happen


class FakeClock:
    """Implements the clock port; ``move`` wakes whoever's sleep is over."""

    def __init__(self, *, rolls: float = 0.5) -> None:
        self.now = 1000.0
        self.rolls = rolls
        self.slept: list[float] = []  # what was asked for, in order
        self._numbers = itertools.count()
        self._sleepers: dict[int, tuple[float, asyncio.Future[None]]] = {}
        self._fell_asleep = asyncio.Event()

    def monotonic(self) -> float:
        return self.now

    def utcnow(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self.now)

    def roll(self) -> float:
        return self.rolls

    async def sleep(self, delay: float) -> None:
        number = next(self._numbers)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.slept.append(delay)
        self._sleepers[number] = (self.now + delay, future)
        self._fell_asleep.set()
        try:
            await future
        finally:
            del self._sleepers[number]

    async def move(self, seconds: float) -> None:
        """Let time pass, then let everybody do what was to be done at that time."""
        await settle()
        self.now += seconds
        for until, future in list(self._sleepers.values()):
            if until <= self.now and not future.done():
                future.set_result(None)
        await settle()

    async def until_asleep(self, naps: int = 1) -> None:
        """Wait until so many sleeps were begun since the clock was made."""
        async with asyncio.timeout(WITHIN):
            while len(self.slept) < naps:
                self._fell_asleep.clear()
                await self._fell_asleep.wait()


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
