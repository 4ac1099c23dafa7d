"""Jobs that are to be cancelled by another machine than the one that was asked: what follows.

The wish is in the ledger until it is fulfilled or moot. The coordinator it is addressed to, which
had the job in hand, or has taken the place of that one, looks at it again and again.
"""

import enum
from dataclasses import dataclass

from supervisor.core.records import JobState


class Step(enum.Enum):
    """What a coordinator does about a wish that is addressed to it."""

    STOP = "stop"  # cancel the job, as if that was asked here
    HAND_ON = "hand on"  # by now yet another machine runs it
    TELL = "tell"  # the ledger has cancelled it, and nobody was told
    FORGET = "forget"  # there is nothing more to do


@dataclass(frozen=True, slots=True)
class Wished:
    """A job that is to be cancelled, as it stands now."""

    queue: str
    job_id: str
    life: int  # which of its lives: one that is run again later is not meant
    state: JobState | None  # None: it is gone, or lives anew
    is_elsewhere: bool = False  # it runs on another machine
    is_done: bool = False  # the ledger itself has cancelled it, in nobody's name

    @property
    def key(self) -> tuple[str, str]:
        """Return the queue and id of the job."""
        return self.queue, self.job_id


def step(wished: Wished) -> Step:
    """Return what is to be done about a wish."""
    if wished.state is JobState.CANCELLED and wished.is_done:
        return Step.TELL
    if wished.state is None or wished.state.is_final:
        return Step.FORGET
    return Step.HAND_ON if wished.is_elsewhere else Step.STOP


def came_first(state: JobState) -> str:
    """Return what a job did before it could be cancelled, in words; "" if it did not."""
    return {
        JobState.COMPLETED: "completed before it could be cancelled",
        JobState.FAILED: "failed for good before it could be cancelled",
    }.get(state, "")
