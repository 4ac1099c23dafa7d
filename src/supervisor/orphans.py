"""What dead workers left behind, which the coordinator inherits.

Every worker leads a session and inherits its own family's orphans, so a child of the coordinator
in another session than its own, that is no worker, can only be a dead worker's.
"""

import contextlib
import os
from collections.abc import Collection

from workers.descendants import bury_all, children, descendants


def sweep(spared: Collection[int]) -> None:
    """Kill and reap all orphans but those ``spared`` (pids), the workers among them; blocks."""
    bury_all(lambda: [each for pid in _orphans(spared) for each in (pid, *descendants(pid))])


def _orphans(spared: Collection[int]) -> list[int]:
    return [pid for pid in children(os.getpid()) if pid not in spared and _is_foreign(pid)]


def _is_foreign(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid) != os.getsid(0)
    return False
