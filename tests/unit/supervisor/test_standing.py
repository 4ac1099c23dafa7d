"""When a job may begin, as far as that can be told."""

from collections.abc import Mapping

from supervisor.core.fleet import Worker
from supervisor.core.lifecycle import WorkerState
from supervisor.standing import estimate, open_slots


def a_worker(pid: int | None, holds: Mapping[str, str] | None = None) -> Worker:
    return Worker(id="toy-1", pool="toy", state=WorkerState.IDLE, pid=pid, holds=holds or {})


def test_a_pool_whose_workers_are_held_promises_no_moment() -> None:
    held = a_worker(2, {"operator": "back at noon"})

    assert open_slots([a_worker(1), held, a_worker(None)], 5) == 5
    assert estimate(0, slots=open_slots([held], 5), free=0, typical=1.0) is None
