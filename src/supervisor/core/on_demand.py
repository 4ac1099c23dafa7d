"""Work on demand: when a pool has been worked off, by what was asked for and what was seen.

A run ends when its queue is empty, when it has begun as many jobs as it was to, when its time is
over, or when nothing can come of it. A job that it began and that is tried again soon belongs to
it: it is waited for. One that is delayed for longer is left, and named in the summary.
"""

from dataclasses import dataclass, field

import msgspec

from supervisor.core.bounds import MOST_WORKERS

SOON = 60.0  # seconds: a retry that is due within them is waited for
SETTLED = 1.5  # seconds after which an empty queue is believed: a worker holds nothing so long
REACH = 30.0  # seconds for the broker to be there
LONGEST = 86_400.0  # seconds
MOST_SHOWN = 20  # failed jobs that a summary names


class Wish(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How far to go: the body of ``POST /api/pools/{pool}/run``. Nothing said: until it is empty.

    ``instances`` is how many workers a pool gets that has none.
    """

    max_jobs: int | None = None
    max_seconds: float | None = None
    until_empty: bool = True  # false: wait for more jobs until one of the limits is reached
    instances: int | None = None


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    """What came of a run. ``waiting`` and ``delayed`` are left in the queue; None: not known."""

    pool: str
    running: bool
    ended: str = ""  # empty | jobs | time | broker | workers | stopped
    why: str = ""
    begun: int = 0  # runs of jobs, retries included
    completed: int = 0
    failed: int = 0
    retried: int = 0
    cancelled: int = 0
    waiting: int | None = None
    delayed: int = 0
    seconds: float = 0.0
    failures: tuple[str, ...] = ()  # the ids of jobs that are dead letters now, the first of them
    unpublished: int = 0  # jobs that follow its jobs, or were handed in, and are in no queue yet


@dataclass(slots=True)
class Tally:
    """What was heard of a pool's jobs since the run began."""

    begun: int = 0
    completed: int = 0
    retried: int = 0
    cancelled: int = 0
    failures: list[str] = field(default_factory=list)

    def hear(self, event: str, job: str) -> None:
        """Count one event of the pool's queue."""
        match event:
            case "active":
                self.begun += 1
            case "completed":
                self.completed += 1
            case "retrying":
                self.retried += 1
            case "cancelled":
                self.cancelled += 1
            case "failed":
                self.failures.append(job)
            case _:
                pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How the pool stands; times in seconds."""

    passed: float  # since the run began
    silent: float  # since its jobs were last seen or heard of
    away: float  # since the broker was there last; 0: it is
    trouble: str = ""  # what it said
    ready: int | None  # jobs in its queue; None: nobody knows
    in_hand: bool  # some job runs
    soon: bool  # a job is delayed, or on its way to the dead letters, that is waited for
    stopping: bool = False
    hopeless: str = ""  # why no worker can do anything


@dataclass(frozen=True, slots=True)
class End:
    """A run is over, and why."""

    how: str
    why: str


def end(wish: Wish, begun: int, seen: Seen) -> End | None:
    """Return why a run is over, None while it goes on."""
    return _broken(wish, seen) or _reached(wish, begun, seen)


def _broken(wish: Wish, seen: Seen) -> End | None:
    if seen.stopping:
        return End("stopped", "the supervisor stops")
    if seen.hopeless:
        return End("workers", seen.hopeless)
    patience = REACH if wish.max_seconds is None else min(REACH, wish.max_seconds)
    if seen.away >= patience:
        return End("broker", f"the broker was not there for {seen.away:.0f} s: {seen.trouble}")
    return None


def _reached(wish: Wish, begun: int, seen: Seen) -> End | None:
    if wish.max_seconds is not None and seen.passed >= wish.max_seconds:
        return End("time", f"{wish.max_seconds:g} s have passed")
    if wish.max_jobs is not None and begun >= wish.max_jobs and not seen.in_hand:
        return End("jobs", f"{begun} jobs were begun")
    if wish.until_empty and _is_empty(seen):
        return End("empty", "the queue is empty")
    return None


def faults(wish: Wish) -> str:
    """Return what is wrong with a wish, nothing if it can be granted."""
    if wish.max_jobs is not None and wish.max_jobs < 1:
        return f"maxJobs: must be 1 or more, is {wish.max_jobs}"
    if wish.max_seconds is not None and not 0 < wish.max_seconds <= LONGEST:
        return f"maxSeconds: must be above 0 and up to {LONGEST:,.0f}, is {wish.max_seconds:g}"
    if wish.instances is not None and not 1 <= wish.instances <= MOST_WORKERS:
        return f"instances: must be 1 to {MOST_WORKERS}, is {wish.instances}"
    if not wish.until_empty and wish.max_jobs is None and wish.max_seconds is None:
        return "untilEmpty: is false, and nothing else ends the run; say maxJobs or maxSeconds"
    return ""


def workers_for(wish: Wish, ready: int | None, left: int | None) -> int:
    """Return how many workers a pool gets that has none: no more than there is to do.

    Args:
        wish: what was asked for.
        ready: jobs in the queue; None: nobody knows.
        left: jobs that may still be begun; None: as many as come.
    """
    most = wish.instances or 1
    bounds = [most] if left is None else [most, left]
    if wish.until_empty and ready:
        bounds.append(ready)
    return min(bounds)


def shares(most: int, workers: int) -> tuple[int, ...]:
    """Return how many jobs each worker begins, so that together it is ``most``."""
    each, more = divmod(most, workers)
    return tuple(each + (number < more) for number in range(workers))


def _is_empty(seen: Seen) -> bool:
    is_quiet = seen.silent >= SETTLED and not seen.in_hand and not seen.soon
    return seen.ready == 0 and is_quiet
