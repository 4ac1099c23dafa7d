"""The room where chains end: their users are told once, and whoever listens, at the right time."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from consumers.outcome import Failure
from supervisor.chains import BETWEEN, EVERY, Chains
from supervisor.core.records import JobFilter, JobRecord, Relative
from supervisor.ledger import chains
from supervisor.ledger.errors import PATIENCE
from supervisor.ledger.next_copies import Again, again
from supervisor.ledger.tables.jobs import jobs
from supervisor.ports import Event
from tests.support.clocks import WITHIN, settle
from tests.support.offices import (
    CHAINED,
    FIRST,
    PREVIEW,
    Office,
    a_claim,
    a_letter,
    a_result,
    an_office,
    made,
)
from tests.support.sessions import QUEUES

ROOT = Relative(QUEUES.public, "j1")
VIEWER = ("preview-1", 1)


@dataclass
class Room:
    """Chains, and the clerk whose jobs they are of."""

    chains: Chains
    office: Office

    async def begin(self, *paths: str, **changes: Any) -> tuple[JobRecord, ...]:
        """Have a download complete; return the previews that follow."""
        await self.office.clerk.claim(FIRST, a_claim(**changes))
        await self.office.clerk.completed(a_result(result=made(*paths)))
        return await self.office.ledger.find(JobFilter(parent=ROOT, oldest=True))

    async def view(self, job: JobRecord, *, seq: int = 0) -> None:
        """Have a preview completed."""
        queue = PREVIEW.queues.public
        body = msgspec.json.encode(job.data)
        await self.office.clerk.claim(VIEWER, a_claim(job.id, body=body, queue=queue, seq=seq))
        result = a_result(job.id, queue_name=queue, result=made(f"{job.id}.jpg"))
        await self.office.clerk.completed(msgspec.structs.replace(result, worker_id=VIEWER[0]))

    async def fail(self, job: JobRecord) -> None:
        """Have a preview fail for good."""
        failure = Failure("no such codec", code="unsupported", permanent=True)
        letter = a_letter(job.id, queue=PREVIEW.queues.public, failure=failure)
        await self.office.clerk.buried(letter, VIEWER[0])

    async def again(self, job: JobRecord) -> None:
        """Have a failed preview run again."""
        now, copy = self.office.clock.utcnow(), Again()
        step = lambda connection: again(connection, job.queue, job.id, copy, now=now)  # noqa: E731
        assert await self.office.ledger.write(step)

    async def has_result(self, job: JobRecord, result: bytes) -> None:
        """Have something else stand in the row of a job."""
        change = update(jobs).where(jobs.c.id == job.id).values(result=result)
        await self.office.ledger.write(lambda connection: connection.execute(change).rowcount)

    async def look(self) -> None:
        """Look until there is nothing to be looked at."""
        while await self.chains.look():
            pass

    def finished(self) -> list[Event]:
        return [event for event in self.office.bulletin.events if event.name == "finished"]


def chains_of(office: Office) -> Chains:
    clerk = office.clerk
    return Chains(office.ledger, lambda: clerk.telling, office.bulletin, office.clock)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async for office in an_office(tmp_path, *CHAINED):
        yield Room(chains_of(office), office)


async def test_the_user_is_told_once_when_the_last_of_a_chain_has_ended(room: Room) -> None:
    first, second = await room.begin("a.mp4", "b.mp4")
    room.office.clock.advance(60.0)
    await room.view(first)
    await room.look()
    before = await room.office.notices()
    await room.view(second)
    room.office.pokes.clear()

    await room.look()
    await room.look()

    (notice,) = await room.office.notices()
    assert before == ()
    assert (notice.event, notice.sender, notice.job_id) == ("job.completed", "ana", "j1")
    assert json.loads(notice.body)["results"][:2] == ["a.mp4", "b.mp4"]
    assert json.loads(notice.body)["chain"]["completed"] == 3
    assert room.office.pokes == ["due"]
    (event,) = room.finished()
    assert (event.queue, event.id) == (QUEUES.public, "j1")
    assert event.data == {"states": {"completed": 3}, "duration": 60.0}


async def test_every_failure_is_told_with_the_others_and_only_then(room: Room) -> None:
    first, second, third = await room.begin("a.mp4", "b.mp4", "c.mp4")
    await room.fail(first)
    await room.fail(second)
    await room.look()
    before = await room.office.notices()
    await room.view(third)

    await room.look()

    (notice,) = await room.office.notices()
    body = json.loads(notice.body)
    assert before == ()
    assert (notice.event, body["error"]["code"]) == ("job.failed", "unsupported")
    assert [failure["id"] for failure in body["chain"]["failures"]] == [first.id, second.id]
    assert room.finished()[0].data["states"] == {"completed": 2, "failed": 2}


@pytest.mark.invariant(13)
@pytest.mark.parametrize("changes", [{"noreply": True}, {"sender": ""}], ids=["noreply", "nobody"])
async def test_of_a_silent_chain_the_end_is_an_event_and_no_notice(
    room: Room, changes: dict[str, object]
) -> None:
    (only,) = await room.begin("a.mp4", **changes)
    await room.view(only)

    await room.look()

    assert await room.office.notices() == ()
    assert len(room.finished()) == 1


async def test_a_chain_that_goes_on_is_told_of_once_more_when_it_has_ended_again(
    room: Room,
) -> None:
    (only,) = await room.begin("a.mp4")
    await room.fail(only)
    await room.look()
    await room.again(only)
    await room.look()
    retried = len(await room.office.notices())
    room.office.clock.advance(1.0)
    await room.view(only, seq=1)

    await room.look()

    notices = await room.office.notices()
    assert retried == 1
    assert [notice.event for notice in notices] == ["job.failed", "job.completed"]
    assert len(room.finished()) == 2


async def test_a_chain_that_went_on_and_ended_between_two_looks_is_told_of_again(
    room: Room,
) -> None:
    (only,) = await room.begin("a.mp4")
    await room.fail(only)
    await room.look()
    await room.again(only)
    room.office.clock.advance(1.0)
    await room.view(only, seq=1)

    await room.look()

    assert [notice.event for notice in await room.office.notices()][1:] == ["job.completed"]


async def test_new_texts_are_for_the_chains_to_come(room: Room) -> None:
    (only,) = await room.begin("a.mp4")
    await room.view(only)
    clerk = room.office.clerk
    clerk.texts = {**clerk.texts, "chain.completed": "Voilà: {count}."}

    await room.look()

    (notice,) = await room.office.notices()
    assert notice.text == "Voilà: 2."


async def test_of_a_chain_that_cannot_be_told_the_user_hears_that_it_is_over(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = await room.begin("a.mp4", "b.mp4")
    await room.view(first)
    await room.fail(second)
    clerk = room.office.clerk
    clerk.texts = {**clerk.texts, "chain.failed": "{subject} {nobody:knows}"}

    await room.look()

    (notice,) = await room.office.notices()
    body = json.loads(notice.body)
    assert notice.text == "j1: 1 of 3 jobs did not succeed."
    (logged,) = [
        line for line in capsys.readouterr().out.splitlines() if "not told in full" in line
    ]
    assert "job=j1" in logged
    assert (notice.event, body["results"], body["job"].get("data")) == ("job.failed", [], None)
    assert (body["chain"]["failed"], body["chain"]["failures"]) == (1, [])
    assert len(room.finished()) == 1


async def test_a_chain_that_cannot_be_read_is_said_once_and_looked_at_every_minute(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    (only,) = await room.begin("a.mp4")
    await room.view(only)
    await room.has_result(only, b"no JSON at all")
    await room.look()
    await room.look()
    room.office.clock.advance(60.0)
    await room.look()
    told = [line for line in capsys.readouterr().out.splitlines() if "chain not looked" in line]

    await room.has_result(only, b"{}")
    await room.look()
    assert await room.office.notices() == ()
    room.office.clock.advance(60.0)
    await room.look()

    assert len(told) == 1
    assert "job=j1" in told[0]
    assert len(await room.office.notices()) == 1


async def test_of_a_chain_that_was_read_since_it_is_said_again_that_it_cannot_be(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    (only,) = await room.begin("a.mp4")
    await room.fail(only)
    for result in (b"no JSON at all", b"{}"):
        await room.has_result(only, result)
        await room.look()
        room.office.clock.advance(60.0)
    await room.look()
    await room.again(only)
    await room.view(only, seq=1)
    await room.has_result(only, b"no JSON at all")
    room.office.clock.advance(60.0)

    await room.look()

    assert capsys.readouterr().out.count("chain not looked at") == 2


async def test_nobody_is_told_of_a_chain_that_is_being_removed(room: Room) -> None:
    (only,) = await room.begin("a.mp4")
    leave = partial(chains.leave, queue=ROOT.queue, job_id=ROOT.id)
    await room.office.ledger.write(leave)
    await room.view(only)

    await room.look()

    assert await room.office.notices() == ()
    assert room.finished() == []


async def test_of_a_chain_whose_removal_is_refused_its_user_is_told_after_all(room: Room) -> None:
    (only,) = await room.begin("a.mp4")
    await room.office.ledger.write(partial(chains.leave, queue=ROOT.queue, job_id=ROOT.id))
    await room.view(only)
    await room.look()

    await room.office.ledger.write(partial(chains.stay, queue=ROOT.queue, job_id=ROOT.id))
    await room.look()

    (notice,) = await room.office.notices()
    assert notice.event == "job.completed"
    assert len(room.finished()) == 1


async def test_a_look_at_nothing_writes_nothing(room: Room) -> None:
    await room.office.clerk.claim(FIRST, a_claim())
    await room.office.clerk.completed(a_result())
    await room.office.written()
    before = room.office.ledger.commits

    assert not await room.chains.look()

    assert room.office.ledger.commits == before


# --- when it looks ---


@pytest.fixture
async def at_work(room: Room) -> AsyncIterator[Room]:
    working = asyncio.ensure_future(room.chains.run())
    yield room
    working.cancel()
    await asyncio.wait({working}, timeout=WITHIN)


async def looked(room: Room) -> None:
    """Wait until a look that was begun has read and written what it wanted."""
    for _ in range(3):
        await room.office.written()
    await settle()


async def until_finished(room: Room, *, step: float) -> float:
    """Move the clock until a chain has finished; return for how long."""
    moved = 0.0
    async with asyncio.timeout(WITHIN):
        while not room.finished():
            await room.office.clock.move(step)
            await looked(room)
            moved += step
    return moved


async def test_an_end_is_heard_of_within_moments(at_work: Room) -> None:
    (only,) = await at_work.begin("a.mp4")
    await at_work.view(only)
    at_work.office.bulletin.hand_out()

    assert await until_finished(at_work, step=BETWEEN / 2) <= 4 * BETWEEN


async def test_what_another_supervisor_left_is_looked_at_when_the_room_opens(room: Room) -> None:
    (only,) = await room.begin("a.mp4")
    await room.view(only)
    later = chains_of(room.office)

    working = asyncio.ensure_future(later.run())
    moved = await until_finished(room, step=BETWEEN / 2)
    working.cancel()

    assert moved <= 2 * BETWEEN


async def test_an_end_that_nobody_spoke_of_is_found_after_a_while(at_work: Room) -> None:
    (only,) = await at_work.begin("a.mp4")
    at_work.office.bulletin.hand_out()
    for _ in range(4):
        await looked(at_work)
        await at_work.office.clock.move(BETWEEN)
    await at_work.office.ledger.cancel(only.queue, only.id)

    moved = await until_finished(at_work, step=EVERY / 4)

    assert EVERY / 2 <= moved <= 2 * EVERY
    assert at_work.finished()[0].data["states"] == {"completed": 1, "cancelled": 1}


async def test_a_ledger_in_trouble_is_looked_into_again(at_work: Room) -> None:
    (only,) = await at_work.begin("a.mp4")
    await at_work.view(only)
    at_work.office.ledger.silences = 2
    at_work.office.bulletin.hand_out()

    await until_finished(at_work, step=PATIENCE)

    (notice,) = await at_work.office.notices()
    assert notice.event == "job.completed"


async def test_much_news_is_one_look_at_a_time(at_work: Room) -> None:
    await settle()
    await at_work.office.ledger.counts()
    await at_work.office.clock.move(BETWEEN)
    before = len(at_work.office.clock.slept)

    for number in range(50):
        now = at_work.office.clock.utcnow()
        at_work.office.bulletin.publish(Event(name="completed", at=now, id=str(number)))
        at_work.office.bulletin.hand_out()
        await settle()
        await at_work.office.ledger.counts()

    assert len(at_work.office.clock.slept) - before <= 2
