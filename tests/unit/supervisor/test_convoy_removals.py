"""A job and all that came of it are removed together, whatever they do in that instant."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from supervisor.book import Key
from supervisor.core.events import CancelIgnored
from supervisor.core.records import JobRecord, JobState
from supervisor.core.steering import Wish
from supervisor.ledger import chains, withdrawals
from supervisor.ports import NotNowError, UnknownJobError, WrongStateError
from supervisor.steering import MARGIN, StillFollowedError
from tests.support.convoys import KEY, VIEWS, Sea, sea_of_two_pools
from tests.support.offices import (
    FIRST,
    a_claim,
    a_letter,
    an_error,
)
from tests.support.steering import GRACE

__all__ = ["sea_of_two_pools"]

T = TypeVar("T")


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

    with pytest.raises(StillFollowedError, match="job j1 stays as long as a job that came of it"):
        await sea.bridge.pilot.remove("j1")

    assert (await sea.office.record("j1")).state is JobState.COMPLETED


async def test_what_keeps_others_from_going_is_named_and_not_those_that_it_keeps(
    sea: Sea, monkeypatch: pytest.MonkeyPatch
) -> None:
    (middle,) = await sea.download("a.mp4")
    await sea.run(middle)
    (last,) = await sea.complete(middle, "a.jpg")
    await sea.run(last)
    steered = sea.bridge.pilot.steered

    async def asked(key: Key, wish: Wish) -> JobRecord:
        """Leave the last one to another machine, which does not end it."""
        is_elsewhere = key[1] == last.id
        return await (sea.office.record(last.id) if is_elsewhere else steered(key, wish))

    monkeypatch.setattr(sea.bridge.pilot, "steered", asked)

    with pytest.raises(NotNowError, match="of job j1, 1 still runs on another machine: try again"):
        await sea.outlast(sea.convoy.remove("j1"))
    assert (await sea.office.record(middle.id)).state is JobState.COMPLETED


async def test_a_job_that_nothing_follows_is_removed_as_ever(sea: Sea) -> None:
    await sea.office.clerk.buried(a_letter(), FIRST[0])

    assert (await sea.convoy.remove("j1")).state is JobState.REMOVED
    assert await sea.office.ledger.show("j1") is None


async def test_of_two_who_remove_a_job_at_once_the_second_hears_that_it_is_gone(sea: Sea) -> None:
    await sea.office.clerk.buried(a_letter(), FIRST[0])

    ends = await asyncio.gather(
        sea.convoy.remove("j1"), sea.convoy.remove("j1"), return_exceptions=True
    )

    assert isinstance(ends[0], JobRecord)
    assert isinstance(ends[1], UnknownJobError)
    assert "job j1 in the ledger any more: it was just removed" in str(ends[1])


async def test_a_running_job_is_not_removed_before_it_is_cancelled(sea: Sea) -> None:
    await sea.office.clerk.claim(FIRST, a_claim())
    await sea.office.written()

    with pytest.raises(WrongStateError, match="job j1 is running: cancel it first"):
        await sea.convoy.remove("j1")


async def test_a_ledger_in_trouble_is_named_and_the_next_try_goes_on(sea: Sea) -> None:
    await sea.download("a.mp4", "b.mp4")
    sea.office.clerk.book.settle(KEY, FIRST)
    ledger = sea.office.ledger
    ledger.refusals = 4

    with pytest.raises(NotNowError, match="of what came of job j1, 2 could not be steered so"):
        await sea.convoy.cancel("j1")
    ledger.refusals = 1
    with pytest.raises(NotNowError, match="try again when the ledger takes it"):
        await sea.convoy.remove("j1")
    await sea.convoy.remove("j1")

    assert await sea.office.ledger.show("j1") is None


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
