"""A job and all that came of it are cancelled together, whatever they do in that instant."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
import pytest
from sqlalchemy import Connection

from consumers.desk import Drop
from consumers.jobs import Properties
from supervisor.book import Key
from supervisor.convoy import ROUNDS
from supervisor.core.records import JobRecord, JobState, NewJob
from supervisor.core.steering import Wish
from supervisor.ledger import chains
from supervisor.ports import NotNowError, UnknownJobError, WrongStateError
from tests.support.convoys import ROOT, VIEWS, Sea, sea_of_two_pools
from tests.support.offices import (
    FIRST,
    PREVIEW,
    SECOND,
    a_claim,
    a_result,
    an_error,
    made,
)

__all__ = ["sea_of_two_pools"]

T = TypeVar("T")


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


async def test_each_event_of_a_chain_names_the_job_it_came_of_and_the_first(sea: Sea) -> None:
    first, second = await sea.download("a.mp4", "b.mp4")
    await sea.run(first)
    (deep,) = await sea.complete(first, "a.jpg")
    await sea.convoy.cancel("j1")
    await sea.convoy.remove(second.id)

    told = sea.office.bulletin.events
    assert {event.name for event in told} == {"waiting", "completed", "cancelled", "removed"}
    assert {(event.id, event.root, event.parent) for event in told} == {
        ("j1", "", ""),
        (first.id, "j1", "j1"),
        (second.id, "j1", "j1"),
        (deep.id, "j1", first.id),
    }


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


async def test_what_only_another_machine_can_end_is_named_so_when_it_does_not(
    sea: Sea, monkeypatch: pytest.MonkeyPatch
) -> None:
    (only,) = await sea.download("a.mp4")
    await sea.run(only)

    async def asked(key: Key, _: Wish) -> JobRecord:
        return await sea.office.record(key[1])

    monkeypatch.setattr(sea.bridge.pilot, "steered", asked)

    with pytest.raises(NotNowError, match="job j1, 1 still runs on another machine: try again"):
        await sea.outlast(sea.convoy.cancel("j1"))
