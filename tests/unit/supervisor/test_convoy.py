"""A job and all that came of it are steered together, whatever they do in that instant."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from sqlalchemy import Connection

from consumers.desk import Drop
from consumers.jobs import Properties
from supervisor.convoy import ROUNDS, Convoy
from supervisor.core.events import CancelIgnored
from supervisor.core.records import JobFilter, JobRecord, JobState, NewJob, Relative
from supervisor.ledger import chains, withdrawals
from supervisor.ports import NotNowError, UnknownJobError, WrongStateError
from supervisor.steering import MARGIN
from tests.support.offices import (
    CHAINED,
    FIRST,
    PREVIEW,
    SECOND,
    Office,
    a_claim,
    a_letter,
    a_result,
    an_error,
    an_office,
    made,
)
from tests.support.sessions import QUEUES
from tests.support.steering import GRACE, Bridge, a_bridge

T = TypeVar("T")

ROOT = Relative(QUEUES.public, "j1")
KEY = (QUEUES.public, "j1")
VIEWS = PREVIEW.queues.public
TWO_LEVELS = b'{"link": "x", "from": "ana", "then": [{"pool": "preview", "then": "preview"}]}'


@dataclass
class Sea:
    """A convoy, and those who make its ships."""

    convoy: Convoy
    bridge: Bridge
    office: Office

    async def download(self, *paths: str, body: bytes = TWO_LEVELS) -> tuple[JobRecord, ...]:
        """Have a download complete; return what follows, once it is in its queue."""
        await self.office.clerk.claim(FIRST, a_claim(body=body))
        await self.office.clerk.completed(a_result(result=made(*paths)))
        return await self.following(ROOT)

    async def following(self, parent: Relative) -> tuple[JobRecord, ...]:
        """Return what follows a job, once it is in its queue."""
        found = await self.office.ledger.find(JobFilter(parent=parent, oldest=True))
        self.bridge.poster.poke()
        for job in found:
            await self.bridge.posted(job.id)
        return await self.office.ledger.find(JobFilter(parent=parent, oldest=True))

    async def run(self, job: JobRecord) -> None:
        """Have a job that follows run in the first worker."""
        body = msgspec.json.encode(job.data)
        await self.office.clerk.claim(FIRST, a_claim(job.id, body=body, queue=job.queue))
        await self.office.written()

    async def complete(self, job: JobRecord, *paths: str) -> tuple[JobRecord, ...]:
        """Have a running job complete; return what follows it."""
        result = a_result(job.id, queue_name=job.queue, result=made(*paths))
        await self.office.clerk.completed(result)
        self.settle(job)
        return await self.following(Relative(job.queue, job.id))

    def settle(self, job: JobRecord) -> None:
        self.office.clerk.book.settle((job.queue, job.id), FIRST)

    async def states(self) -> dict[str, int]:
        """Return how many jobs there are in each state."""
        every = await self.office.ledger.find(JobFilter(limit=1000))
        names = [job.state.value for job in every]
        return {name: names.count(name) for name in sorted(set(names))}


@pytest.fixture
async def sea(tmp_path: Path) -> AsyncIterator[Sea]:
    async for office in an_office(tmp_path, *CHAINED):
        async for bridge in a_bridge(office, *CHAINED):
            convoy = Convoy(bridge.pilot, office.ledger, office.clerk.book)
            yield Sea(convoy, bridge, office)


# --- cancel ---


@pytest.mark.invariant(15)
async def test_of_a_completed_job_all_that_came_of_it_and_waits_is_cancelled(sea: Sea) -> None:
    first, second = await sea.download("a.mp4", "b.mp4")
    await sea.run(first)
    (deep,) = await sea.complete(first, "a.jpg")

    record = await sea.convoy.cancel("j1")
    comes = await sea.office.clerk.claim(SECOND, a_claim(deep.id, queue=VIEWS))

    assert record.state is JobState.COMPLETED
    assert await sea.states() == {"cancelled": 2, "completed": 2}
    assert comes == Drop(deep.id, "cancelled")
    assert sea.office.told.count("cancelled") == 2
    assert (await sea.office.record(second.id)).state is JobState.CANCELLED


async def test_what_runs_of_them_is_asked_to_stop(sea: Sea) -> None:
    first, _ = await sea.download("a.mp4", "b.mp4")
    await sea.run(first)

    cancelling = asyncio.ensure_future(sea.convoy.cancel("j1"))
    await sea.bridge.line.next()
    await sea.office.clerk.failed(an_error(first.id, queue_name=VIEWS, cancelled=True))
    await cancelling

    assert await sea.states() == {"cancelled": 2, "completed": 1}


async def test_to_cancel_a_chain_twice_is_to_cancel_it_once(sea: Sea) -> None:
    await sea.download("a.mp4", "b.mp4")
    await sea.convoy.cancel("j1")
    told = len(sea.office.told)

    record = await sea.convoy.cancel("j1")

    assert record.state is JobState.COMPLETED
    assert len(sea.office.told) == told


async def test_of_a_chain_that_is_over_there_is_nothing_to_cancel(sea: Sea) -> None:
    (only,) = await sea.download("a.mp4", body=b'{"link": "x", "then": "preview"}')
    await sea.run(only)
    await sea.complete(only)

    with pytest.raises(WrongStateError, match="job j1 is completed: only what has not ended"):
        await sea.convoy.cancel("j1")


async def test_a_job_in_the_middle_takes_with_it_what_came_of_it_alone(sea: Sea) -> None:
    first, second = await sea.download("a.mp4", "b.mp4")
    await sea.run(first)
    (deep,) = await sea.complete(first, "a.jpg")

    await sea.convoy.cancel(first.id)

    assert (await sea.office.record(deep.id)).state is JobState.CANCELLED
    assert (await sea.office.record(second.id)).state is JobState.WAITING


@pytest.mark.invariant(15)
async def test_what_a_job_is_followed_by_in_the_moment_it_is_cancelled_is_cancelled_too(
    sea: Sea,
) -> None:
    first, _ = await sea.download("a.mp4", "b.mp4")
    await sea.run(first)

    cancelling = asyncio.ensure_future(sea.convoy.cancel("j1"))
    await sea.bridge.line.next()
    await sea.complete(first, "a.jpg", "b.jpg")
    await cancelling

    assert await sea.states() == {"cancelled": 3, "completed": 2}


@pytest.mark.invariant(15)
async def test_a_first_job_that_completes_while_it_is_cancelled_has_its_followers_cancelled(
    sea: Sea,
) -> None:
    await sea.office.clerk.claim(FIRST, a_claim())
    await sea.office.written()

    cancelling = asyncio.ensure_future(sea.convoy.cancel("j1"))
    await sea.bridge.line.next()
    await sea.office.clerk.completed(a_result(result=made("a.mp4")))
    record = await cancelling

    assert record.state is JobState.COMPLETED
    assert await sea.states() == {"cancelled": 1, "completed": 1}


async def test_a_job_that_nothing_follows_is_cancelled_as_ever(sea: Sea) -> None:
    await sea.bridge.enter()

    record = await sea.convoy.cancel("j1")

    assert record.state is JobState.CANCELLED
    with pytest.raises(UnknownJobError):
        await sea.convoy.cancel("another")


async def test_a_chain_that_grows_at_every_look_is_not_chased_for_ever(
    sea: Sea, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = await sea.download("a.mp4")
    ledger, looks = sea.office.ledger, list[str]()
    read, model = ledger.read, msgspec.structs.replace(a_job(), queue=first.queue)

    async def growing(question: Callable[[Connection], T]) -> T:
        if isinstance(question, partial) and question.func is chains.descendants:
            looks.append(f"late{len(looks)}")
            late = msgspec.structs.replace(model, id=looks[-1])
            follow = partial(chains.follow, parent=ROOT, followers=(late,))
            await ledger.write(partial(follow, now=sea.office.clock.utcnow()))
        return await read(question)

    monkeypatch.setattr(ledger, "read", growing)

    with pytest.raises(WrongStateError, match="more of them came all the time"):
        await sea.convoy.cancel("j1")
    assert len(looks) <= ROUNDS + 2


def a_job() -> NewJob:
    return NewJob("late", PREVIEW.name, VIEWS, b"{}", Properties())


# --- remove ---


async def test_a_job_is_removed_with_all_that_came_of_it(sea: Sea) -> None:
    first, _ = await sea.download("a.mp4", "b.mp4")
    await sea.run(first)
    await sea.complete(first, "a.jpg")
    sea.office.clerk.book.settle(KEY, FIRST)

    record = await sea.convoy.remove("j1")

    assert record.state is JobState.REMOVED
    assert set(await sea.states()) <= {"removed"}
    assert await sea.office.ledger.show("j1") is None
    assert sea.office.told.count("removed") == 4
    assert sea.office.clerk.book.leaving == set()


@pytest.mark.invariant(15)
async def test_what_runs_of_them_is_ended_first_and_then_removed(sea: Sea) -> None:
    first, second = await sea.download("a.mp4", "b.mp4")
    sea.office.clerk.book.settle(KEY, FIRST)
    await sea.run(first)
    await sea.run(second)

    removing = asyncio.ensure_future(sea.convoy.remove("j1"))
    await sea.bridge.line.next()
    await sea.office.clerk.failed(an_error(first.id, queue_name=VIEWS, cancelled=True))
    sea.settle(first)
    await sea.office.clock.move(GRACE + MARGIN)
    event = await sea.bridge.event()
    await sea.office.clerk.settlements.released(FIRST)
    await sea.bridge.ends(removing)

    assert event == CancelIgnored(*FIRST, VIEWS, second.id)
    assert await sea.office.ledger.show("j1") is None
    assert set(await sea.states()) <= {"removed"}


async def test_what_a_job_is_followed_by_in_the_moment_it_is_removed_is_removed_too(
    sea: Sea,
) -> None:
    (first,) = await sea.download("a.mp4")
    sea.office.clerk.book.settle(KEY, FIRST)
    await sea.run(first)

    removing = asyncio.ensure_future(sea.convoy.remove("j1"))
    await sea.bridge.line.next()
    await sea.complete(first, "a.jpg", "b.jpg")
    await sea.bridge.ends(removing)

    assert await sea.office.ledger.show("j1") is None
    assert set(await sea.states()) <= {"removed"}


async def test_a_removal_that_was_broken_off_is_finished_by_the_next(sea: Sea) -> None:
    first, second = await sea.download("a.mp4", "b.mp4")
    sea.office.clerk.book.settle(KEY, FIRST)
    await sea.run(first)
    (deep,) = await sea.complete(first, "a.jpg")
    await sea.bridge.pilot.remove(deep.id)
    await sea.bridge.pilot.remove(second.id)

    await sea.convoy.remove("j1")

    assert await sea.office.ledger.show("j1") is None
    assert set(await sea.states()) <= {"removed"}


async def test_one_that_is_gone_before_its_turn_is_no_obstacle(
    sea: Sea, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, _ = await sea.download("a.mp4", "b.mp4")
    sea.office.clerk.book.settle(KEY, FIRST)
    await sea.run(gone)
    await sea.complete(gone)
    ledger = sea.office.ledger
    read = ledger.read

    async def vanishing(question: Callable[[Connection], T]) -> T:
        answer = await read(question)
        if isinstance(question, partial) and question.func is chains.descendants:
            erase = partial(withdrawals.erase, queue=gone.queue, job_id=gone.id)
            await ledger.write(partial(erase, now=sea.office.clock.utcnow()))
        return answer

    monkeypatch.setattr(ledger, "read", vanishing)

    await sea.convoy.remove("j1")

    assert await ledger.show("j1") is None


async def test_a_job_is_not_forgotten_while_something_is_left_that_came_of_it(sea: Sea) -> None:
    await sea.download("a.mp4")
    sea.office.clerk.book.settle(KEY, FIRST)

    with pytest.raises(WrongStateError, match="job j1 has just changed"):
        await sea.bridge.pilot.remove("j1")

    assert (await sea.office.record("j1")).state is JobState.COMPLETED


async def test_a_job_that_nothing_follows_is_removed_as_ever(sea: Sea) -> None:
    await sea.office.clerk.buried(a_letter(), FIRST[0])

    assert (await sea.convoy.remove("j1")).state is JobState.REMOVED
    assert await sea.office.ledger.show("j1") is None


async def test_a_running_job_is_not_removed_before_it_is_cancelled(sea: Sea) -> None:
    await sea.office.clerk.claim(FIRST, a_claim())
    await sea.office.written()

    with pytest.raises(WrongStateError, match="job j1 is running: cancel it first"):
        await sea.convoy.remove("j1")


async def test_a_ledger_in_trouble_is_named_and_the_next_try_goes_on(sea: Sea) -> None:
    await sea.download("a.mp4", "b.mp4")
    sea.office.clerk.book.settle(KEY, FIRST)
    sea.office.ledger.refusals = 4

    with pytest.raises(NotNowError, match="of what came of job j1, 2 could not be steered so"):
        await sea.convoy.remove("j1")
    sea.office.ledger.refusals = 0
    await sea.convoy.remove("j1")

    assert await sea.office.ledger.show("j1") is None
    assert sea.office.clerk.book.leaving == set()


async def test_two_who_remove_a_job_and_one_of_those_that_came_of_it_both_come_to_an_end(
    sea: Sea,
) -> None:
    first, _ = await sea.download("a.mp4", "b.mp4")
    sea.office.clerk.book.settle(KEY, FIRST)
    await sea.run(first)
    await sea.complete(first, "a.jpg", "b.jpg")

    ends = await asyncio.gather(
        sea.convoy.remove("j1"), sea.convoy.remove(first.id), return_exceptions=True
    )

    assert isinstance(ends[0], JobRecord)
    assert set(await sea.states()) <= {"removed"}


async def test_a_hundred_jobs_are_steered_side_by_side(sea: Sea) -> None:
    await sea.download(*(f"{number}.mp4" for number in range(100)))
    before = sea.office.ledger.commits

    await sea.convoy.cancel("j1")

    assert await sea.states() == {"cancelled": 100, "completed": 1}
    assert sea.office.ledger.commits - before < 60
