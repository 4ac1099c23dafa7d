"""When a job leaves its slot: once its run is over, or only when it is settled.

Most jobs without an id keep theirs until then: of acks that are under way when a line breaks nobody
knows whether they arrived, so there are to be few.
"""

from collections.abc import Callable
from dataclasses import dataclass

SHARE = 3  # of the slots, how many nameless jobs may be over and not acked: one in so many


@dataclass(slots=True)
class Nameless:
    """How many jobs without an id have left their slot and are not settled."""

    slots: int
    number: int = 0

    @property
    def may_leave(self) -> bool:
        """Answer whether one more of them may."""
        return self.number < self.slots // SHARE


class Stay:
    """One job in its slot, from its claim on; ``leave`` is called once, when it leaves."""

    __slots__ = ("_is_early", "_is_over", "_leave", "_nameless")

    def __init__(self, nameless: Nameless, leave: Callable[[], None]) -> None:
        self._nameless = nameless
        self._leave = leave
        self._is_over = self._is_early = False

    def ran(self, *, is_nameless: bool) -> None:
        """Leave, if the job may before it is settled: its run is over."""
        if not is_nameless:
            self._end()
        elif self._nameless.may_leave:
            self._is_early = True
            self._nameless.number += 1
            self._end()

    def settled(self) -> None:
        """Leave at the latest: the job is settled, or cannot be."""
        self._nameless.number -= self._is_early
        self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._leave()
