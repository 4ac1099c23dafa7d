"""Which faults happen in a chaos run, and when. Pure, from a seed.

There are two tracks side by side: processes are killed on one, connections suffer on the other.
Each draws from a bag with every fault in it, refilled when it is empty, so that a run that is
long enough has seen them all.
"""

import enum
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class Fault(enum.Enum):
    """What can happen."""

    KILL_WORKER = "kill worker"
    STOP_WORKER = "SIGSTOP worker"
    KILL_FORKSERVER = "kill fork server"
    KILL_COORDINATOR = "kill coordinator"
    KILL_GUARD = "kill guard"
    KILL_PUBLISHER = "kill publisher"
    KILL_BROKER = "kill broker"
    RESTART_BROKER = "restart broker"
    CLOSE_CONNECTIONS = "close all connections"
    RESET = "reset"
    REFUSE = "refuse"
    BLACK_HOLE = "black hole"
    FREEZE = "freeze"
    HALF_OPEN = "half-open"
    SLOW = "slow"
    MEMORY_ALARM = "memory alarm"
    DISK_ALARM = "disk alarm"
    REVOKE = "permission revoked"


# How often each is in the bag, and how long it takes until the house stands again, in seconds.
PROCESSES: Mapping[Fault, tuple[int, float]] = {
    Fault.KILL_WORKER: (7, 0.5),
    Fault.STOP_WORKER: (1, 0.5),
    Fault.KILL_FORKSERVER: (1, 1.0),
    Fault.KILL_COORDINATOR: (1, 5.0),
    Fault.KILL_GUARD: (1, 6.0),
    Fault.KILL_PUBLISHER: (2, 0.5),
}
CONNECTIONS: Mapping[Fault, tuple[int, float]] = {
    Fault.KILL_BROKER: (1, 6.0),
    Fault.RESTART_BROKER: (1, 6.0),
    Fault.CLOSE_CONNECTIONS: (1, 2.0),
    Fault.RESET: (1, 1.0),
    Fault.REFUSE: (1, 1.0),
    Fault.BLACK_HOLE: (1, 1.0),
    Fault.FREEZE: (1, 1.0),
    Fault.HALF_OPEN: (1, 2.0),
    Fault.SLOW: (1, 0.0),
}
# What an operator of the broker may do besides; for long runs.
REFUSALS: Mapping[Fault, tuple[int, float]] = {
    Fault.MEMORY_ALARM: (1, 2.0),
    Fault.DISK_ALARM: (1, 2.0),
    Fault.REVOKE: (1, 3.0),
}
LASTING = frozenset(
    {Fault.REFUSE, Fault.BLACK_HOLE, Fault.FREEZE, Fault.HALF_OPEN, Fault.SLOW, *REFUSALS}
)
LONGEST = 4.0  # seconds a fault of a connection lasts
PAUSE = 3.0  # seconds between two faults of a track, on average


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: not before ``at``; ``roll`` says whom it hits."""

    at: float
    fault: Fault
    lasting: float = 0.0  # seconds
    roll: float = 0.0  # 0 to 1


def plan(
    seed: int, duration: float, bag: Mapping[Fault, tuple[int, float]], *, longest: float = LONGEST
) -> tuple[Planned, ...]:
    """Return the faults of one track, by time.

    Args:
        seed: the same seed gives the same plan.
        duration: seconds in which faults begin.
        bag: how often each fault is in it, and how many seconds it costs.
        longest: seconds that faults of a connection last at most.
    """
    chance = random.Random(f"faults {seed} {sorted(fault.value for fault in bag)}")  # noqa: S311
    found: list[Planned] = []
    drawn: list[Fault] = []
    at = chance.uniform(0.5, PAUSE)
    while bag and at < duration:
        drawn = drawn or _shaken(bag, chance)
        fault = drawn.pop()
        lasting = round(chance.uniform(longest / 4, longest), 1) if fault in LASTING else 0.0
        found.append(Planned(round(at, 1), fault, lasting, chance.random()))
        at += bag[fault][1] + lasting + chance.uniform(PAUSE / 2, PAUSE * 1.5)
    return tuple(found)


def _shaken(bag: Mapping[Fault, tuple[int, float]], chance: random.Random) -> list[Fault]:
    full: Sequence[Fault] = [fault for fault, (times, _) in bag.items() for _ in range(times)]
    return chance.sample(full, len(full))
