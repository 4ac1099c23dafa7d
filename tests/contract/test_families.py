"""A job with what came of it, as people see it: the tree on each kind of ledger, and over HTTP."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from consumers.jobs import Priority
from supervisor.core.records import Family, JobRecord, JobState, Relative
from supervisor.ledger import families, listing, pending
from supervisor.ledger.store import Ledger
from tests.support.doors import ADMIN, OTHER, PUBLISHER, Street, street
from tests.support.ledgers import QUEUE, claim, letter, new_job

POOL = "download"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Street]:
    async with street(tmp_path) as door:
        yield door


async def complete(ledger: Ledger, job_id: str, *followers: str) -> None:
    await ledger.begin(claim(job_id), job_id=job_id, pool=POOL, worker="w-1", attempt=1)
    await ledger.complete(
        QUEUE,
        job_id,
        worker="w-1",
        result={"files": []},
        duration=1.0,
        notices=(),
        followers=[new_job(follower) for follower in followers],
    )


async def family(ledger: Ledger, job_id: str, limit: int = 50) -> Family:
    job = await ledger.show(job_id)
    assert job is not None
    look = partial(families.family, job=job, limit=limit, now=ledger.clock.utcnow())
    return await ledger.read(look)


def tree(found: Family) -> list[str]:
    return [f"{'  ' * branch.depth}{branch.job.id}" for branch in found.below]


# --- on a ledger ---------------------------------------------------------------------------------


async def test_a_tree_is_read_from_its_first_job_to_each_of_the_last(ledger: Ledger) -> None:
    await complete(ledger, "root", "a", "b")
    await complete(ledger, "a", "a1", "a2")
    await complete(ledger, "b", "b1")

    found = await family(ledger, "root")

    assert tree(found) == ["  a", "    a1", "    a2", "  b", "    b1"]
    assert found.chain.states == {JobState.COMPLETED: 3, JobState.PENDING: 3}
    assert (found.chain.is_open, found.more, found.failed) == (True, 0, ())


async def test_a_large_tree_is_shown_by_what_is_next_to_the_job_and_by_what_failed(
    ledger: Ledger,
) -> None:
    await complete(ledger, "root", *(f"child{n:02}" for n in range(20)))
    await complete(ledger, "child00", "below")
    await ledger.bury(letter(), job_id="child19", pool=POOL, notices=[])

    found = await family(ledger, "root", limit=7)
    counted = await family(ledger, "root", limit=0)

    assert tree(found) == [f"  child{n:02}" for n in range(7)]
    assert (found.more, counted.more, counted.below) == (14, 21, ())
    assert [job.id for job in found.failed] == ["child19"]


async def test_of_a_job_within_a_chain_what_came_of_it_alone_is_shown(ledger: Ledger) -> None:
    await complete(ledger, "root", "a", "b")
    await complete(ledger, "a", "a1", "a2")
    await complete(ledger, "a1")
    await ledger.bury(letter(), job_id="a2", pool=POOL, notices=[])

    found, leaf = await family(ledger, "a"), await family(ledger, "b")

    assert tree(found) == ["  a1", "  a2"]
    assert found.chain.states == {JobState.COMPLETED: 2, JobState.FAILED: 1}
    assert not found.chain.is_open
    assert [job.id for job in found.failed] == ["a2"]
    assert (leaf.chain.is_open, leaf.chain.states) == (True, {JobState.PENDING: 1})


# --- over HTTP -----------------------------------------------------------------------------------


def hang(door: Street, job_id: str, parent: str, root: str) -> None:
    """Have a job follow another one."""
    queue = "download_queue"
    door.control.known[job_id] = JobRecord(
        id=job_id,
        pool="preview",
        queue=queue,
        state=JobState.WAITING,
        priority=Priority.NORMAL,
        data={},
        origin="chain",
        parent=Relative(queue, parent),
        root=Relative(queue, root),
    )


async def test_children_come_in_pages_and_lists_are_narrowed_to_a_chain(door: Street) -> None:
    async with door.caller(ADMIN) as admin:
        await admin.post("/api/jobs", json={"pool": "download", "data": {}, "id": "first"})
        known = door.control.known
        first = known["first"]
        own = Relative(first.queue, first.id)
        known["first"] = msgspec.structs.replace(first, root=own)
        for child in ("a", "b", "c"):
            hang(door, child, "first", "first")
        page = await admin.get("/api/jobs/first/children", params={"limit": 2})
        rest = await admin.get(page.links["next"]["url"])
        chain = await admin.get("/api/jobs", params={"root": "a"})
        below = await admin.get("/api/jobs", params={"parent": "a"})
        whole = await admin.get("/api/jobs/first/chain", params={"limit": 1})
        unknown = await admin.get("/api/jobs", params={"root": "nobody"})

    assert len(page.json()["jobs"] + rest.json()["jobs"]) == 3
    assert door.control.wanted is not None
    assert {job["id"] for job in chain.json()["jobs"]} == {"first", "a", "b", "c"}
    assert below.json()["jobs"] == []
    assert whole.json()["chain"]["states"] == {"waiting": 4}
    assert (len(whole.json()["below"]), whole.json()["more"]) == (1, 2)
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/unknown-job")


async def test_who_handed_a_job_in_may_see_what_came_of_it_and_nobody_else(door: Street) -> None:
    async with door.caller(PUBLISHER) as shop, door.caller(OTHER) as blog:
        await shop.post("/api/jobs", json={"pool": "download", "data": {}, "id": "first"})
        hang(door, "child", "first", "first")
        for path in ("first/children", "first/chain", "child", "child/chain"):
            mine, other = [await each.get(f"/api/jobs/{path}") for each in (shop, blog)]
            assert (mine.status_code, other.status_code) == (200, 404), path
        steered = await shop.post("/api/jobs/child/cancel")

    assert steered.status_code == 403


async def test_a_job_of_the_same_id_in_another_queue_opens_no_chain_to_who_handed_it_in(
    door: Street,
) -> None:
    async with door.caller(PUBLISHER) as shop, door.caller(OTHER) as blog:
        await shop.post("/api/jobs", json={"pool": "download", "data": {}, "id": "first"})
        hang(door, "child", "first", "first")
        door.control.known["the shop's"] = door.control.known.pop("first")
        elsewhere = {"pool": "preview", "data": {}, "id": "first"}
        ordered = await blog.post("/api/jobs", json=elsewhere)
        answers = [await each.get("/api/jobs/child") for each in (shop, blog)]

    assert ordered.status_code == 202
    assert [answer.status_code for answer in answers] == [200, 404]


async def test_a_job_is_known_by_its_queue_and_id(ledger: Ledger) -> None:
    for queue in (QUEUE, "another_queue"):
        job = msgspec.structs.replace(new_job("same"), queue=queue, origin=f"of {queue}")
        await ledger.write(partial(pending.enter, job=job, now=ledger.clock.utcnow()))

    look = partial(listing.at, job_id="same", now=ledger.clock.utcnow())
    found = [await ledger.read(partial(look, queue=each)) for each in (QUEUE, "another_queue", "")]

    assert [job and job.origin for job in found] == [f"of {QUEUE}", "of another_queue", None]
