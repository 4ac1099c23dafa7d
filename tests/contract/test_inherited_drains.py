"""Drains whose coordinator is gone, on one PostgreSQL ledger: its heir brings them to an end."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from msgspec.structs import replace

from supervisor.book import Book
from supervisor.bulletin import Bulletin
from supervisor.core.records import JobState, NewJob
from supervisor.drains import GIVEN_BACK, Drains, Premises
from supervisor.ledger import controls
from supervisor.ledger.draining import Scope
from supervisor.ledger.recovery import gone
from supervisor.ledger.store import Ledger
from supervisor.ledger.succession import Succession
from supervisor.ports import NotNowError
from supervisor.postroom import Postroom
from tests.contract.test_ledger_nodes import begin, ours, stay_away, theirs
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.desks import FakeDesk
from tests.support.ledgers import QUEUE, claim, enter, new_job
from tests.support.offices import CARD
from tests.support.sessions import QUEUES, BrokerInMemory
from tests.unit.supervisor.test_pauses import Gates

__all__ = ["ours", "theirs"]

pytestmark = pytest.mark.postgres

PUBLIC = QUEUES.public


@pytest.fixture
def gates() -> Gates:
    return Gates()


@pytest.fixture
async def drains(ours: Ledger, gates: Gates, clock: FakeClock) -> AsyncIterator[Drains]:
    """Who drains on our machine."""
    postroom = Postroom("amqp://broker", {CARD.name: QUEUES}, FakeDesk())
    await postroom.open(await BrokerInMemory().connect())
    yield Drains([CARD], Premises(ours, postroom, gates, Bulletin()), Book(), clock)
    await postroom.close()


async def waits(ledger: Ledger, job_id: str) -> None:
    """Have a job wait in the queue."""
    await enter(ledger, NewJob(job_id, CARD.name, PUBLIC, b"{}", new_job().properties),
                state=JobState.WAITING)  # fmt: skip


async def break_off(ledger: Ledger) -> None:
    """Begin a drain, and come no further."""
    begun = partial(controls.drain, queue=PUBLIC, scope=Scope.WAITING.value)
    await ledger.write(partial(begun, now=ledger.clock.utcnow()))


async def states(ledger: Ledger, *job_ids: str) -> list[str]:
    records = [await ledger.show(job_id) for job_id in job_ids]
    return [record.state.value for record in records if record is not None]


async def is_unfinished(ledger: Ledger) -> bool:
    return bool(await ledger.read(controls.draining))


def an_heir(ledger: Ledger, drains: Drains, clock: FakeClock, *queues: str) -> Succession:
    return Succession(ledger, [CARD.name], clock, drains.take_up, queues)


@pytest.mark.invariant(1)
async def test_what_waited_is_removed_and_what_came_since_is_published_again_by_the_heir(
    ours: Ledger, theirs: Ledger, drains: Drains, gates: Gates, clock: FakeClock
) -> None:
    await waits(theirs, "waited")
    await break_off(theirs)
    await waits(ours, "came since")  # its message may be gone with the others
    await theirs.close()

    await stay_away(an_heir(ours, drains, clock, PUBLIC), clock)
    async with asyncio.timeout(WITHIN):
        while (await states(ours, "came since")) != ["pending"] or await is_unfinished(ours):
            await settle()

    assert await states(ours, "waited", "came since") == ["removed", "pending"]
    assert gates.diary[-1] == (CARD.name, "drain", "")  # nothing stays held
    assert await ours.read(partial(gone, pools=[CARD.name], queues=[PUBLIC])) == frozenset()


async def test_a_drain_is_left_to_who_knows_its_queue(
    ours: Ledger, theirs: Ledger, drains: Drains, postgres_url: str, clock: FakeClock
) -> None:
    await break_off(theirs)
    await begin(theirs, "a")
    await theirs.close()

    await stay_away(an_heir(ours, drains, clock, QUEUE), clock)

    assert await states(ours, "a") == ["waiting"]  # it was succeeded
    assert not await is_unfinished(ours)
    back = await Ledger.open(postgres_url, clock=clock, node="theirs")
    assert await is_unfinished(back)
    await back.close()


async def test_nobody_drains_a_queue_that_another_machine_is_draining(
    ours: Ledger, theirs: Ledger, drains: Drains, clock: FakeClock
) -> None:
    await waits(ours, "waits")
    await break_off(theirs)

    with pytest.raises(NotNowError, match="nothing was removed; another machine is draining it"):
        await drains.drain(CARD, delayed=False)
    assert await states(ours, "waits") == ["waiting"]

    await theirs.write(partial(controls.drained, queue=PUBLIC))
    draining = asyncio.ensure_future(drains.drain(CARD, delayed=False))
    async with asyncio.timeout(WITHIN):
        while not draining.done():
            await clock.move(GIVEN_BACK)
    assert (await draining).jobs == 1


@pytest.mark.invariant(1)
async def test_what_runs_elsewhere_is_not_touched_by_the_heir(
    ours: Ledger, theirs: Ledger, drains: Drains, postgres_url: str, clock: FakeClock
) -> None:
    third = await Ledger.open(postgres_url, clock=clock, node="third")
    await waits(third, "runs")
    taken = replace(claim("runs"), queue=PUBLIC)
    assert await third.begin(taken, job_id="runs", pool=CARD.name, worker="d-1", attempt=1)
    await break_off(theirs)
    await theirs.close()

    await stay_away(an_heir(ours, drains, clock, PUBLIC), clock)
    async with asyncio.timeout(WITHIN):
        while await is_unfinished(ours):
            await settle()

    assert await states(ours, "runs") == ["active"]
    await third.close()
