"""What keeps the slots of a worker busy: freed with the run, filled from what is at hand."""

import asyncio

import pytest

from consumers.broker.port import Message
from consumers.executor import HOLD
from consumers.jobs import Properties
from consumers.pace import QUICK, SAMPLES, TURN, Pace
from consumers.stay import SHARE
from tests.support.clocks import WITHIN, settle
from tests.support.sessions import QUEUES
from tests.unit.consumers.conftest import House, MakeHouse


async def quick_house(build: MakeHouse, *, slots: int, duration: float) -> House:
    """A house that has learned how long its jobs take."""
    house = build(slots=slots)
    house.work.duration, house.work.is_instant = duration, True
    await house.open()
    for number in range(SAMPLES + 2):
        await house.put(f"before-{number}")
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


async def test_of_jobs_without_an_id_few_leave_their_slot_before_they_are_acked(
    build: MakeHouse,
) -> None:
    house = await quick_house(build, slots=SHARE, duration=QUICK / 2)
    house.broker.sessions[-1].line.clear()  # no ack leaves
    for _ in range(2 * SHARE):
        house.broker.put(QUEUES.public, Message(b"{}", Properties()))
    await settle()
    begun = set(house.work.started)

    await house.work.end(*begun)
    before = len(house.work.started)
    house.broker.sessions[-1].line.set()
    await settle()

    assert (len(begun), before) == (SHARE, SHARE + 1)
    assert len(house.work.started) == 2 * SHARE


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


async def test_a_job_claimed_ahead_is_given_back_when_the_one_before_it_takes_long(
    build: MakeHouse,
) -> None:
    house = await quick_house(build, slots=1, duration=TURN)
    await house.put("long", "ahead")
    assert house.desk.claims[-1].job_id == "ahead"

    await house.clock.move(HOLD)

    assert "noted interrupted" in house.desk.diary
    assert house.desk.failures[-1].message == ""  # no fault of the machine
    claims = len(house.desk.claims)
    await house.clock.move(HOLD)  # whoever gets it next, it is not claimed here again
    await house.clock.move(HOLD)
    assert len(house.desk.claims) == claims
    assert house.ready() == ["ahead"]
    assert house.work.started == ["long"]


async def test_a_job_claimed_ahead_does_not_begin_in_a_worker_that_is_held(
    build: MakeHouse,
) -> None:
    house = await quick_house(build, slots=1, duration=TURN)
    await house.put("running", "ahead")

    await house.consumer.hold("pause", "paused")
    await settle()
    await house.work.end("running")

    assert house.work.started == ["running"]
    assert house.ready() == ["ahead"]


@pytest.mark.invariant(4)
async def test_a_message_without_an_id_keeps_an_only_slot_until_it_is_acked(
    build: MakeHouse,
) -> None:
    house = await quick_house(build, slots=1, duration=TURN)
    for _ in range(2):
        house.broker.put(QUEUES.public, Message(b"{}", Properties()))
    await settle()
    house.desk.open.clear()
    claims = len(house.desk.claims)

    await house.work.end(*house.work.running)
    assert len(house.desk.claims) == claims  # nor is one claimed ahead
    house.desk.open.set()
    await settle()

    assert len(house.desk.claims) == claims + 1


async def test_a_job_that_ends_while_another_is_given_back_does_not_leave_its_worker_idle(
    build: MakeHouse,
) -> None:
    house = build(slots=1)
    await house.open()
    await house.put_urgent("urgent")
    await house.put("normal")  # waits for what may come by the other lane
    await settle()

    house.clock.advance(HOLD)
    await house.work.end("urgent")  # in the moment in which it is given back

    async with asyncio.timeout(WITHIN):
        while house.work.started != ["urgent", "normal"]:  # noqa: ASYNC110 - NEXT is the loop's time
            await asyncio.sleep(0.01)


async def test_nobody_waits_for_what_follows_a_job_that_is_not_settled_for_long(
    build: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(slots=1)
    await house.open()
    await house.put_urgent("urgent")
    house.desk.open.clear()

    await house.work.end("urgent")
    monkeypatch.setattr(house.desk, "open", asyncio.Event())
    house.desk.open.set()  # for those who come now; what became of the first is not noted
    await house.put("normal")

    async with asyncio.timeout(WITHIN):
        while house.work.started != ["urgent", "normal"]:  # noqa: ASYNC110 - the loop's own time
            await asyncio.sleep(0.01)
