"""What stays of a chain and what goes, and chains that are taken to another ledger or version."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from supervisor.core.letters import LetterFilter
from supervisor.core.records import Chain, JobState, Relative
from supervisor.desks.letters import Exported
from supervisor.ledger import chains, copying, letter_files, pending, retention
from supervisor.ledger.retention import BEGINNING, Expired, Mark
from supervisor.ledger.store import Ledger
from tests.support.chains import (
    DAY,
    ROOT,
    Told,
    call_off,
    clean,
    complete,
    erase,
    fail,
    kept_by_chains,
    keys_of_notices,
    left,
    settle,
    shown,
)
from tests.support.clocks import FakeClock
from tests.support.ledgers import NODE, QUEUE, ask, downgrade, new_job, notice


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


async def test_of_a_chain_whose_removal_was_broken_off_what_has_ended_goes_in_its_time(
    ledger: Ledger, told: Told
) -> None:
    await complete(ledger, "root", "a")
    await complete(ledger, "a")
    await ledger.write(partial(chains.leave, queue=QUEUE, job_id="root"))
    await settle(ledger, told)

    assert await clean(ledger, JobState.COMPLETED) == 2
    assert told.heard == []


async def test_what_has_to_stay_is_looked_at_once_and_a_few_jobs_at_a_time(
    ledger: Ledger, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOKED_AT", 2)
    for kept in ("r1", "r2", "r3"):
        await complete(ledger, kept, f"{kept}-a")
        await fail(ledger, f"{kept}-a")
    for free in ("alone", "alone2", "alone3"):
        await complete(ledger, free)
    await settle(ledger, told)
    now = ledger.clock.utcnow()
    expired = Expired(QUEUE, JobState.COMPLETED, before=now + DAY)

    removed: list[int] = []
    after: Mark | None = BEGINNING
    while after is not None and len(removed) < 10:
        some = partial(retention.remove, expired=expired, after=after, limit=1, now=now)
        done = await ledger.write(some)
        removed.append(done.jobs)
        after = done.after

    assert removed == [0, 1, 1, 1, 0]  # r1 and r2; r3 and one that may go; the others
    assert {each for each in await left(ledger) if "-" not in each} == {"r1", "r2", "r3"}


async def test_a_job_stays_as_long_as_one_that_came_of_it(ledger: Ledger, told: Told) -> None:
    await complete(ledger, "root", "a", "b", "c")
    await complete(ledger, "a", "a1")
    await complete(ledger, "b")
    await fail(ledger, "a1")
    await call_off(ledger, "c")
    await settle(ledger, told)

    assert await clean(ledger, JobState.COMPLETED) == 1
    assert await left(ledger) == {"root", "a", "a1", "c"}
    assert await kept_by_chains(ledger, JobState.COMPLETED) == 2
    assert await clean(ledger, JobState.FAILED) == 1
    assert await clean(ledger, JobState.COMPLETED) == 2
    assert await kept_by_chains(ledger, JobState.COMPLETED) == 0
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


async def test_a_failed_job_that_somebody_removes_is_told_of_with_its_chain(
    ledger: Ledger, told: Told
) -> None:
    await complete(ledger, "root", "a", "b", "c")
    await fail(ledger, "b")
    await call_off(ledger, "a")
    assert await erase(ledger, "b")
    assert (await shown(ledger, "b")).state is JobState.REMOVED
    await complete(ledger, "c")

    await settle(ledger, told)

    states = {JobState.COMPLETED: 2, JobState.FAILED: 1, JobState.REMOVED: 1}
    assert told.heard == [("root", states, ["b", "c", "a"])]
    assert told.failures == ["the link is gone"]
    assert (await shown(ledger, "root")).chain == Chain(states, is_open=False)
    assert await erase(ledger, "b")
    assert "b" not in await left(ledger)  # nobody has to be told any more


async def test_of_a_chain_that_is_being_removed_nothing_is_kept(ledger: Ledger) -> None:
    await complete(ledger, "root", "a", "b")
    await fail(ledger, "a")
    await ledger.write(partial(chains.leave, queue=QUEUE, job_id="root"))

    assert await erase(ledger, "a")

    assert await left(ledger) == {"root", "b"}


async def test_what_is_left_of_removed_jobs_goes_with_the_first_of_their_chain(
    ledger: Ledger,
) -> None:
    await complete(ledger, "root", "a", "b")
    await fail(ledger, "a")
    assert await erase(ledger, "a")
    await call_off(ledger, "b")

    assert await erase(ledger, "root")

    assert await left(ledger) == {"b"}  # of which a copy may come


# --- out, in, and over ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_here", [True, False])
async def test_a_dead_letter_comes_back_into_its_chain_if_that_is_here(
    ledger: Ledger, told: Told, *, is_here: bool
) -> None:
    await complete(ledger, "root", "a")
    await fail(ledger, "a")
    read = partial(letter_files.out, wanted=LetterFilter(), after=None)
    (line,), _ = await ledger.read(read)
    await settle(ledger, told)
    assert await erase(ledger, "a")
    if not is_here:
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


async def test_a_ledger_with_chains_goes_back_a_version_and_forth(
    ledger: Ledger, ledger_url: str, clock: FakeClock, told: Told
) -> None:
    """What was of a chain is a job by itself then, and told of as one."""
    await complete(ledger, "root", "a", "b", "c")
    await fail(ledger, "c")
    await ledger.close()

    downgrade(ledger_url, "0007")
    ask(ledger_url, "UPDATE jobs SET chain = body")
    again = await Ledger.open(ledger_url, clock=clock, node=NODE)

    first, follower = await shown(again, "root"), await shown(again, "a")
    assert (first.state, first.root) == (JobState.COMPLETED, None)
    assert (follower.parent, follower.root) == (None, None)
    await complete(again, "a")
    await fail(again, "b")
    assert await keys_of_notices(again) == [notice("a").key, notice("b").key]
    await complete(again, "d", "e")
    await complete(again, "e")
    await settle(again, told)
    assert [heard[0] for heard in told.heard] == ["d"]
    await again.close()


@pytest.mark.parametrize("end", [complete, fail])
async def test_a_job_that_knows_its_parent_and_not_its_chain_is_told_of_by_itself(
    ledger: Ledger, end: Callable[[Ledger, str], Any]
) -> None:
    orphan = msgspec.structs.replace(new_job("a"), parent=Relative(QUEUE, "gone"))
    await ledger.write(partial(pending.enter, job=orphan, now=ledger.clock.utcnow()))

    await end(ledger, "a")

    assert await keys_of_notices(ledger) == [notice("a").key]
