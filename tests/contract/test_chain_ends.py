"""Chains that end: each is told of once, when all of its jobs have ended, by one machine."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, text, update

from consumers.outcome import Completed
from supervisor.core.letters import LetterFilter
from supervisor.core.records import Chain, JobRecord, JobState, Notice, Relative
from supervisor.ledger import chains, draining, letters, outcomes, pending, replays, withdrawals
from supervisor.ledger.draining import Scope, Sweep
from supervisor.ledger.outcomes import Hand, Sequel
from supervisor.ledger.replays import Heading, Turn
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.jobs import jobs
from tests.support.chains import (
    DAY,
    POOL,
    Told,
    begin,
    call_off,
    complete,
    erase,
    fail,
    keys_of_notices,
    left,
    retry,
    settle,
    shown,
)
from tests.support.clocks import WITHIN, FakeClock
from tests.support.ledgers import QUEUE, enter, letter, new_job


async def test_a_chain_is_told_of_once_when_the_last_of_it_has_ended(
    ledger: Ledger, told: Told
) -> None:
    await complete(ledger, "root", "a", "b")
    assert await settle(ledger, told) == ()
    await complete(ledger, "a", "a1")
    await fail(ledger, "b")
    assert await settle(ledger, told) == ()
    assert (await shown(ledger, "root")).chain.is_open  # type: ignore[union-attr]
    await ledger.cancel(QUEUE, "a1")

    (ended,) = await settle(ledger, told)

    states = {JobState.COMPLETED: 2, JobState.FAILED: 1, JobState.CANCELLED: 1}
    assert told.heard == [("root", states, ["b", "a", "a1"])]
    assert (ended.root.id, ended.chain) == ("root", Chain(states, is_open=False))
    assert (await shown(ledger, "root")).chain == Chain(states, is_open=False)
    assert await settle(ledger, told) == ()
    assert not await ledger.read(chains.anything)
    # Nothing was told of those that followed, whatever came of them.
    (key,) = await keys_of_notices(ledger)
    assert key.startswith(f"{QUEUE}:root:chain:")


async def drain(ledger: Ledger, _job_id: str) -> None:
    last = await ledger.read(draining.newest)
    sweep = partial(draining.sweep, what=Sweep(POOL, Scope.DELAYED, last))
    await ledger.write(partial(sweep, now=ledger.clock.utcnow()))


async def throw_away(ledger: Ledger, job_id: str) -> None:
    await fail(ledger, job_id)
    picks = await ledger.read(partial(letters.pick, wanted=LetterFilter(), limit=9))
    gone = await ledger.write(partial(letters.erase, picks=picks, now=ledger.clock.utcnow() + DAY))
    assert (dict(gone), [pick.is_kept for pick in picks]) == ({}, [True])


async def fail_and_erase(ledger: Ledger, job_id: str) -> None:
    await fail(ledger, job_id)
    assert await erase(ledger, job_id)


async def call_off_and_erase(ledger: Ledger, job_id: str) -> None:
    await call_off(ledger, job_id)
    await erase(ledger, job_id)


async def delete(ledger: Ledger, job_id: str) -> None:
    this = jobs.delete().where(jobs.c.id == job_id)
    await ledger.write(lambda connection: connection.execute(this))


@pytest.mark.parametrize(
    ("end", "states"),
    [
        (complete, {JobState.COMPLETED: 2}),
        (fail, {JobState.COMPLETED: 1, JobState.FAILED: 1}),
        (call_off, {JobState.COMPLETED: 1, JobState.REMOVED: 1}),
        (drain, {JobState.COMPLETED: 1, JobState.REMOVED: 1}),
        (call_off_and_erase, {JobState.COMPLETED: 1, JobState.REMOVED: 1}),
        (throw_away, {JobState.COMPLETED: 1, JobState.FAILED: 1}),
        (fail_and_erase, {JobState.COMPLETED: 1, JobState.FAILED: 1}),
        (delete, {JobState.COMPLETED: 1}),
    ],
)
async def test_however_its_last_job_ends_or_goes_a_chain_is_over(
    ledger: Ledger,
    told: Told,
    end: Callable[[Ledger, str], Any],
    states: Mapping[JobState, int],
) -> None:
    await complete(ledger, "root", "a")
    await settle(ledger, told)
    await end(ledger, "a")

    await settle(ledger, told)

    assert [heard[1] for heard in told.heard] == [states]


async def test_a_chain_whose_jobs_could_not_be_entered_is_over_at_once(
    ledger: Ledger, told: Told
) -> None:
    await enter(ledger, new_job("taken"))
    await complete(ledger, "root", "taken")

    await settle(ledger, told)

    assert told.heard == [("root", {JobState.COMPLETED: 1}, [])]
    assert (await shown(ledger, "taken")).root is None


async def test_a_job_that_only_claims_to_be_of_a_chain_has_nobody_told(
    ledger: Ledger, told: Told
) -> None:
    await complete(ledger, "alone")
    stranger = msgspec.structs.replace(new_job("a"), root=Relative(QUEUE, "alone"))
    await ledger.write(partial(pending.enter, job=stranger, now=ledger.clock.utcnow()))
    await fail(ledger, "a")
    await retry(ledger, "a")
    await complete(ledger, "a")

    assert await settle(ledger, told) == ()


@pytest.mark.parametrize("is_seen", [True, False])
async def test_a_chain_of_which_a_job_runs_again_is_told_of_once_more_at_its_end(
    ledger: Ledger, clock: FakeClock, told: Told, *, is_seen: bool
) -> None:
    await complete(ledger, "root", "a")
    await fail(ledger, "a")
    await settle(ledger, told)
    await clock.move(1.0)
    assert await retry(ledger, "a")
    if is_seen:
        assert await settle(ledger, told) == ()
    assert (await shown(ledger, "root")).chain.is_open  # type: ignore[union-attr]
    await complete(ledger, "a")

    (ended,) = await settle(ledger, told)

    assert ended.chain.states == {JobState.COMPLETED: 2}
    assert await settle(ledger, told) == ()
    assert len(await keys_of_notices(ledger)) == 2


async def test_of_a_replay_that_is_taken_back_nobody_is_told_a_second_time(
    ledger: Ledger, told: Told
) -> None:
    await complete(ledger, "root", "a")
    await fail(ledger, "a")
    await settle(ledger, told)
    now = ledger.clock.utcnow()
    turns = [Turn(QUEUE, "a", now + DAY)]
    heading = Heading("some", None)
    number, _ = await ledger.write(partial(replays.enter, heading=heading, turns=turns, now=now))
    await settle(ledger, told)
    await ledger.write(partial(replays.undo, replay=number, keys=[(QUEUE, "a")], now=now))

    ended = await settle(ledger, told)

    assert ended == ()
    assert [heard[1] for heard in told.heard] == [{JobState.COMPLETED: 1, JobState.FAILED: 1}]
    assert not (await shown(ledger, "root")).chain.is_open  # type: ignore[union-attr]


@pytest.mark.parametrize("state", [JobState.REMOVED, JobState.CANCELLED])
async def test_what_is_run_again_and_taken_back_before_is_no_news_but_its_next_end_is(
    ledger: Ledger, clock: FakeClock, told: Told, state: JobState
) -> None:
    await complete(ledger, "root", "a", "b")
    await fail(ledger, "a")
    await clock.move(1.0)
    await fail(ledger, "b")
    await settle(ledger, told)
    for job_id in ("a", "b"):
        await clock.move(1.0)
        await retry(ledger, job_id)
        off = partial(withdrawals.call_off, queue=QUEUE, job_id=job_id, state=state)
        await ledger.write(partial(off, now=clock.utcnow()))
        await settle(ledger, told)
    assert len(told.heard) == 1

    if state is JobState.CANCELLED:
        await clock.move(1.0)
        await retry(ledger, "a")
        await complete(ledger, "a")
        await settle(ledger, told)
        assert told.heard[1][1] == {JobState.COMPLETED: 2, JobState.CANCELLED: 1}


async def test_a_second_failure_is_told_of_though_somebody_removed_its_job_since(
    ledger: Ledger, clock: FakeClock, told: Told
) -> None:
    await complete(ledger, "root", "a", "b")
    for job_id in ("a", "b"):
        await fail(ledger, job_id)
    await settle(ledger, told)
    await clock.move(1.0)
    for job_id in ("a", "b"):
        await retry(ledger, job_id)
    await settle(ledger, told)
    await ledger.bury(letter(seq=1), job_id="a", pool=POOL, notices=[])
    assert await erase(ledger, "a")
    await call_off(ledger, "b")

    await settle(ledger, told)

    states = {JobState.COMPLETED: 1, JobState.FAILED: 1, JobState.REMOVED: 1}
    assert [heard[1] for heard in told.heard][1:] == [states]


@pytest.mark.parametrize("is_needed", [True, False], ids=["a bare row stays", "nothing stays"])
async def test_of_a_chain_whose_first_job_is_gone_nobody_is_told(
    ledger: Ledger, told: Told, *, is_needed: bool
) -> None:
    await complete(ledger, "root", "a")
    await fail(ledger, "a")
    await retry(ledger, "a")
    await call_off(ledger, "a")
    loose = update(jobs).where(jobs.c.id == "root").values(loose=is_needed)
    await ledger.write(lambda connection: connection.execute(loose))
    assert await erase(ledger, "root")
    assert ("root" in await left(ledger)) is is_needed

    assert await settle(ledger, told) == ()

    assert told.heard == []
    assert not await ledger.read(chains.anything)


async def test_a_notice_is_written_from_a_part_of_a_large_chain_what_failed_first(
    ledger: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "MOST", 3)
    await complete(ledger, "root", "a", "b", "c", "d", "e")
    for job_id in ("a", "b", "e"):
        await complete(ledger, job_id)
    await call_off(ledger, "c")
    await fail(ledger, "d")

    await settle(ledger, told)

    assert [heard[2] for heard in told.heard] == [["d", "a", "b"]]
    assert sum(told.heard[0][1].values()) == 6


async def test_more_notes_than_are_taken_at_once_are_left_for_the_next_look(
    ledger: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_checks", chains._checks.limit(2))
    for root in ("r1", "r2", "r3"):
        await complete(ledger, root, f"{root}-a")
        await complete(ledger, f"{root}-a")

    await settle(ledger, told)
    assert await ledger.read(chains.anything)
    await settle(ledger, told)

    assert [heard[0] for heard in told.heard] == ["r1", "r2", "r3"]
    assert not await ledger.read(chains.anything)


async def test_a_chain_that_cannot_be_looked_at_keeps_no_other_from_being_told_of(
    ledger: Ledger, told: Told
) -> None:
    def breaks(root: JobRecord, chain: Chain, others: Sequence[JobRecord]) -> tuple[Notice, ...]:
        if root.id == "bad":
            raise ValueError("a mistake of ours")
        return told(root, chain, others)

    for root in ("bad", "good"):
        await complete(ledger, root, f"{root}-a")
        await complete(ledger, f"{root}-a")
    look = partial(chains.settle, tell=breaks, now=ledger.clock.utcnow())
    first = await ledger.write(look)
    second = await ledger.write(partial(look, besides={(QUEUE, "bad")}))
    third = await ledger.write(look)
    assert await ledger.read(chains.anything)

    assert [heard[0] for heard in told.heard] == ["good"]
    assert [str(why) for why in first.astray.values()] == ["a mistake of ours"]
    assert (second.astray, second.notes) == ({}, 0)
    assert third.astray.keys() == {(QUEUE, "bad")}
    await settle(ledger, told)
    assert [heard[0] for heard in told.heard] == ["good", "bad"]
    assert not await ledger.read(chains.anything)


# --- two machines --------------------------------------------------------------------------------


@pytest.mark.postgres
async def test_of_two_jobs_that_end_at_the_same_moment_on_two_machines_one_is_the_last(
    server_ledger: Ledger, postgres_url: str, clock: FakeClock
) -> None:
    """Each ends one and looks at the chain before the other one's end can be seen."""
    other = await Ledger.open(postgres_url, clock=clock, node="node-b")
    tellers = [Told(clock), Told(clock)]
    for job_id in ("a", "b"):
        await complete(server_ledger, f"root-{job_id}")
    await complete(server_ledger, "root", "a", "b")
    for job_id in ("a", "b"):
        await begin(server_ledger, job_id)
    has_ended = threading.Barrier(2)
    now = clock.utcnow()

    def end(connection: Connection, job_id: str, told: Told, pause: float) -> None:
        hand = Hand(QUEUE, job_id, "w-1")
        done = Completed({}, 1.0)
        assert outcomes.complete(connection, hand, done, sequel=Sequel(), now=now)
        has_ended.wait(WITHIN)
        chains.settle(connection, tell=told, now=now)
        connection.execute(text("SELECT pg_sleep(:pause)"), {"pause": pause})

    await asyncio.wait_for(
        asyncio.gather(
            server_ledger.write(partial(end, job_id="a", told=tellers[0], pause=0.3)),
            other.write(partial(end, job_id="b", told=tellers[1], pause=0)),
        ),
        WITHIN,
    )

    heard = [each for teller in tellers for each in teller.heard]
    assert [each[1] for each in heard] == [{JobState.COMPLETED: 3}]
    record = await shown(other, "root")
    assert record.chain == Chain({JobState.COMPLETED: 3}, is_open=False)
    assert not await other.read(chains.anything)
    await other.close()
