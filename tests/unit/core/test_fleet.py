"""The values: a fleet at its beginning, and what it waits for."""

import pytest

from supervisor.core.commands import Cause, Spawn
from supervisor.core.fleet import Condemned, Deadline, Due, Ending, Fleet, PoolPolicy, initial
from supervisor.core.lifecycle import WorkerState
from tests.unit.core.stories import a_job, a_worker, plain_policy


def test_a_fleet_begins_with_every_worker_ordered_in_the_order_of_the_pools() -> None:
    fleet, commands = initial(
        [PoolPolicy(name="download", instances=2), PoolPolicy(name="cutter")], now=7.0
    )

    assert list(fleet.workers) == ["download-1", "download-2", "cutter-1"]
    assert commands == (Spawn("download-1", 1), Spawn("download-2", 1), Spawn("cutter-1", 1))
    assert {worker.state for worker in fleet.workers.values()} == {WorkerState.STARTING}
    assert all(worker.is_live and worker.restarts == 0 for worker in fleet.workers.values())
    assert fleet.policy_of(fleet.workers["cutter-1"]).name == "cutter"


def test_the_first_process_is_no_restart() -> None:
    assert [a_worker(incarnation=n).restarts for n in (0, 1, 2, 5)] == [0, 0, 1, 4]


def test_a_worker_without_its_process_keeps_its_history_only() -> None:
    worker = a_worker(streak=2, crash_count=3, memory=9, jobs=(a_job(),), consuming=True)

    slot = worker.without_process()

    assert not slot.is_live
    assert (slot.streak, slot.crash_count, slot.incarnation) == (2, 3, 1)
    assert (slot.jobs, slot.memory, slot.ready_at, slot.consuming) == ((), 0, None, False)


@pytest.mark.parametrize(
    ("changes", "deadlines"),
    [
        ({"pid": None}, []),
        ({"pid": None, "restart_at": 9.0}, [Deadline(9.0, Due.START)]),
        ({"ready_at": None, "spawned_at": 4.0}, [Deadline(34.0, Due.READY)]),
        ({"last_beat": 2.0}, [Deadline(32.0, Due.BEAT)]),
        (
            {"jobs": (a_job(started_at=8.0),)},
            [
                Deadline(30.0, Due.BEAT),
                Deadline(30.0, Due.STALL),
                Deadline(3613.0, Due.JOB, a_job(started_at=8.0)),
            ],
        ),
        (
            {"condemned": Condemned(Cause.STOP, "", Ending.DRAIN), "kill_at": 3.0},
            [Deadline(3.0, Due.LEAVE), Deadline(30.0, Due.BEAT)],
        ),
        ({"condemned": Condemned(Cause.HANG, "", Ending.KILL)}, []),
    ],
)
def test_a_worker_is_waited_for_by_what_it_does(
    changes: dict[str, object], deadlines: list[Deadline]
) -> None:
    assert list(a_worker(**changes).deadlines(plain_policy())) == deadlines  # type: ignore[arg-type]


def test_the_fleet_waits_for_the_first_of_all_deadlines() -> None:
    fleet = Fleet(policies={"download": plain_policy()})
    early = a_worker(id="download-2", last_beat=1.0)

    assert fleet.next_deadline() is None
    assert fleet.with_worker(a_worker(last_beat=5.0)).next_deadline() == 35.0
    assert fleet.with_worker(a_worker(last_beat=5.0)).with_worker(early).next_deadline() == 31.0


def test_a_change_makes_a_new_fleet_and_leaves_the_old_one_alone() -> None:
    before, _ = initial([plain_policy()], now=0.0)

    after = before.with_worker(a_worker())

    assert before.workers["download-1"].pid is None
    assert after.workers["download-1"].pid == 100
