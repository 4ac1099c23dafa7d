"""Schedulers at work on a real ledger, with a clock whose wall can be moved."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from supervisor.core.records import JobFilter, JobRecord, PoolCard
from supervisor.core.schedules import Timetable, run_id
from supervisor.ledger import schedules
from supervisor.ledger.store import Ledger
from supervisor.scheduler import LOOK_EVERY, Scheduler
from supervisor.timetables import Calls, Timetables
from tests.support.clocks import START, FakeClock, settle
from tests.support.sessions import QUEUES

CARDS = {"download": PoolCard("download", QUEUES)}
MINUTES = Timetable("download", b'{"link": "l", "from": "ana"}', cron="* * * * *")
SECONDS = Timetable("download", every=10.0)


class LeapingClock(FakeClock):
    """A clock whose wall can be put on or back, as NTP, people and suspended machines do."""


@dataclass
class Desk:
    """A scheduler at work on a ledger, and the desk of those who ask."""

    ledger: Ledger
    clock: LeapingClock
    entered: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, configured: Mapping[str, Timetable] | None = None) -> Scheduler:
        """Have one more coordinator run the schedules."""
        scheduler = Scheduler(
            self.ledger, CARDS, configured or {}, lambda: self.entered.append("poke")
        )
        self.tasks.append(asyncio.create_task(scheduler.run()))
        return scheduler

    def doors(self, scheduler: Scheduler) -> Timetables:
        calls = Calls(scheduler.poke, lambda: self.entered.append("poke"))
        return Timetables(self.ledger, CARDS, calls, body_limit=1000)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def rest(self) -> None:
        """Wait until the schedulers have done what there is to do."""
        for _ in range(8):
            await settle()
            await self.ledger.settle("no queue", "no job")  # behind every other write
            await self.ledger.counts()  # and every other question
        await settle()

    async def pass_by(self, seconds: float, *, step: float = LOOK_EVERY) -> None:
        """Let time pass as a machine does that looks at its clock."""
        await self.rest()
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            await self.rest()

    async def ids(self) -> list[str]:
        jobs = await self.jobs()
        return sorted(job.id for job in jobs)

    async def jobs(self) -> tuple[JobRecord, ...]:
        return await self.ledger.find(JobFilter(limit=1000))

    async def known(self) -> dict[str, schedules.Standing]:
        found = await self.ledger.read(schedules.standings)
        return {each.schedule.name: each for each in found}


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock()


@pytest.fixture
async def desk(ledger: Ledger, clock: LeapingClock) -> AsyncIterator[Desk]:
    made = Desk(ledger, clock)
    yield made
    await made.stop()


def moments(name: str, *seconds: float) -> list[str]:
    """The ids of the runs so many seconds after the start."""
    return [run_id(name, START + timedelta(seconds=each)) for each in seconds]
