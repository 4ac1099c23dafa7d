"""Jobs that follow jobs: entered with what they follow, and told of once, when all have ended."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select, text, update

from consumers.outcome import Completed
from supervisor.core.letters import LetterFilter
from supervisor.core.records import Chain, JobFilter, JobRecord, JobState, Notice, Relative
from supervisor.desks.letters import Exported
from supervisor.ledger import (
    chains,
    copying,
    draining,
    letter_files,
    letters,
    outcomes,
    pending,
    replays,
    retention,
    withdrawals,
)
from supervisor.ledger.chains import Ended
from supervisor.ledger.draining import Scope, Sweep
from supervisor.ledger.outcomes import Hand, Sequel
from supervisor.ledger.pending import Again
from supervisor.ledger.replays import Heading, Turn
from supervisor.ledger.retention import Expired
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables import jobs, notices
from tests.support.clocks import WITHIN, FakeClock
from tests.support.ledgers import (
    NODE,
    QUEUE,
    ask,
    claim,
    downgrade,
    enter,
    letter,
    new_job,
    notice,
    to_publish,
)

POOL = "download"
ROOT = Relative(QUEUE, "root")
DAY = timedelta(days=1)


@dataclass
class Told:
    """What was told of chains, and who tells it."""

    clock: FakeClock
    heard: list[tuple[str, Mapping[JobState, int], list[str]]] = field(default_factory=list)

    def __call__(
        self, root: JobRecord, chain: Chain, others: Sequence[JobRecord]
    ) -> tuple[Notice, ...]:
        self.heard.append((root.id, chain.states, [other.id for other in others]))
        key = f"{root.queue}:{root.id}:chain:{self.clock.utcnow().strftime('%Y%m%dT%H%M%S.%f')}"
        return (msgspec.structs.replace(notice(root.id), key=key),)


@pytest.fixture
def told(clock: FakeClock) -> Told:
    return Told(clock)


async def settle(ledger: Ledger, told: Told) -> tuple[Ended, ...]:
    now = ledger.clock.utcnow()
    return await ledger.write(partial(chains.settle, tell=told, now=now))


async def begin(ledger: Ledger, job_id: str) -> None:
    await ledger.begin(claim(job_id), job_id=job_id, pool=POOL, worker="w-1", attempt=1)


async def complete(ledger: Ledger, job_id: str, *followers: str) -> bool:
    await begin(ledger, job_id)
    return await ledger.complete(
        QUEUE,
        job_id,
        worker="w-1",
        result={"files": []},
        duration=1.0,
        notices=() if followers else [notice(job_id)],
        followers=[new_job(follower) for follower in followers],
    )


async def fail(ledger: Ledger, job_id: str) -> None:
    await ledger.bury(letter(), job_id=job_id, pool=POOL, notices=[notice(job_id)])


async def shown(ledger: Ledger, job_id: str) -> JobRecord:
    record = await ledger.show(job_id)
    assert record is not None
    return record


async def keys_of_notices(ledger: Ledger) -> list[str]:
    wanted = select(notices.c.key).order_by(notices.c.number)
    return await ledger.read(lambda connection: list(connection.scalars(wanted)))


async def retry(ledger: Ledger, job_id: str) -> int:
    again = partial(pending.again, queue=QUEUE, job_id=job_id, copy=Again())
    return await ledger.write(partial(again, now=ledger.clock.utcnow()))


async def call_off(ledger: Ledger, job_id: str) -> bool:
    off = partial(withdrawals.call_off, queue=QUEUE, job_id=job_id, state=JobState.REMOVED)
    return await ledger.write(partial(off, now=ledger.clock.utcnow()))


async def erase(ledger: Ledger, job_id: str) -> bool:
    gone = partial(withdrawals.erase, queue=QUEUE, job_id=job_id, now=ledger.clock.utcnow() + DAY)
    return await ledger.write(gone)


async def clean(ledger: Ledger, state: JobState) -> int:
    """Remove what is in this state, however young; return how many jobs that were."""
    now, total = ledger.clock.utcnow(), 0
    expired = Expired(QUEUE, state, before=now + DAY)
    remove = partial(retention.remove, expired=expired, limit=100, now=now)
    while removed := await ledger.write(remove):
        total += removed
    return total


async def left(ledger: Ledger) -> set[str]:
    return await ledger.read(lambda connection: set(connection.scalars(select(jobs.c.id))))


# --- how a chain begins --------------------------------------------------------------------------


async def test_what_follows_is_entered_with_the_result_and_knows_where_it_came_from(
    ledger: Ledger,
) -> None:
    commits = ledger.commits
    await complete(ledger, "root", "a", "b")

    assert ledger.commits <= commits + 2  # one of them is the beginning
    first, follower = await shown(ledger, "root"), await shown(ledger, "a")
    assert (first.parent, first.root) == (None, ROOT)
    assert first.chain == Chain({JobState.COMPLETED: 1, JobState.PENDING: 2}, is_open=True)
    assert (follower.parent, follower.root, follower.chain) == (ROOT, ROOT, None)
    assert [posting.id for posting in await to_publish(ledger)] == ["a", "b"]


async def test_a_second_completion_enters_nothing(ledger: Ledger) -> None:
    await complete(ledger, "root", "a")

    assert not await complete(ledger, "root", "b")
    assert await left(ledger) == {"root", "a"}


async def test_a_job_that_nothing_follows_is_of_no_chain_and_leaves_no_notes(
    ledger: Ledger,
) -> None:
    await complete(ledger, "alone")
    await fail(ledger, "dead")
    await retry(ledger, "dead")
    await call_off(ledger, "dead")

    record = await shown(ledger, "alone")
    assert (record.parent, record.root, record.chain) == (None, None, None)
    assert not await ledger.read(chains.anything)
    assert await keys_of_notices(ledger) == [notice("alone").key, notice("dead").key]


async def test_generations_are_one_chain_and_known_by_whom_they_came_of(ledger: Ledger) -> None:
    await complete(ledger, "root", "a", "b")
    await complete(ledger, "b", "b1")
    await complete(ledger, "a", "a1", "a2")
    await complete(ledger, "a1", "a11")

    now = ledger.clock.utcnow()
    below = await ledger.read(partial(chains.descendants, queue=QUEUE, job_id="root"))
    of_a = await ledger.read(partial(chains.descendants, queue=QUEUE, job_id="a"))
    children = await ledger.read(
        partial(chains.children, queue=QUEUE, job_id="a", limit=9, now=now)
    )
    assert [each.id for each in below] == ["a", "b", "b1", "a1", "a2", "a11"]
    assert [(each.id, each.state) for each in of_a] == [
        ("a1", JobState.COMPLETED),
        ("a2", JobState.PENDING),
        ("a11", JobState.PENDING),
    ]
    assert [child.id for child in children] == ["a1", "a2"]
    assert {child.root for child in children} == {ROOT}
    assert (await shown(ledger, "a11")).parent == Relative(QUEUE, "a1")


async def test_lists_are_narrowed_to_a_chain_or_to_what_followed_a_job(ledger: Ledger) -> None:
    await complete(ledger, "root", "a", "b")
    await complete(ledger, "a", "a1")
    await complete(ledger, "other", "c")

    async def found(**wanted: Any) -> list[str]:
        return [job.id for job in await ledger.find(JobFilter(**wanted))]

    assert await found(root=ROOT) == ["a1", "b", "a", "root"]
    assert await found(root=ROOT, state=JobState.COMPLETED) == ["a", "root"]
    assert await found(root=ROOT, limit=2, oldest=True) == ["root", "a"]
    assert await found(parent=ROOT) == ["b", "a"]
    assert await found(parent=Relative(QUEUE, "a1")) == []


async def test_a_file_that_has_jobs_come_of_each_other_is_read_to_an_end(ledger: Ledger) -> None:
    for job_id, parent in (("a", "b"), ("b", "a")):
        job = msgspec.structs.replace(new_job(job_id), parent=Relative(QUEUE, parent))
        await ledger.write(partial(pending.enter, job=job, now=ledger.clock.utcnow()))

    below = await ledger.read(partial(chains.descendants, queue=QUEUE, job_id="a"))

    assert [each.id for each in below] == ["b"]


# --- how a chain ends ----------------------------------------------------------------------------


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
    assert dict(gone) == {QUEUE: 1}


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
        (throw_away, {JobState.COMPLETED: 1}),
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


async def test_a_replay_that_is_taken_back_ends_the_chain_again(ledger: Ledger, told: Told) -> None:
    await complete(ledger, "root", "a")
    await fail(ledger, "a")
    await settle(ledger, told)
    now = ledger.clock.utcnow()
    turns = [Turn(QUEUE, "a", now + DAY)]
    heading = Heading("some", None)
    number, _ = await ledger.write(partial(replays.enter, heading=heading, turns=turns, now=now))
    await settle(ledger, told)
    await ledger.write(partial(replays.undo, replay=number, keys=[(QUEUE, "a")], now=now))

    await settle(ledger, told)

    assert [heard[1] for heard in told.heard] == [{JobState.COMPLETED: 1, JobState.FAILED: 1}] * 2
    assert not (await shown(ledger, "root")).chain.is_open  # type: ignore[union-attr]


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


async def test_a_look_that_fails_leaves_everything_for_the_next_one(
    ledger: Ledger, told: Told
) -> None:
    def breaks(*_: object) -> tuple[Notice, ...]:
        raise ValueError("a mistake of ours")

    await complete(ledger, "root", "a")
    await complete(ledger, "a")
    with pytest.raises(ValueError, match="mistake"):
        await ledger.write(partial(chains.settle, tell=breaks, now=ledger.clock.utcnow()))

    await settle(ledger, told)

    assert [heard[0] for heard in told.heard] == ["root"]


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


# --- what stays, and what goes -------------------------------------------------------------------


async def test_nothing_of_a_chain_goes_while_it_is_open(ledger: Ledger, told: Told) -> None:
    await complete(ledger, "root", "a", "b")
    await complete(ledger, "a")
    await complete(ledger, "alone")

    assert await clean(ledger, JobState.COMPLETED) == 1
    await complete(ledger, "b")
    assert await clean(ledger, JobState.COMPLETED) == 0  # nobody was told yet
    await settle(ledger, told)
    assert await clean(ledger, JobState.COMPLETED) == 3
    assert not await ledger.read(chains.anything)


async def test_a_job_stays_as_long_as_one_that_came_of_it(ledger: Ledger, told: Told) -> None:
    await complete(ledger, "root", "a", "b", "c")
    await complete(ledger, "a", "a1")
    await complete(ledger, "b")
    await fail(ledger, "a1")
    await call_off(ledger, "c")
    await settle(ledger, told)

    assert await clean(ledger, JobState.COMPLETED) == 1
    assert await left(ledger) == {"root", "a", "a1", "c"}
    assert await clean(ledger, JobState.FAILED) == 1
    assert await clean(ledger, JobState.COMPLETED) == 2
    assert await left(ledger) == {"c"}  # removed by somebody, and kept by its own rule


async def test_what_was_told_of_a_chain_goes_with_its_first_job(ledger: Ledger, told: Told) -> None:
    for root in ("root", "root2"):
        await complete(ledger, root, f"{root}-a")
        await complete(ledger, f"{root}-a")
    await settle(ledger, told)
    keys = await keys_of_notices(ledger)
    await ledger.delivered(keys[0], "log")

    await clean(ledger, JobState.COMPLETED)

    assert keys[0].startswith(f"{QUEUE}:root:chain:")
    assert await keys_of_notices(ledger) == keys[1:]  # what is not told yet will be


async def test_a_job_is_not_erased_before_what_followed_it(ledger: Ledger) -> None:
    await complete(ledger, "root", "a", "b")
    await complete(ledger, "a")

    assert not await erase(ledger, "root")
    assert await erase(ledger, "a")
    assert not await erase(ledger, "root")
    await call_off(ledger, "b")
    assert await erase(ledger, "root")


# --- out, in, and over ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_here", [True, False])
async def test_a_dead_letter_comes_back_into_its_chain_if_that_is_here(
    ledger: Ledger, told: Told, *, is_here: bool
) -> None:
    await complete(ledger, "root", "a")
    await fail(ledger, "a")
    read = partial(letter_files.out, wanted=LetterFilter(), after=None)
    (line,), _ = await ledger.read(read)
    assert await erase(ledger, "a")
    if not is_here:
        await settle(ledger, told)
        await clean(ledger, JobState.COMPLETED)

    entries = [letter_files.entry(msgspec.json.decode(line, type=Exported))]
    await ledger.write(partial(letter_files.take_in, entries=entries))

    record = await shown(ledger, "a")
    assert (record.parent, record.root) == ((ROOT, ROOT) if is_here else (None, None))


@pytest.mark.postgres
async def test_a_chain_goes_on_where_its_ledger_was_copied_to(
    sqlite_url: str, postgres_url: str, clock: FakeClock, told: Told
) -> None:
    first = await Ledger.open(sqlite_url, clock=clock, node=NODE)
    await complete(first, "root", "a", "b")
    await complete(first, "a")
    await first.close()

    copied = copying.copy(sqlite_url, postgres_url, lambda *_: None)

    assert copied["chain_checks"] == 1
    second = await Ledger.open(postgres_url, clock=clock, node=NODE)
    assert await settle(second, told) == ()
    await complete(second, "b")
    await settle(second, told)
    assert [heard[1] for heard in told.heard] == [{JobState.COMPLETED: 3}]
    await second.close()


async def test_a_ledger_with_jobs_goes_back_a_version_and_forth(
    ledger: Ledger, ledger_url: str, clock: FakeClock, told: Told
) -> None:
    await complete(ledger, "root", "a")
    await ledger.close()

    downgrade(ledger_url, "0007")
    ask(ledger_url, "UPDATE jobs SET chain = body")
    again = await Ledger.open(ledger_url, clock=clock, node=NODE)

    first, follower = await shown(again, "root"), await shown(again, "a")
    assert (first.state, first.root, follower.root) == (JobState.COMPLETED, None, None)
    await complete(again, "b", "c")
    await complete(again, "c")
    await settle(again, told)
    assert [heard[0] for heard in told.heard] == ["b"]
    await again.close()
