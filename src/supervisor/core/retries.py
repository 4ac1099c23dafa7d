"""After how many attempts jobs end: counts by state and failures, as rows by attempts. Pure."""

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from supervisor.core.records import JobState

_FIELDS: Mapping[JobState, str] = {
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.REMOVED: "cancelled",
    JobState.ACTIVE: "active",
}
# What failed, or was stopped before it came to its next attempt, ended with its last failure.
_ENDED_BEFORE = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.REMOVED})


class RetryRow(msgspec.Struct, frozen=True, rename="camel"):
    """Jobs by one number of attempts: those that ended with it, and those that come to it.

    Row 0 holds jobs that ended before they were tried: malformed, or removed while they waited.
    """

    attempts: int
    completed: int = 0
    failed: int = 0
    cancelled: int = 0  # or removed
    active: int = 0  # in this attempt now
    waiting: int = 0  # for this attempt, or on the way to it


def rows(counts: Mapping[tuple[JobState, int], int]) -> tuple[RetryRow, ...]:
    """Return the rows from the first number of attempts there is to the last, none left out."""
    found: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (state, failed), number in counts.items():
        attempt = failed if state in _ENDED_BEFORE else failed + 1
        found[attempt][_FIELDS.get(state, "waiting")] += number
    if not found:
        return ()
    first = 0 if 0 in found else 1
    return tuple(RetryRow(attempts, **found[attempts]) for attempts in range(first, max(found) + 1))
