"""The shape of our queues: which exist, with which arguments, and how a delay is routed.

Public queues are declared without arguments, so that any program's plain durable declaration
fits; everything that needs arguments is private to us.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolQueues:
    """The three queues of a pool: ``Q``, its private second lane, and its dead letters."""

    public: str
    priority: str
    dead: str


def pool_queues(queue: str, *, dead: str | None = None) -> PoolQueues:
    """Return the queue names of the pool that consumes ``queue``."""
    return PoolQueues(public=queue, priority=f"{queue}.priority", dead=dead or f"{queue}_dlq")
