"""What follows from an outcome: done, tried again later, buried, forgotten, or given back."""

import math
from dataclasses import dataclass

from consumers.outcome import Cancelled, Completed, Failed, Failure, Interrupted, Outcome
from consumers.retry import RetryPolicy, may_retry, retry_delay
from consumers.topology import LONGEST_DELAY


@dataclass(frozen=True, slots=True)
class Finish:
    """Record the result, then ack."""

    completed: Completed


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Record the attempt, publish a copy that comes back after ``delay`` seconds, then ack."""

    failure: Failure
    delay: float
    attempts: int  # processor failures so far, this one included if it counts
    duration: float


@dataclass(frozen=True, slots=True)
class Bury:
    """Record the attempt, publish a copy to the dead letters, then ack."""

    failure: Failure
    attempts: int
    duration: float


@dataclass(frozen=True, slots=True)
class Forget:
    """Record the cancellation, then ack."""

    duration: float


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Record that the machine broke the run off, then give the delivery back to its queue."""

    failure: Failure
    duration: float


Ending = Finish | TryAgain | Bury | Forget  # the delivery is acked
Settlement = Ending | GiveBack


def settle(outcome: Outcome, policy: RetryPolicy, *, attempts: int, roll: float) -> Settlement:
    """Return what to do with a job whose run ended in ``outcome``.

    Args:
        outcome: how this run ended.
        policy: the pool's retry policy.
        attempts: processor failures before this run.
        roll: a random number in [0, 1) for the jitter.
    """
    match outcome:
        case Completed():
            return Finish(outcome)
        case Cancelled(duration=duration):
            return Forget(duration)
        case Interrupted(failure=failure, duration=duration):
            return GiveBack(failure, duration)
        case Failed(failure=failure, duration=duration):
            failed = attempts + failure.counts
            if failure.permanent or (failure.counts and not may_retry(policy, failed=failed)):
                return Bury(failure, failed, duration)
            delay = failure.after
            if delay is None or not math.isfinite(delay):
                delay = retry_delay(policy, failed=max(failed, 1), roll=roll)
            delay = min(max(delay, 0.0), LONGEST_DELAY)
            return TryAgain(failure, delay, failed, duration)
