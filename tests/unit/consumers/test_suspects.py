"""Suspects in a worker with many slots: alone, one after the other, and nothing hoarded."""

import pytest

from consumers import jobs
from consumers.desk import Claim, Move, Run, Verdict
from consumers.holds import ALONE
from tests.support.sessions import QUEUES
from tests.unit.consumers.conftest import House, MakeHouse

LANE = "large_queue.priority"


def suspect(house: House, *ids: str) -> None:
    """Have the desk take jobs of these ids for suspects."""

    async def judge(claim: Claim) -> Verdict:
        job_id = claim.job_id or ""
        return Run(job_id, alone=job_id in ids)

    house.desk.claim = judge  # type: ignore[method-assign]  # the desk of this test alone


async def test_a_suspect_begins_when_the_others_have_ended_and_is_started_not_before(
    build: MakeHouse,
) -> None:
    house = build(slots=15)
    suspect(house, "x")
    await house.open()
    await house.put("a", "b", "x")
    assert house.work.started == ["a", "b"]
    assert house.desk.diary.count("started") == 2

    await house.work.end("a", "b")

    assert house.work.started == ["a", "b", "x"]
    assert list(house.work.running) == ["x"]


async def test_while_a_suspect_waits_or_runs_nothing_new_is_taken(build: MakeHouse) -> None:
    house = build(slots=15)
    suspect(house, "x")
    await house.open()
    await house.put("a", "x")
    await house.put("b", "c")
    assert house.ready() == ["b", "c"]
    assert house.consumer.holds.reasons == {"suspect": ALONE}

    await house.work.end("a")
    assert house.ready() == ["b", "c"]
    await house.work.end("x")

    assert house.work.started == ["a", "x", "b", "c"]
    assert house.consumer.holds.reasons == {}
    assert house.broker.prefetches() == {QUEUES.public: 15, QUEUES.priority: 15}


async def test_suspects_that_come_together_run_one_after_the_other(build: MakeHouse) -> None:
    house = build(slots=15)
    suspect(house, "x", "y", "z")
    await house.open()
    await house.put("x", "y", "z")

    for name in ("x", "y", "z"):
        assert list(house.work.running) == [name]
        assert house.desk.diary.count("started") == len(house.work.started)
        await house.work.end(name)

    assert house.work.most_at_once == 1


async def test_with_one_slot_a_suspect_costs_no_change_of_lanes(build: MakeHouse) -> None:
    house = build(slots=1)
    suspect(house, "x")
    await house.open()
    before = house.broker.diary.count(f"consumes {QUEUES.public}")

    await house.put("x")
    await house.work.end("x")

    assert house.consumer.holds.reasons == {}
    assert house.broker.diary.count(f"consumes {QUEUES.public}") == before


@pytest.mark.invariant(2)
async def test_a_moved_job_is_stored_for_the_other_pool_before_it_is_acked(
    build: MakeHouse,
) -> None:
    house = build()
    house.desk.verdict = Move("j1", "large", LANE, seq=4, attempts=1, why="too big")
    await house.open()

    await house.put("j1")

    assert house.work.started == []
    assert house.desk.diary[-3:] == [f"published to {LANE}", "acked", "settled"]
    (copy,) = house.broker.published
    own = {jobs.JOB_ID: "j1", jobs.SEQ: 4, jobs.ATTEMPTS: 1, jobs.HOME: QUEUES.public}
    assert copy.message.properties.headers == own


async def test_a_moved_job_is_known_by_the_queue_it_was_published_to(build: MakeHouse) -> None:
    house = build()
    await house.open()

    await house.put("j1", queue=QUEUES.priority, headers={jobs.HOME: "small_queue", jobs.SEQ: 4})

    (claim,) = house.desk.claims
    assert (claim.queue, claim.job_id, claim.seq) == ("small_queue", "j1", 4)
    plain = jobs.fingerprint("small_queue", claim.body, claim.properties)
    assert claim.fingerprint == plain
