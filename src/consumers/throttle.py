"""How a worker of a pool with a rate gets its starts: a permit first, then the most urgent job.

A job is picked when its permit is there, so what came meanwhile and is more urgent goes first. When
no permit came for a while, the worker *shuts*: it gives back what it holds and consumes nothing,
so that nothing less urgent is in its way when the permit comes. A permit that finds no job goes
back: it counts for nothing then.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from consumers.clock import Clock
from consumers.errands import Errands

CHOICE = 0.05  # seconds from reopening to the pick: both lanes are to be heard
IDLE = 1.0  # seconds until a permit that finds no job goes back
FREE = 0  # the ticket of a job that needs no permit


class Turnstile(Protocol):
    """Where permits come from; all workers of a pool ask the same one. Nothing here waits."""

    def ask(self, granted: Callable[[], None]) -> int:
        """Ask for a permit, which may take long; return the ticket it is known by."""

    def withdraw(self, ticket: int) -> None:
        """Want a permit no more, or give back one that was granted and not used."""


class Throttle:
    """The permits of one worker: asked for, granted, used; without a turnstile none is needed."""

    def __init__(self, turnstile: Turnstile | None, clock: Clock) -> None:
        self._turnstile = turnstile
        self._clock = clock
        self._asked: dict[int, None] = {}
        self._granted: list[int] = []
        self._is_choosing = False
        self._is_watching = False
        self._errands = Errands()
        self.is_shut = False
        self.reopen: Callable[[], Awaitable[None]] = _nothing  # consume again, a permit is here
        self.fill: Callable[[], None] = lambda: None  # a job may be picked

    def take(self) -> int | None:
        """Return the ticket of the job that is picked now; None: no permit is here."""
        if self._turnstile is None:
            return FREE
        if self._is_choosing or not self._granted:
            return None
        return self._granted.pop(0)  # the newest can be undone for longest

    def spare(self, ticket: int) -> None:
        """Note that the job that was picked did not run: the next one has its permit."""
        if ticket != FREE:
            self._granted.append(ticket)
            self._watch_the_unused()

    def want(self, permits: int) -> None:
        """Have so many permits asked for or granted, no more and no less."""
        if self._turnstile is None:
            return
        wanted = max(permits, 1) if self.is_shut else permits
        while len(self._asked) + len(self._granted) < wanted:
            self._ask(self._turnstile)
        while self._asked and len(self._asked) + len(self._granted) > wanted:
            self._turnstile.withdraw(self._asked.popitem()[0])

    def shut(self) -> None:
        """Consume nothing until the next permit is here."""
        if self._turnstile is not None and not self._granted:
            self.is_shut = True
            self.want(1)

    def rest(self) -> None:
        """Want nothing: nothing is consumed, for another reason than the rate."""
        self.is_shut = False
        self.want(0)
        self._give_back()

    async def close(self) -> None:
        """Want nothing any more."""
        self.rest()
        await self._errands.cancel()

    def _ask(self, turnstile: Turnstile) -> None:
        def granted() -> None:
            if ticket in self._asked:
                del self._asked[ticket]
                self._came(ticket)

        ticket = turnstile.ask(granted)
        self._asked[ticket] = None

    def _came(self, ticket: int) -> None:
        self._granted.append(ticket)
        if self.is_shut:
            self.is_shut, self._is_choosing = False, True
            self._errands.run(self._choose())
        else:
            self.fill()
        self._watch_the_unused()

    async def _choose(self) -> None:
        try:
            await self.reopen()
            await self._clock.sleep(CHOICE)
        finally:
            self._is_choosing = False
        self.fill()

    def _watch_the_unused(self) -> None:
        if self._granted and not self._is_watching:
            self._is_watching = True
            self._errands.run(self._watch())

    async def _watch(self) -> None:
        try:
            while self._granted:
                oldest = self._granted[0]
                await self._clock.sleep(IDLE)
                if self._granted and self._granted[0] == oldest:
                    self._give_back()
        finally:
            self._is_watching = False

    def _give_back(self) -> None:
        """Give back what was not used, the newest first: so each can be undone."""
        while self._granted:
            ticket = self._granted.pop()
            if self._turnstile is not None:
                self._turnstile.withdraw(ticket)


async def _nothing() -> None:
    """Do nothing."""
