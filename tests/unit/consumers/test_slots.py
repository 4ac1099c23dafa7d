"""What keeps the slots of a worker busy: freed with the run, filled from what is at hand."""

import pytest

from consumers.pace import QUICK, SAMPLES, TURN, Pace
from tests.support.clocks import settle
from tests.support.sessions import QUEUES
from tests.unit.consumers.conftest import House, MakeHouse


async def quick_house(build: MakeHouse, *, slots: int, duration: float) -> House:
    """A house that has learned how long its jobs take."""
    house = build(slots=slots)
    house.work.duration, house.work.is_instant = duration, True
    await house.open()
    await house.put(*(f"before-{n}" for n in range(SAMPLES + 2)))
    house.work.is_instant = False
    house.work.started.clear()
    return house


async def test_a_slot_is_free_when_its_run_is_over_though_nothing_is_written_yet(
    build: MakeHouse,
) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")
    house.desk.open.clear()

    await house.work.end("a")

    assert [claim.job_id for claim in house.desk.claims] == ["a", "b"]
    assert "noted completed" not in house.desk.diary


async def test_quick_jobs_are_claimed_ahead_and_run_no_more_at_once(build: MakeHouse) -> None:
    house = await quick_house(build, slots=2, duration=TURN)
    house.work.most_at_once = 0

    await house.put("a", "b", "c", "d", "e")
    claimed = len(house.desk.claims) - (SAMPLES + 2)
    assert house.work.started == ["a", "b"]
    await house.work.end("a", "b")

    assert claimed == 4
    assert house.work.started == ["a", "b", "c", "d"]
    assert house.work.most_at_once == 2


async def test_a_job_that_takes_its_time_is_not_claimed_before_there_is_a_slot(
    build: MakeHouse,
) -> None:
    house = await quick_house(build, slots=2, duration=1.0)

    await house.put("a", "b")
    await house.put_urgent("c")
    await settle()

    assert len(house.desk.claims) == SAMPLES + 2 + 2


@pytest.mark.parametrize(
    ("average", "prefetch", "ahead"),
    [(0.01, 30, 15), (0.1, 30, 3), (QUICK, 30, 1), (1.0, 18, 0), (5.0, 15, 0), (60.0, 15, 0)],
)
def test_what_is_at_hand_follows_from_how_long_jobs_take(
    average: float, prefetch: int, ahead: int
) -> None:
    pace = Pace(slots=15)

    for _ in range(SAMPLES):
        pace.took(average)

    assert (pace.prefetch, pace.ahead) == (prefetch, ahead)


def test_the_prefetch_stays_as_it_is_for_a_small_difference() -> None:
    pace = Pace(slots=15)
    for _ in range(SAMPLES):
        pace.took(1.0)
    pace.granted = 17

    assert pace.prefetch == 17


async def test_both_lanes_have_room_for_what_begins_soon(build: MakeHouse) -> None:
    house = await quick_house(build, slots=4, duration=QUICK / 2)

    await house.put("a")
    await house.work.end("a")

    assert house.broker.prefetches() == {QUEUES.public: 8, QUEUES.priority: 8}
