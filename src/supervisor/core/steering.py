"""Whether a job can be steered as somebody wishes, by the state it is in: go, nothing to do, or no.

What was wished twice is granted twice, and done once.
"""

import enum
from dataclasses import dataclass

from supervisor.core.records import JobState


class Wish(enum.Enum):
    """What people want of a job; the value is the verb of the command line."""

    RETRY = "retry"
    CANCEL = "cancel"
    REMOVE = "remove"
    PROMOTE = "promote"
    REPRIORITIZE = "priority"


@dataclass(frozen=True, slots=True)
class Go:
    """Do it."""


@dataclass(frozen=True, slots=True)
class Granted:
    """It is so already."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Its state does not allow it; the sentence goes on after the id of the job."""

    why: str


Ruling = Go | Granted | Refused

WAITING = frozenset({JobState.PENDING, JobState.WAITING, JobState.DELAYED})  # for its turn

_GO = {
    Wish.RETRY: {JobState.FAILED, JobState.CANCELLED},
    Wish.CANCEL: {*WAITING, JobState.ACTIVE},
    Wish.REMOVE: {*WAITING, JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED},
    Wish.PROMOTE: {JobState.DELAYED, JobState.PENDING},
    Wish.REPRIORITIZE: WAITING,
}
_GRANTED = {
    Wish.RETRY: {JobState.PENDING, JobState.WAITING, JobState.ACTIVE},
    Wish.CANCEL: {JobState.CANCELLED},
    Wish.REMOVE: {JobState.REMOVED},
    Wish.PROMOTE: {JobState.WAITING, JobState.ACTIVE},
    Wish.REPRIORITIZE: frozenset[JobState](),
}
_OTHERWISE = {
    Wish.RETRY: "only failed and cancelled jobs are run again",
    Wish.CANCEL: "only what has not ended can be cancelled",
    Wish.REMOVE: "cancel it first",
    Wish.PROMOTE: "only delayed jobs can be run earlier",
    Wish.REPRIORITIZE: "only jobs that wait have a place to change",
}
_HINTS = {
    (Wish.RETRY, JobState.DELAYED): "`promote` runs it now",
    (Wish.RETRY, JobState.COMPLETED): "publish it anew to have it done once more",
    (Wish.PROMOTE, JobState.FAILED): "`retry` runs it again",
    (Wish.PROMOTE, JobState.CANCELLED): "`retry` runs it again",
}
_WORDS = {JobState.ACTIVE: "is running"}


def rule(wish: Wish, state: JobState) -> Ruling:
    """Return whether a job in this state can be steered so."""
    if state in _GO[wish]:
        return Go()
    if state in _GRANTED[wish]:
        return Granted()
    how = _WORDS.get(state, f"is {state.value}")
    return Refused(f"{how}: {_HINTS.get((wish, state), _OTHERWISE[wish])}")
