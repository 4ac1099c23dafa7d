"""Jobs too large for their pool: they move to a roomier one and end there, once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumers.desk import Condemn, Drop, Move, Park, Run, Verdict
from consumers.topology import pool_queues
from supervisor.core.records import Charge, JobState, PoolCard
from tests.support.clocks import WITHIN
from tests.support.offices import FIRST, SECOND, Office, a_claim, a_letter, a_result, an_office
from tests.support.sessions import QUEUES
from workers.messages import Settled

LARGE = PoolCard("large", pool_queues("large_queue"))
SMALL = PoolCard("download", QUEUES, max_crashes=1, roomier=LARGE)
THERE = ("large-1", 1)
KEY = (QUEUES.public, "j1")
TOO_BIG = "uses 812 MB, allowed are 768 MB"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async for office in an_office(tmp_path, SMALL, LARGE):
        yield office


async def outgrow(office: Office, *others: str) -> None:
    """Let a job, perhaps among others, need too much memory."""
    keys = [KEY, *((QUEUES.public, other) for other in others)]
    for _, job in keys:
        await office.clerk.claim(FIRST, a_claim(job))
    await office.clerk.blamed(FIRST[0], keys, TOO_BIG, Charge.MEMORY)


async def move(office: Office) -> Move:
    verdict = await office.clerk.claim(SECOND, a_claim(redelivered=True))
    assert isinstance(verdict, Move)
    return verdict


async def arrive(office: Office, *, seq: int = 1) -> Verdict:
    return await office.clerk.claim(THERE, a_claim(seq=seq))


async def test_the_copy_is_committed_for_the_other_pool_before_it_is_ordered(
    office: Office,
) -> None:
    await outgrow(office)

    assert await move(office) == Move("j1", "large", "large_queue.priority", 1, why=TOO_BIG)

    known = await office.ledger.known(*KEY)
    assert known is not None
    assert (known.moved_to, known.seq, known.confirmed) == ("large", 1, False)
    assert (await office.record()).pool == "large"


async def test_it_runs_alone_there_and_its_outcome_is_the_only_one(office: Office) -> None:
    await outgrow(office)
    await move(office)
    office.clerk.settlements.settled(SECOND, Settled(*KEY, seq=1))

    assert await arrive(office) == Run("j1", seq=1, alone=True)
    await office.clerk.completed(a_result())

    record = await office.record()
    assert (record.state, record.pool, record.queue) == (
        JobState.COMPLETED, "large", QUEUES.public,
    )  # fmt: skip
    assert [run.exit for run in record.history] == [TOO_BIG, ""]
    assert [run.worker for run in record.history] == ["download-1", "large-1"]
    again = await office.clerk.claim(SECOND, a_claim(redelivered=True))
    assert again == Drop("j1", "settled")
    assert len(await office.notices()) == 1


async def test_a_move_whose_copy_was_never_stored_is_made_again(office: Office) -> None:
    await outgrow(office)
    await move(office)

    verdict = await move(office)

    assert verdict.seq == 2
    assert await arrive(office, seq=2) == Run("j1", seq=2, alone=True)


@pytest.mark.invariant(4)
async def test_a_job_that_runs_in_its_new_pool_does_not_run_in_the_old_one(office: Office) -> None:
    await outgrow(office)
    await move(office)
    await arrive(office)

    meanwhile = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(redelivered=True)))
    await office.stays_waiting(meanwhile)
    await office.clerk.completed(a_result())

    assert isinstance(await asyncio.wait_for(meanwhile, WITHIN), Drop | Park)


async def test_too_large_for_the_roomier_pool_too_it_is_a_dead_letter_there(
    office: Office,
) -> None:
    await outgrow(office)
    await move(office)
    verdict: Verdict | None = None
    for seq in (1, 2, 3):
        await arrive(office, seq=seq)
        await office.clerk.blamed(THERE[0], [KEY], TOO_BIG, Charge.MEMORY)
        verdict = await arrive(office, seq=seq)

    assert isinstance(verdict, Condemn)
    assert verdict.failure.code == "out_of_memory"
    assert "3 times" in verdict.failure.message
    await office.clerk.buried(a_letter(failure=verdict.failure), THERE[0])
    record = await office.record()
    assert (record.state, record.memory_crashes, record.queue) == (
        JobState.FAILED, 3, QUEUES.public,
    )  # fmt: skip


async def test_those_who_only_shared_the_worker_stay(office: Office) -> None:
    await outgrow(office, "j2", "j3")

    for job in ("j1", "j2", "j3"):
        later = await office.clerk.claim(SECOND, a_claim(job, redelivered=True))
        assert not isinstance(later, Move | Condemn)
        alone = await office.clerk.claim(SECOND, a_claim(job, seq=1))
        assert alone == Run(job, seq=1, alone=True)


async def test_listeners_hear_where_a_job_went(office: Office) -> None:
    await outgrow(office)
    await move(office)

    event = office.bulletin.events[-1]
    assert (event.name, event.id, event.data) == (
        "waiting", "j1", {"pool": "large", "why": TOO_BIG},
    )  # fmt: skip
