"""How long finished jobs stay: by age, by count, and never shorter than they are judged by.

A job's row is what a second publish of its id is recognised by, and a delivery that comes once
more after a lost ack. So nothing that the house removes by itself goes before ``FLOOR``, whatever
its rule says; an operator who cleans may go further, and is told what that means.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

FLOOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Rule:
    """What stays: the young, and the newest; 0: of any age, in any number."""

    age: float = 0.0  # seconds
    count: int = 0

    @property
    def is_for_ever(self) -> bool:
        """Answer whether everything stays."""
        return not (self.age or self.count)


def oldest_kept(rule: Rule, newest_beyond: datetime | None, now: datetime) -> datetime | None:
    """Return the moment before which what is finished goes; None: everything stays.

    ``newest_beyond`` is when the newest job finished that is one too many, if there is one.
    """
    limits = [now - timedelta(seconds=rule.age)] if rule.age else []
    if newest_beyond is not None:
        limits.append(newest_beyond + timedelta(microseconds=1))
    return min(max(limits), now - FLOOR) if limits else None
