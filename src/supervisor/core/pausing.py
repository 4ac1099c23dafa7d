"""Which pools are to be held and which let go, from what operators have said of their queues.

What they said is in the ledger, by queue: it outlives the coordinator, and every coordinator with
the same ledger follows it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WHY = "paused by an operator"

Pauses = Mapping[str, str]  # by pool, why it is paused


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done so that pools stand as they should."""

    hold: Pauses
    release: Sequence[str]


def wanted(paused_queues: Mapping[str, str], queues: Mapping[str, str]) -> Pauses:
    """Return the pools that should be paused; ``queues`` are those of all pools, by pool."""
    return {
        pool: paused_queues[queue] or WHY
        for pool, queue in queues.items()
        if queue in paused_queues
    }


def change(before: Pauses, after: Pauses) -> Change:
    """Return what turns one state of affairs into the other; a new reason is a new hold."""
    return Change(
        hold={pool: why for pool, why in after.items() if before.get(pool) != why},
        release=tuple(pool for pool in before if pool not in after),
    )
