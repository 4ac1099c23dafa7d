"""Holds: why a consumer takes nothing new just now, each by name; it consumes while there is none.

A hold is the answer to a fault that is not a job's: the disk is full, the dead-letter queue takes
nothing, an operator paused the pool. Whoever placed a hold lifts it, by the same name.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

# The holds of a worker on itself; the others of its pool go on.
SPENT = "spent"  # it has begun as many jobs as it was asked to
SUSPECT = "suspect"
ALONE = "a job that a worker died of runs alone"


class Holds:
    """The holds on one consumer, in the order they were placed."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self.changed: Callable[[], None] = lambda: None

    def __bool__(self) -> bool:
        """Answer whether there is any."""
        return bool(self._reasons)

    @property
    def reasons(self) -> Mapping[str, str]:
        """Return why, by name."""
        return dict(self._reasons)

    def place(self, name: str, why: str) -> bool:
        """Place a hold or give it another reason; return whether it is the first of all."""
        is_first = not self._reasons
        if self._reasons.get(name) != why:
            self._reasons[name] = why
            self.changed()
        return is_first

    def lift(self, name: str) -> bool:
        """Lift a hold, if it is there; return whether it was the last of all."""
        if self._reasons.pop(name, None) is None:
            return False
        self.changed()
        return not self._reasons


class Gate(Protocol):
    """Whoever takes jobs in, as those see it who may have to stop that."""

    async def hold(self, name: str, why: str) -> None:
        """Take nothing new until every hold is lifted; give back what has not started."""

    async def release(self, name: str) -> None:
        """Lift a hold; take in again if it was the last."""


class Unheld:
    """A gate that nobody keeps."""

    async def hold(self, name: str, why: str) -> None:
        """Hold nothing."""

    async def release(self, name: str) -> None:
        """Release nothing."""
