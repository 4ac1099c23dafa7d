"""A clock that stands still until a test moves it, and dice that fall as the test wants."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TURNS = 30  # more than any chain of callbacks in what is tested
WITHIN = 5.0  # seconds: the deadline of every wait for something that must happen


class FakeClock:
    """Implements `Clock`; `advance` and `move` wake those whose sleep is over."""

    def __init__(self, *, rolls: float = 0.5) -> None:
        self.now = 0.0  # monotonic
        self.leap = 0.0  # seconds by which the wall was put on
        self.rolls = rolls
        self.slept: list[float] = []  # what was asked for, in order
        self._numbers = itertools.count()
        self._sleepers: dict[int, tuple[float, asyncio.Future[None]]] = {}
        self._fell_asleep = asyncio.Event()

    def monotonic(self) -> float:
        return self.now

    def utcnow(self) -> datetime:
        return START + timedelta(seconds=self.now + self.leap)

    def roll(self) -> float:
        return self.rolls

    async def sleep(self, delay: float) -> None:
        number = next(self._numbers)
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.slept.append(delay)
        self._sleepers[number] = (self.now + delay, over)
        self._fell_asleep.set()
        try:
            await over
        finally:
            del self._sleepers[number]

    def advance(self, seconds: float) -> None:
        """Let time pass; the sleepers wake in their order."""
        self.now += seconds
        for until, over in sorted(self._sleepers.values(), key=lambda sleeper: sleeper[0]):
            if until <= self.now and not over.done():
                over.set_result(None)

    async def move(self, seconds: float) -> None:
        """Let time pass, then let everybody do what was to be done at that time."""
        await settle()
        self.advance(seconds)
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
