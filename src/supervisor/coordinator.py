"""The coordinator's loop: wait for an event, decide, perform what was decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consumers.clock import Clock
from supervisor.core.commands import Command
from supervisor.core.decide import decide
from supervisor.core.events import Exited
from supervisor.core.fleet import Fleet
from supervisor.inbox import Inbox


class Perform(Protocol):
    """The shell's side of a decision."""

    async def perform(self, command: Command) -> None:
        """Do what was decided; returns when the next command may be done."""

    def forgive(self, holder: tuple[str, int]) -> None:
        """Return what a dead process (worker and incarnation) had in hand, unblamed."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Whom the coordinator works with: where news come from, who acts, who wants to know."""

    inbox: Inbox
    performer: Perform
    changed: Callable[[Fleet], None]  # called after every turn of the loop
    longest_wait: float | None = None  # seconds for an event before the loop turns all the same


class Coordinator:
    """Owns the fleet: nobody else decides about workers, and nobody else changes it."""

    def __init__(self, fleet: Fleet, commands: Sequence[Command], crew: Crew, clock: Clock) -> None:
        self.fleet = fleet
        self._commands = commands
        self._crew = crew
        self._clock = clock

    async def run(self) -> None:
        """Decide until every worker is down after a stop."""
        await self._perform(self._commands)
        while not self.fleet.is_finished:
            event = await self._crew.inbox.take(within=self._patience())
            now, roll = self._clock.monotonic(), self._clock.roll()
            self.fleet, commands = decide(self.fleet, event, now=now, roll=roll)
            await self._perform(commands)
            self._crew.changed(self.fleet)
            if isinstance(event, Exited):
                self._crew.performer.forgive((event.worker, event.incarnation))

    async def _perform(self, commands: Sequence[Command]) -> None:
        for command in commands:
            await self._crew.performer.perform(command)

    def _patience(self) -> float | None:
        deadline, longest = self.fleet.next_deadline(), self._crew.longest_wait
        if deadline is None:
            return longest
        patience = max(0.0, deadline - self._clock.monotonic())
        return patience if longest is None else min(patience, longest)
