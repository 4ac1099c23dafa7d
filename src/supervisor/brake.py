"""The brake: whoever asks faster than it is answered is not heard until we have caught up.

What is asked waits in memory until the ledger has written it, and everybody else's writes wait
behind it. So the questions of one process that are under way are bounded, by a number that a
sound worker never comes near: it has a few for each of its slots.
"""

from collections import Counter

from consumers import logs
from supervisor.book import Holder

SPARE = 200  # questions under way at once that any process may have
A_SLOT = 10  # and as many more for each job it may run at a time

log = logs.get(__name__)


class Brake:
    """Counts what each process has asked and was not answered yet."""

    def __init__(self) -> None:
        self._most: dict[Holder, int] = {}
        self._open: Counter[Holder] = Counter()
        self._braked: set[Holder] = set()
        self._told: set[Holder] = set()

    def admit(self, holder: Holder, slots: int) -> None:
        """Expect questions of a new process, which runs so many jobs at a time."""
        self._most[holder] = SPARE + A_SLOT * slots

    def forget(self, holder: Holder) -> None:
        """Expect no more of a process that is dead; what it had asked is still counted down."""
        self._most.pop(holder, None)
        self._told.discard(holder)

    def asked(self, holder: Holder) -> bool:
        """Count a question; return whether to hear nothing more of this process for now."""
        self._open[holder] += 1
        most = self._most.get(holder)
        if most is None or self._open[holder] < most or holder in self._braked:
            return False
        self._braked.add(holder)
        if holder not in self._told:
            self._told.add(holder)
            log.warning("worker asks faster than it is answered", worker=holder[0], open=most)
        return True

    def answered(self, holder: Holder) -> bool:
        """Count an answer; return whether to hear the process again."""
        self._open[holder] -= 1
        left = self._open[holder]
        if not left:
            del self._open[holder]
        if holder not in self._braked or left > self._most.get(holder, 0) // 2:
            return False
        self._braked.discard(holder)
        return True
