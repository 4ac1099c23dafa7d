"""What the house removes by itself, every hour, by the rules there are."""

import asyncio
from collections.abc import Coroutine
from functools import partial

import pytest
from sqlalchemy import Connection, insert, select

from supervisor.cleaning import EVERY, FIRST, Cleaning
from supervisor.core.records import JobState
from supervisor.core.retention import Rule
from supervisor.ledger import chains
from supervisor.ledger.tables.entries import intake
from supervisor.ledger.tables.jobs import jobs
from tests.support.chains import Told, complete
from tests.support.clocks import WITHIN
from tests.support.offices import FIRST as HOLDER
from tests.support.offices import Office, a_claim, a_letter, a_result

DAY = 86_400.0


@pytest.fixture
def cleaning(office: Office) -> Cleaning:
    rules = {
        JobState.COMPLETED: Rule(age=10 * DAY, count=2),
        JobState.FAILED: Rule(),
    }
    return Cleaning(rules, Rule(age=5 * DAY), office.ledger, office.bulletin, office.clock)


async def completed(office: Office, *ids: str) -> None:
    for job_id in ids:
        await office.clerk.claim(HOLDER, a_claim(job_id))
        await office.clerk.completed(a_result(job_id))
        await office.clock.move(1.0)


async def done(office: Office, work: Coroutine[None, None, None]) -> None:
    """Let time pass until something is done."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(WITHIN):
        while not task.done():
            await office.clock.move(0.01)
    await task


async def left(office: Office) -> set[str]:
    return set(await office.ledger.read(lambda connection: connection.scalars(select(jobs.c.id))))


async def test_what_is_one_too_many_goes_but_not_within_a_day(
    office: Office, cleaning: Cleaning
) -> None:
    await completed(office, "a", "b", "c")
    await office.clerk.buried(a_letter("dead"), HOLDER[0])
    await done(office, cleaning.tidy())
    young = await left(office)
    await office.clock.move(2 * DAY)
    await done(office, cleaning.tidy())
    newest = await left(office)
    await office.clock.move(9 * DAY)
    await done(office, cleaning.tidy())

    assert young == {"a", "b", "c", "dead"}
    assert newest == {"b", "c", "dead"}
    assert await left(office) == {"dead"}
    told = [each.data for each in office.bulletin.events if each.name == "cleaned"]
    assert told == [{"state": "completed", "jobs": 1}, {"state": "completed", "jobs": 2}]


async def test_a_chain_that_is_over_goes_as_a_whole(office: Office, cleaning: Cleaning) -> None:
    """Each job goes after those that came of it, though it ended before them."""
    for job_id, *followers in (("root", "a"), ("a", "a1"), ("a1",)):
        await complete(office.ledger, job_id, *followers)
        await office.clock.move(1.0)
    over = partial(chains.settle, tell=Told(office.clock), now=office.clock.utcnow())
    await office.ledger.write(over)

    await office.clock.move(11 * DAY)
    await done(office, cleaning.tidy())

    assert await left(office) == set()
    (told,) = [each.data for each in office.bulletin.events if each.name == "cleaned"]
    assert told == {"state": "completed", "jobs": 3}


async def test_rows_of_the_intake_table_go_once_they_are_finished_and_old(
    office: Office, cleaning: Cleaning
) -> None:
    moments = {"old": "2026-11-01T00:00:00Z", "new": "2026-11-22T11:00:00Z", "runs": None}

    def enter(connection: Connection) -> None:
        for name, finished in moments.items():
            status = "completed" if finished else "active"
            row = {"id": name, "queue_name": "q", "status": status, "finished_on": finished}
            connection.execute(insert(intake), row)

    await office.ledger.write(enter)
    await done(office, cleaning.tidy())

    rest = await office.ledger.read(lambda connection: set(connection.scalars(select(intake.c.id))))
    assert rest == {"new", "runs"}


async def test_it_begins_when_the_start_is_over_and_a_ledger_in_trouble_does_not_end_it(
    office: Office, cleaning: Cleaning
) -> None:
    office.ledger.silences = 1
    cleaning_up = asyncio.ensure_future(cleaning.run())
    for naps, pause in enumerate((FIRST, EVERY), start=1):
        await office.clock.until_asleep(naps)
        await office.clock.move(pause)
    await office.clock.until_asleep(3)
    cleaning_up.cancel()

    assert office.clock.slept == [FIRST, EVERY, EVERY]
