"""Chains with all who have to do with them: on each kind of ledger, on machines that share one."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial

import pytest

from supervisor.book import Key
from supervisor.cancellations import BETWEEN_LOOKS
from supervisor.core.records import JobFilter, JobRecord, JobState
from supervisor.core.steering import Wish
from supervisor.ledger import cancellations
from supervisor.ledger.store import Ledger
from supervisor.ports import WrongStateError
from tests.support.clocks import WITHIN, FakeClock
from tests.support.offices import FIRST, an_error
from tests.support.outposts import Outpost, outpost


async def states(ledger: Ledger) -> dict[JobState, int]:
    every = await ledger.find(JobFilter(limit=1000))
    return {each.state: [job.state for job in every].count(each.state) for each in every}


async def settle_all(post: Outpost) -> None:
    while await post.chains.look():
        pass


async def test_a_chain_is_done_told_of_and_removed(ledger: Ledger, clock: FakeClock) -> None:
    post = outpost(ledger, clock)
    for job in await post.download("a.mp4", "b.mp4"):
        await post.run(job)
        await post.complete(job)

    await settle_all(post)
    (notice,) = await ledger.due(clock.utcnow(), 10)
    await post.convoy.remove("j1")
    await settle_all(post)

    assert json.loads(notice.body)["results"] == ["a.mp4", "b.mp4", "a.jpg", "a.jpg"]
    assert post.finished() == ["j1"]
    assert set(await states(ledger)) <= {JobState.REMOVED}
    assert await ledger.due(clock.utcnow(), 10) == (notice,)


@pytest.mark.invariant(15)
async def test_a_chain_is_cancelled_with_all_that_waits(ledger: Ledger, clock: FakeClock) -> None:
    post = outpost(ledger, clock)
    first, *_ = await post.download("a.mp4", "b.mp4", "c.mp4")
    await post.run(first)
    await post.complete(first)

    await post.convoy.cancel("j1")
    await settle_all(post)

    assert await states(ledger) == {JobState.COMPLETED: 2, JobState.CANCELLED: 2}
    (notice,) = await ledger.due(clock.utcnow(), 10)
    assert json.loads(notice.body)["chain"]["cancelled"] == 2


async def test_nobody_is_told_of_a_chain_that_is_removed_before_its_end(
    ledger: Ledger, clock: FakeClock
) -> None:
    post = outpost(ledger, clock)
    first, _ = await post.download("a.mp4", "b.mp4")
    await post.run(first)

    removing = asyncio.ensure_future(post.convoy.remove("j1"))
    async with asyncio.timeout(WITHIN):
        while (await states(ledger)).get(JobState.REMOVED) != 1:
            await clock.move(0.0)
    await post.clerk.failed(an_error(first.id, queue_name=first.queue, cancelled=True))
    post.clerk.book.settle((first.queue, first.id), FIRST)
    await settle_all(post)  # just now all of it has ended, and the first is still there
    await removing
    await settle_all(post)

    assert await ledger.due(clock.utcnow(), 10) == ()
    assert set(await states(ledger)) <= {JobState.REMOVED}


# --- machines that share a ledger ---


@pytest.fixture
async def ours(postgres_url: str, clock: FakeClock) -> AsyncIterator[Outpost]:
    opened = await Ledger.open(postgres_url, clock=clock, node="ours")
    yield outpost(opened, clock)
    await opened.close()


@pytest.fixture
async def theirs(postgres_url: str, clock: FakeClock) -> AsyncIterator[Outpost]:
    opened = await Ledger.open(postgres_url, clock=clock, node="theirs")
    yield outpost(opened, clock)
    await opened.close()


@pytest.mark.postgres
async def test_a_chain_that_ended_elsewhere_is_told_of_by_whoever_looks_first(
    ours: Outpost, theirs: Outpost, clock: FakeClock
) -> None:
    first, second = await ours.download("a.mp4", "b.mp4")
    await ours.run(first)
    await theirs.run(second)
    await theirs.complete(second)
    await ours.complete(first)

    await settle_all(theirs)
    await settle_all(ours)

    assert (ours.finished(), theirs.finished()) == ([], ["j1"])
    assert await ours.ledger.due(clock.utcnow(), 10) == ()
    assert len(await theirs.ledger.due(clock.utcnow(), 10)) == 1


@pytest.mark.postgres
async def test_that_a_chain_is_being_removed_is_known_on_every_machine(
    ours: Outpost, theirs: Outpost, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ours.download("a.mp4", "b.mp4")
    steered = ours.pilot.steered

    async def killed(key: Key, wish: Wish) -> JobRecord:
        if key[1] == "j1":
            raise asyncio.CancelledError
        return await steered(key, wish)

    monkeypatch.setattr(ours.pilot, "steered", killed)
    removing = ours.convoy.remove("j1")
    with pytest.raises(asyncio.CancelledError):
        await removing
    await settle_all(theirs)  # just now all of it has ended, and the first is still there
    before = await theirs.ledger.due(clock.utcnow(), 10)
    await theirs.convoy.remove("j1")
    await settle_all(theirs)

    assert before == await theirs.ledger.due(clock.utcnow(), 10) == ()
    assert theirs.finished() == []
    assert set(await states(theirs.ledger)) <= {JobState.REMOVED}


async def test_a_chain_that_ends_while_its_removal_is_refused_is_told_of(
    ledger: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = outpost(ledger, clock)
    await post.download("a.mp4")
    steered = post.pilot.steered

    async def refused(key: Key, wish: Wish) -> JobRecord:
        if key[1] != "j1":
            return await steered(key, wish)
        await settle_all(post)
        raise WrongStateError("it has just changed")

    monkeypatch.setattr(post.pilot, "steered", refused)
    with pytest.raises(WrongStateError):
        await post.convoy.remove("j1")
    before = post.finished()
    await settle_all(post)

    assert (before, post.finished()) == ([], ["j1"])
    assert len(await ledger.due(clock.utcnow(), 10)) == 1


@pytest.mark.postgres
@pytest.mark.invariant(15)
@pytest.mark.parametrize("verb", ["cancel", "remove"])
async def test_what_came_of_a_job_and_runs_elsewhere_is_ended_there(
    ours: Outpost, theirs: Outpost, clock: FakeClock, verb: str
) -> None:
    first, *_ = await ours.download("a.mp4", "b.mp4", "c.mp4")
    await theirs.run(first)
    asked = partial(cancellations.is_asked, queue=first.queue, job_id=first.id)

    steering = asyncio.ensure_future(getattr(ours.convoy, verb)("j1"))
    async with asyncio.timeout(WITHIN):
        while not await ours.ledger.read(asked):
            await clock.move(BETWEEN_LOOKS)
    await theirs.clerk.failed(an_error(first.id, queue_name=first.queue, cancelled=True))
    async with asyncio.timeout(WITHIN):
        while not steering.done():
            await clock.move(BETWEEN_LOOKS)
            await ours.ledger.counts()

    assert isinstance(steering.result(), JobRecord)
    after = await states(ours.ledger)
    if verb == "cancel":
        assert after == {JobState.COMPLETED: 1, JobState.CANCELLED: 3}
    else:
        assert set(after) <= {JobState.REMOVED}
