"""Jobs that follow jobs: entered with what they follow, and known by it."""

from functools import partial
from typing import Any

import msgspec

from supervisor.core.records import Chain, JobFilter, JobState, Relative
from supervisor.ledger import chains, pending
from supervisor.ledger.store import Ledger
from tests.support.chains import ROOT, call_off, complete, fail, keys_of_notices, left, retry, shown
from tests.support.ledgers import QUEUE, new_job, notice, to_publish


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
