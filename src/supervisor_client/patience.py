"""When a request is made again, and after which pause; how often a job is looked at."""

from dataclasses import dataclass

from supervisor_client.errors import (
    ChainFailedError,
    ClientError,
    StillRunningError,
    TryLaterError,
    UnknownError,
    UnreachableError,
)
from supervisor_client.shapes import Family, JobRecord

FIRST = 0.2  # seconds before the second try
LONGEST = 5.0  # seconds; who asks for a longer pause is told to the caller
_GLANCE = 0.05  # seconds between the first looks at a job
_LOOK = 1.0  # and between later ones


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as it was at the last look; with ``family`` if what came of it is waited for too."""

    job: JobRecord
    family: Family | None = None

    @property
    def is_over(self) -> bool:
        """Answer whether the waiting is over."""
        return self.job.is_over and (self.family is None or not self.family.chain.is_open)

    @property
    def in_words(self) -> str:
        """How it stands."""
        if self.family is None:
            return f"is {self.job.state}"
        chain = self.family.chain
        done = f"{chain.completed} of the {chain.total} jobs of its chain are completed"
        return f"is {self.job.state}, {done}"

    def outcome(self) -> JobRecord:
        """Return the job, of which all is over.

        Raises:
            ChainFailedError: what came of it is waited for too, and not all of it is completed.
        """
        if self.family is not None and self.family.chain.completed < self.family.chain.total:
            raise ChainFailedError(self.job, self.family)
        return self.job


def pause_before_next(
    error: ClientError, *, tried: int, tries: int, is_repeatable: bool, roll: float
) -> float | None:
    """Return after how many seconds to ask again; None: tell the caller.

    What was certainly not done may always be asked again; what perhaps was, if doing it twice is
    as good as once.

    Args:
        error: what became of the last try.
        tried: how many tries there were.
        tries: how many there may be.
        is_repeatable: whether the request may be done twice.
        roll: a random number in [0, 1), for the jitter.
    """
    if tried >= tries:
        return None
    pause = FIRST * 2.0 ** (tried - 1) * (0.5 + roll / 2)
    match error:
        case UnreachableError(was_sent=was_sent) if is_repeatable or not was_sent:
            return min(pause, LONGEST)
        case TryLaterError(after=after) if is_repeatable:
            wanted = max(pause, after or 0.0)
            return wanted if wanted <= LONGEST else None
        case _:
            return None


def until_next_look(looked: int) -> float:
    """Return how many seconds to wait before a job is looked at again."""
    return min(_LOOK, _GLANCE * 1.5 ** min(looked, 20))


def is_passing(error: ClientError, *, may_be_unknown: bool) -> bool:
    """Answer whether somebody who waits for a job goes on waiting after this.

    ``may_be_unknown``: it was published over AMQP, and no worker may have met it yet.
    """
    if isinstance(error, UnknownError):
        return may_be_unknown
    return isinstance(error, UnreachableError | TryLaterError)


def out_of_patience(
    job_id: str, within: float, seen: Seen | None, trouble: ClientError | None
) -> StillRunningError:
    """Return that a job, or what came of it, was not over in time, and how it stood."""
    stood = seen.in_words if seen else "was not seen"
    why = f"; the last look failed: {trouble}" if trouble else ""
    message = f"job {job_id} {stood} after {within:g} s{why}"
    return StillRunningError(message, seen.job if seen else None)
