"""Schedules as people see and change them, answered from a real ledger."""

from datetime import timedelta
from pathlib import Path

import pytest

from supervisor.core.records import JobState
from supervisor.core.schedules import Timetable
from supervisor.desks.schedules import ScheduleOrder
from supervisor.ports import (
    BadScheduleError,
    ConflictError,
    FixedScheduleError,
    UnknownPoolError,
    UnknownScheduleError,
)
from tests.support.blank_ledgers import lay
from tests.support.clocks import START
from tests.support.schedulers import MINUTES, SECONDS, Desk, clock, desk, moments

__all__ = ["clock", "desk"]


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    """One kind of ledger will do: what differs between them is tried in `test_schedules`."""
    return lay(tmp_path / "ledger.db")


async def test_a_schedule_is_shown_with_its_next_runs_in_its_own_zone(desk: Desk) -> None:
    doors = desk.doors(desk.start())

    view = await doors.add(
        ScheduleOrder("download", "nightly", {"n": 1}, cron="0 3 * * *", zone="Asia/Kathmandu")
    )

    assert view.next_runs == (
        "2026-11-23T03:00:00+05:45",
        "2026-11-24T03:00:00+05:45",
        "2026-11-25T03:00:00+05:45",
    )
    assert (view.data, view.source, view.last_state) == ({"n": 1}, "api", None)


async def test_a_schedule_can_be_run_now_and_goes_on_as_before(desk: Desk) -> None:
    doors = desk.doors(desk.start({"nightly": Timetable("download", cron="0 3 * * *")}))
    await desk.rest()
    before = (await doors.one("nightly")).next_at

    job = await doors.run("nightly")

    view = await doors.one("nightly")
    assert (job.state, job.id) == (JobState.PENDING, moments("nightly", 0)[0])
    assert (view.last_job, view.last_state, view.next_at) == (job.id, JobState.PENDING, before)
    assert desk.entered == ["poke"]


async def test_how_the_last_job_ended_is_shown_as_long_as_it_is_kept(desk: Desk) -> None:
    doors = desk.doors(desk.start({"often": SECONDS}))
    await desk.pass_by(11)
    (job,) = await desk.jobs()
    await desk.ledger.complete(job.queue, job.id, worker="w", result={}, duration=1.0)

    view = await doors.one("often")

    assert (view.last_job, view.last_state) == (job.id, JobState.COMPLETED)
    assert view.last_at == START + timedelta(seconds=10)


async def test_what_is_in_the_file_is_changed_there(desk: Desk) -> None:
    doors = desk.doors(desk.start({"nightly": MINUTES}))
    await desk.rest()

    for change in (
        doors.remove("nightly"),
        doors.put("nightly", ScheduleOrder("download", every=5)),
    ):
        with pytest.raises(FixedScheduleError, match=r"is in supervisor\.yaml: change it there"):
            await change


async def test_a_name_is_taken_once(desk: Desk) -> None:
    doors = desk.doors(desk.start())
    order = ScheduleOrder("download", "mine", cron="@daily")
    await doors.add(order)

    with pytest.raises(FixedScheduleError, match="there is a schedule mine already"):
        await doors.add(order)


async def test_put_makes_a_schedule_or_changes_the_one_there_is(desk: Desk) -> None:
    doors = desk.doors(desk.start())

    made, is_new = await doors.put("mine", ScheduleOrder("download", cron="@daily"))
    changed, is_newer = await doors.put("mine", ScheduleOrder("download", every=30))

    assert (made.cron, is_new) == ("@daily", True)
    assert (changed.cron, changed.every, is_newer) == (None, 30, False)
    assert changed.next_at == START + timedelta(seconds=30)


async def test_a_schedule_has_the_name_of_its_address(desk: Desk) -> None:
    doors = desk.doors(desk.start())

    with pytest.raises(ConflictError, match="name: is other, but the address says mine"):
        await doors.put("mine", ScheduleOrder("download", "other", cron="@daily"))


async def test_a_removed_schedule_runs_no_more_and_its_jobs_stay(desk: Desk) -> None:
    doors = desk.doors(desk.start())
    await doors.add(ScheduleOrder("download", "mine", every=10))
    await desk.pass_by(11)

    await doors.remove("mine")
    await desk.pass_by(30, step=15)

    assert await desk.ids() == moments("mine", 10)
    for name in ("mine", "a\0b"):
        with pytest.raises(UnknownScheduleError, match="no schedule"):
            await doors.one(name)


WRONG = [
    (ScheduleOrder("download", "a b", cron="@daily"), "name: must be 1 to 63 letters"),
    (ScheduleOrder("download", "x"), "cron: is missing; say one of cron and every"),
    (ScheduleOrder("download", "x", cron="@daily", every=5), "cron: say either cron or every, and"),
    (ScheduleOrder("download", "x", cron="99 * * * *"), "cron: is no cron line: bad minute"),
    (ScheduleOrder("download", "x", cron="@daily", zone="Mars"), "zone: is no time zone"),
    (ScheduleOrder("download", "x", every=5, zone="Mars/X"), "zone: belongs to cron; every counts"),
    (ScheduleOrder("download", "x", every=0.1), "every: must be 1 s to"),
    (ScheduleOrder("download", "x", every=5, priority="soon"), "priority: must be one of"),
    (ScheduleOrder("download", "x", every=5, at_most=0), "atMost: must be 1 to"),
    (ScheduleOrder("download", "x", {"noreply": 3}, every=5), "data.noreply: must be"),
    (ScheduleOrder("download", "x", {"n": "x" * 2000}, every=5), "data: is 2,008 bytes"),
    (ScheduleOrder("download", "x", {"then": 5}, every=5), "data.then: must be the name of a pool"),
    (ScheduleOrder("download", "x", {"then": "gone"}, every=5), "data.then: names gone, which is"),
]


async def test_a_schedule_that_makes_no_sense_is_refused_by_its_field(desk: Desk) -> None:
    doors = desk.doors(desk.start())
    for order, said in WRONG:
        with pytest.raises(BadScheduleError) as refused:
            await doors.add(order)

        assert str(refused.value).startswith(said)
    assert await doors.every() == ()  # none of them was stored


async def test_one_that_cannot_be_read_is_listed_with_its_trouble_beside_the_others(
    desk: Desk,
) -> None:
    odd = Timetable("download", every=5.0, zone="Mars/X")  # as an older version stored it
    doors = desk.doors(desk.start({"odd": odd, "sound": SECONDS}))
    await desk.rest()

    (broken, sound) = await doors.every()

    assert (broken.name, broken.next_runs) == ("odd", ())
    assert broken.warnings[0].startswith("zone: is no time zone this machine knows")
    assert (len(sound.next_runs), sound.warnings) == (3, ())


async def test_a_schedule_for_no_pool_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownPoolError, match="no pool 'nowhere' is configured"):
        await desk.doors(desk.start()).add(ScheduleOrder("nowhere", "x", every=5))
