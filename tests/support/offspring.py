"""The living children of this process: what a test started, without the servers beside it."""

import os
from collections.abc import Collection

from workers.descendants import children, is_running


def alive() -> frozenset[int]:
    """Return the children that live just now, zombies left out."""
    return frozenset(pid for pid in children(os.getpid()) if is_running(pid))


def since(before: Collection[int]) -> frozenset[int]:
    """Return those that have come since; several servers of the session may be there all along."""
    return alive().difference(before)
