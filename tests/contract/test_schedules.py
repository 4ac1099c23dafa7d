"""Schedules on a real ledger: entered once, moved on in the same transaction, caught up with."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from typing_extensions import override

from supervisor.core.records import JobState
from supervisor.core.schedules import Missed, Schedule, Timetable, look
from supervisor.desks.schedules import ScheduleOrder
from supervisor.ledger import schedules
from supervisor.ledger.store import Ledger
from supervisor.scheduler import LOOK_EVERY, job_of
from tests.support.clocks import START
from tests.support.schedulers import (
    CARDS,
    MINUTES,
    SECONDS,
    Desk,
    LeapingClock,
    clock,
    desk,
    moments,
)

__all__ = ["clock", "desk"]

T = TypeVar("T")


# --- runs -----------------------------------------------------------------------------------


async def test_each_run_is_a_job_of_its_own_that_waits_to_be_published(desk: Desk) -> None:
    desk.start({"often": MINUTES})

    await desk.pass_by(121, step=30)

    first, _ = sorted(await desk.jobs(), key=lambda job: job.id)
    assert await desk.ids() == moments("often", 60, 120)
    assert (first.state, first.pool, first.sender) == (JobState.PENDING, "download", "ana")
    assert desk.entered == ["poke", "poke"]


async def test_a_run_is_entered_at_its_moment(desk: Desk) -> None:
    desk.start({"often": SECONDS})
    await desk.rest()

    for _ in range(9):  # two looks before, then the moment itself
        desk.clock.advance(1.25)
        await desk.rest()

    (job,) = await desk.jobs()
    assert job.created_at is not None
    assert job.created_at - START - timedelta(seconds=10) <= timedelta(seconds=1.25)


async def test_many_coordinators_on_one_ledger_run_each_moment_once(desk: Desk) -> None:
    for _ in range(5):
        desk.start({"often": SECONDS})

    await desk.pass_by(61, step=5)

    assert await desk.ids() == moments("often", 10, 20, 30, 40, 50, 60)
    assert len(desk.entered) == 6


@pytest.mark.parametrize(
    ("missed", "ids"),
    [(Missed.SKIP, []), (Missed.CATCH_UP, [3600, 7200, 10_800])],
    ids=["skip", "catch up"],
)
async def test_what_was_missed_while_nobody_ran_follows_the_policy(
    desk: Desk, missed: Missed, ids: list[float]
) -> None:
    hourly = {"hourly": Timetable("download", cron="0 * * * *", missed=missed)}
    desk.start(hourly)
    await desk.rest()
    await desk.stop()
    desk.clock.advance(3 * 3600 + 300)

    desk.start(hourly)
    await desk.rest()

    assert await desk.ids() == moments("hourly", *ids)
    assert (await desk.known())["hourly"].schedule.next_at == START + timedelta(hours=4)


async def test_a_clock_that_is_put_on_has_missed_what_it_leapt_over(desk: Desk) -> None:
    desk.start({"hourly": Timetable("download", cron="0 * * * *", missed=Missed.CATCH_UP)})
    await desk.rest()

    desk.clock.leap = 2 * 3600  # suspended for two hours: no other clock has moved
    await desk.pass_by(LOOK_EVERY)

    assert await desk.ids() == moments("hourly", 3600, 7200)


async def test_a_clock_that_is_put_back_runs_nothing_twice_and_waits_for_no_wrong_moment(
    desk: Desk,
) -> None:
    desk.clock.leap = 10 * 365 * 86_400  # it was wrong by ten years
    desk.start({"often": SECONDS})
    await desk.pass_by(10)
    wrong = await desk.ids()

    desk.clock.leap = -5.0  # and is right now, or nearly
    await desk.pass_by(20)
    assert set(await desk.ids()) - set(wrong) == set(moments("often", 10, 20))

    desk.clock.leap -= 7.0  # a step back over a moment that was run
    await desk.pass_by(18)

    assert set(await desk.ids()) - set(wrong) == set(moments("often", 10, 20, 30))


class KilledError(Exception):
    """The end of a coordinator."""


class DyingLedger(Ledger):
    """A real ledger whose process dies before a write, or right after it was committed."""

    dies = ""

    @override
    def write(self, operation: "partial[T]") -> asyncio.Future[T]:  # type: ignore[override]
        is_tick = getattr(operation, "func", None) is schedules.tick
        if is_tick and self.dies == "before":
            raise KilledError
        written = super().write(operation)
        if is_tick and self.dies == "after":
            raise KilledError
        return written


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_whoever_dies_at_whatever_instant_a_moment_is_run_once(
    tmp_path: Path, dies: str
) -> None:
    clock, url = LeapingClock(), f"sqlite:///{tmp_path}/ledger.db"
    first = await DyingLedger.open(url, clock=clock)
    assert isinstance(first, DyingLedger)
    desk = Desk(first, clock)
    desk.start({"hourly": Timetable("download", cron="0 * * * *", missed=Missed.CATCH_UP)})
    await desk.rest()
    first.dies = dies
    clock.advance(3600)
    tasks, desk.tasks = desk.tasks, []
    with pytest.raises(KilledError):
        await tasks[0]
    await first.close()

    second = await Ledger.open(url, clock=clock)
    desk.ledger = second
    desk.start({"hourly": Timetable("download", cron="0 * * * *", missed=Missed.CATCH_UP)})
    await desk.pass_by(4)

    assert await desk.ids() == moments("hourly", 3600)
    await desk.stop()
    await second.close()


async def test_a_job_and_the_next_moment_are_one_transaction(desk: Desk) -> None:
    desk.start({"often": SECONDS})
    await desk.rest()
    await desk.stop()
    schedule = (await desk.known())["often"].schedule
    now = START + timedelta(seconds=10)
    due = look(schedule.timetable, now, now=now)
    run = job_of(schedule, CARDS["download"], moments("often", 10)[0], now=now)

    def tick_and_fail(connection: Connection) -> None:
        schedules.tick(connection, schedule, due, [run], now=now)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await desk.ledger.write(tick_and_fail)

    assert await desk.ids() == []
    assert (await desk.known())["often"].schedule.next_at == now


async def test_a_schedule_that_was_changed_meanwhile_is_left_alone(desk: Desk) -> None:
    desk.start({"often": SECONDS})
    await desk.rest()
    await desk.stop()
    stale = (await desk.known())["often"].schedule
    now = START + timedelta(seconds=10)
    due = look(stale.timetable, now, now=now)
    change = partial(schedules.change, timetable=Timetable("download", every=3600.0), now=START)
    await desk.ledger.write(partial(change, name="often"))

    ticked = await desk.ledger.write(
        partial(schedules.tick, schedule=stale, due=due, runs=[], now=now)
    )

    assert ticked is None
    assert (await desk.known())["often"].schedule.next_at == START + timedelta(hours=1)


async def test_a_schedule_for_a_pool_that_is_gone_enters_nothing_and_says_so(desk: Desk) -> None:
    scheduler = desk.start({"lost": Timetable("gone", every=5.0)})

    await desk.pass_by(12)

    assert await desk.ids() == []
    view = await desk.doors(scheduler).one("lost")
    assert view.warnings == ("no pool gone is configured",)


async def test_a_run_for_a_pool_of_another_machine_is_left_to_that_machine(desk: Desk) -> None:
    lost = Schedule("lost", Timetable("elsewhere", every=5.0, missed=Missed.CATCH_UP))
    following = START + timedelta(seconds=5)
    await desk.ledger.write(partial(schedules.add, schedule=replace(lost, next_at=following)))
    desk.start({"often": SECONDS})

    await desk.pass_by(20, step=5)

    assert (await desk.known())["lost"].schedule.next_at == following
    assert await desk.ids() == moments("often", 10, 20)


async def test_a_schedule_that_makes_no_sense_here_is_left_for_others_and_holds_nobody_up(
    desk: Desk,
) -> None:
    martian = Schedule("martian", Timetable("download", cron="* * * * *", zone="Mars/Olympus"))
    following = START + timedelta(seconds=5)
    await desk.ledger.write(partial(schedules.add, schedule=replace(martian, next_at=following)))
    desk.start({"often": SECONDS})

    await desk.pass_by(20, step=5)

    assert (await desk.known())["martian"].schedule.next_at == following
    assert await desk.ids() == moments("often", 10, 20)


# --- the configuration ----------------------------------------------------------------------


async def test_what_is_not_in_the_file_any_more_goes_and_what_came_by_the_api_stays(
    desk: Desk,
) -> None:
    scheduler = desk.start({"old": MINUTES, "kept": MINUTES})
    await desk.rest()
    await desk.doors(scheduler).add(ScheduleOrder("download", "mine", cron="@daily"))
    await desk.stop()

    desk.start({"kept": SECONDS, "new": MINUTES})
    await desk.rest()

    known = await desk.known()
    assert set(known) == {"kept", "mine", "new"}
    assert known["kept"].schedule.timetable == SECONDS
    assert known["kept"].schedule.next_at == START + timedelta(seconds=10)


async def test_a_paused_schedule_stays_paused_over_a_restart_and_misses_nothing(desk: Desk) -> None:
    caught = {"often": Timetable("download", every=10.0, missed=Missed.CATCH_UP)}
    scheduler = desk.start(caught)
    await desk.rest()
    doors = desk.doors(scheduler)
    paused = await doors.pause("often")
    await desk.stop()

    scheduler = desk.start(caught)
    await desk.pass_by(35, step=5)
    assert (paused.paused, paused.next_runs, await desk.ids()) == (True, (), [])

    view = await desk.doors(scheduler).resume("often")
    assert view.next_at == START + timedelta(seconds=40)
    await desk.pass_by(6)
    assert await desk.ids() == moments("often", 40)


async def test_a_name_from_the_api_that_the_file_takes_is_the_files_now(desk: Desk) -> None:
    scheduler = desk.start()
    await desk.rest()
    await desk.doors(scheduler).add(ScheduleOrder("download", "shared", cron="@daily"))
    await desk.stop()

    scheduler = desk.start({"shared": SECONDS})
    await desk.rest()

    assert (await desk.doors(scheduler).one("shared")).source == "config"
