"""How long to wait before trying again: a job by its pool's policy, a connection by ours.

Exponential backoff with jitter after Marc Brooker, "Exponential Backoff And Jitter" (AWS, 2015):
*equal* keeps half of the delay and rolls for the other half, *full* rolls for all of it.
"""

import enum

import msgspec

FORBIDDEN_FACTOR = 5.0  # times as patient as with a broker that is merely away
FAULT_DELAY = 2.0  # seconds; whoever waits in the queue is delivered meanwhile
FAULT_DELAY_LIMIT = 60.0


class Backoff(enum.Enum):
    """How the delays of a policy grow."""

    FIXED = "fixed"
    EXPONENTIAL = "exponential"
    LIST = "list"


class Jitter(enum.Enum):
    """How much of a delay is left to chance."""

    NONE = "none"
    EQUAL = "equal"
    FULL = "full"


class RetryPolicy(msgspec.Struct, frozen=True):
    """When a failed job runs again.

    ``attempts`` counts the first run too. ``delay`` and ``max`` are seconds; ``delays`` is used
    by ``Backoff.LIST`` and repeats its last entry.
    """

    attempts: int = 3
    backoff: Backoff = Backoff.EXPONENTIAL
    delay: float = 1.0
    max: float = 600.0
    jitter: Jitter = Jitter.EQUAL
    delays: tuple[float, ...] = ()


class ReconnectPolicy(msgspec.Struct, frozen=True):
    """How often a lost broker is tried again; ``give_up`` failures ask for a new worker."""

    delay: float = 1.0
    max: float = 30.0
    give_up: int = 10


def retry_delay(policy: RetryPolicy, *, failed: int, roll: float) -> float:
    """Return the seconds before the next run, after ``failed`` (1 or more) failed attempts."""
    return _jittered(_plain_delay(policy, failed), policy.jitter, roll)


def limited(policy: RetryPolicy, attempts: int | None) -> RetryPolicy:
    """Return the policy of a job that may run so many times in all; None: as its pool has it."""
    return policy if attempts is None else msgspec.structs.replace(policy, attempts=attempts)


def may_retry(policy: RetryPolicy, *, failed: int) -> bool:
    """Answer whether a job that failed ``failed`` times has an attempt left."""
    return failed < policy.attempts


def reconnect_delay(policy: ReconnectPolicy, *, failed: int, roll: float) -> float:
    """Return the seconds before the next connection, after ``failed`` (1 or more) failures."""
    return _jittered(_doubled(policy.delay, failed, policy.max), Jitter.EQUAL, roll)


def forbidden_delay(policy: ReconnectPolicy, *, failed: int, roll: float) -> float:
    """Return the seconds before a broker that said no is asked again: slower than one away.

    A wrong password does not get better by hammering, yet what an operator has put right should
    be seen within half a minute.
    """
    base = policy.delay * FORBIDDEN_FACTOR
    return _jittered(_doubled(base, failed, policy.max), Jitter.EQUAL, roll)


def suspect_delay(crashes: int) -> float:
    """Return the seconds before a job that took ``crashes`` workers down runs again: 1·4ⁿ."""
    return float(4 ** min(max(crashes - 1, 0), 6))


def fault_delay(met: int) -> float:
    """Return the seconds that a job lets others go first which ``met`` 2 or more host faults."""
    return _doubled(FAULT_DELAY, met - 1, FAULT_DELAY_LIMIT)


def _plain_delay(policy: RetryPolicy, failed: int) -> float:
    match policy.backoff:
        case Backoff.FIXED:
            return min(policy.delay, policy.max)
        case Backoff.LIST if policy.delays:
            return policy.delays[min(failed, len(policy.delays)) - 1]
        case _:
            return _doubled(policy.delay, failed, policy.max)


def _doubled(delay: float, failed: int, cap: float) -> float:
    exponent = min(max(failed, 1) - 1, 60)  # beyond 60 doublings a float would only overflow
    return min(delay * 2.0**exponent, cap)


def _jittered(delay: float, jitter: Jitter, roll: float) -> float:
    match jitter:
        case Jitter.NONE:
            return delay
        case Jitter.EQUAL:
            return delay / 2 + delay / 2 * roll
        case Jitter.FULL:
            return delay * roll
