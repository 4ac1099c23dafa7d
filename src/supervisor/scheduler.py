"""The scheduler: at each due moment it enters the job and says when the schedule runs next.

Both are one transaction, and the job's id is made of the moment: whoever is killed at whatever
instant, and however many coordinators share a ledger, a moment is run once.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from consumers import jobs, logs
from consumers.clock import Clock, WallWatch
from consumers.jobs import Properties
from supervisor.core import schedules as rules
from supervisor.core.records import NewJob, PoolCard
from supervisor.core.schedules import Due, RhythmError, Schedule
from supervisor.ledger import schedules
from supervisor.ledger.errors import LedgerClosedError, LedgerError
from supervisor.ledger.store import Ledger

LOOK_EVERY = 2.0  # seconds; a clock that was put on is noticed then, and what others have changed
PUT_BACK = 0.5  # seconds; a clock that lost so much between two looks was put back

log = logs.get(__name__)


class Scheduler:
    """Runs the schedules of a ledger until it is cancelled."""

    def __init__(
        self,
        ledger: Ledger,
        pools: Mapping[str, PoolCard],
        configured: Mapping[str, rules.Timetable],
        entered: Callable[[], None],
    ) -> None:
        """Name pools and schedules; ``entered`` is called when there are jobs to publish."""
        self._ledger = ledger
        self._pools = pools
        self._configured = configured
        self._entered = entered
        self._clock: Clock = ledger.clock
        self._is_synchronised = False
        self._wall = WallWatch(ledger.clock, PUT_BACK)
        self._poked = asyncio.Event()
        self._warned: dict[str, str] = {}  # what was said of a schedule that enters no jobs

    def poke(self) -> None:
        """Say that a schedule was changed: look at once."""
        self._poked.set()

    async def run(self) -> None:
        """Enter what is due, for ever; first the schedules become what the configuration says."""
        while True:
            self._poked.clear()
            try:
                await self._synchronise()
                pause = await self._turn()
            except LedgerClosedError:
                return
            except LedgerError as error:
                if error.trouble is None:  # one in trouble is told of once, for all
                    log.warning("schedules not looked at", why=str(error))
                self._wall.look_again()
                pause = LOOK_EVERY
            await self._rest(pause)

    async def _synchronise(self) -> None:
        if self._is_synchronised:
            return
        now = self._clock.utcnow()
        change = partial(schedules.synchronise, wanted=self._configured, now=now)
        added, removed = await self._ledger.write(change)
        self._is_synchronised = True
        if added or removed:
            log.info("schedules as configured", added=added, removed=removed)

    async def _turn(self) -> float:
        """Enter what is due; return the seconds until something else may be."""
        if self._wall.was_put_back():
            await self._look_at_all()
        now = self._clock.utcnow()
        next_of = partial(schedules.earliest, pools=self._pools)
        earliest = await self._ledger.read(next_of)
        if earliest is not None and earliest <= now:
            stuck = await self._tick_all(now)
            earliest = await self._ledger.read(partial(next_of, besides=stuck))
        if earliest is None:
            return LOOK_EVERY
        left = (earliest - self._clock.utcnow()).total_seconds()
        return min(max(left, 0.0), LOOK_EVERY)

    async def _tick_all(self, now: datetime) -> list[str]:
        """Enter what is due; return the schedules that are left, as they make no sense here."""
        left: list[str] = []
        due = partial(schedules.due, pools=self._pools, now=now)
        for schedule in await self._ledger.read(due):
            try:
                await self._tick(schedule, now)
            except RhythmError as error:  # a zone that is known on another machine, perhaps
                self._warn(schedule, f"{error.field}: {error}")
                left.append(schedule.name)
        return left

    async def _tick(self, schedule: Schedule, now: datetime) -> None:
        due = rules.look(schedule.timetable, schedule.next_at or now, now=now)
        runs = self._jobs(schedule, due, now)
        tick = partial(schedules.tick, schedule=schedule, due=due, runs=runs, now=now)
        entered = await self._ledger.write(tick)
        if entered:
            self._entered()
        if entered is not None and due.left_out:
            said = {"left_out": due.left_out, "entered": entered, "since": schedule.next_at}
            log.warning("schedule missed runs", schedule=schedule.name, **said)

    def _jobs(self, schedule: Schedule, due: Due, now: datetime) -> list[NewJob]:
        card = self._pools[schedule.timetable.pool]
        names = [rules.run_id(schedule.name, moment) for moment in due.runs]
        return [job_of(schedule, card, job_id, now=now) for job_id in names]

    def _warn(self, schedule: Schedule, why: str) -> None:
        if self._warned.get(schedule.name) != why:
            self._warned[schedule.name] = why
            log.warning("schedule enters no jobs", schedule=schedule.name, why=why)

    async def _look_at_all(self) -> None:
        """Bring forward what would wait for a moment that a wrong clock had named."""
        now = self._clock.utcnow()
        for schedule in await self._ledger.read(partial(schedules.running, pools=self._pools)):
            try:
                revised = rules.revised(schedule.timetable, schedule.next_at, now=now)
            except RhythmError as error:
                self._warn(schedule, f"{error.field}: {error}")
                continue
            if revised != schedule.next_at:
                due = Due((), 0, revised)
                await self._ledger.write(
                    partial(schedules.tick, schedule=schedule, due=due, runs=(), now=now)
                )

    async def _rest(self, pause: float) -> None:
        """Wait so long, or until poked."""
        sleeping = asyncio.ensure_future(self._clock.sleep(pause))
        poked = asyncio.ensure_future(self._poked.wait())
        try:
            await asyncio.wait({sleeping, poked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            poked.cancel()
            await asyncio.gather(sleeping, poked, return_exceptions=True)


def job_of(schedule: Schedule, card: PoolCard, job_id: str, *, now: datetime) -> NewJob:
    """Return one job of a schedule, as it is entered."""
    table = schedule.timetable
    envelope = jobs.read(table.body, Properties(), limit=len(table.body))
    name = jobs.type_of(envelope.data)
    return NewJob(
        id=job_id,
        pool=card.name,
        queue=card.queues.public,
        body=table.body,
        properties=Properties(
            message_id=job_id,
            content_type="application/json",
            priority=table.priority.amqp,
            type=name or None,
            timestamp=now,
        ),
        priority=table.priority,
        sender=envelope.sender,
        noreply=envelope.noreply,
        name=name,
        origin=f"schedule:{schedule.name}",
    )
