"""How deliveries get the slots of one worker, and what happens to those that do not."""

import asyncio

import pytest

from consumers import jobs, refusals
from consumers.broker.port import Message
from consumers.desk import Drop
from tests.support.clocks import WITHIN, settle
from tests.support.sessions import QUEUES, a_message
from tests.unit.consumers.conftest import URGENT, MakeHouse

IDLE = 1  # AMQP priority


async def test_both_lanes_are_consumed_with_one_delivery_a_slot(build: MakeHouse) -> None:
    house = build(slots=3)

    session = await house.open()

    assert house.broker.prefetches() == {QUEUES.public: 3, QUEUES.priority: 3}
    assert session.declared == [QUEUES]


async def test_no_more_jobs_run_than_there_are_slots(build: MakeHouse) -> None:
    house = build(slots=2)
    await house.open()

    await house.put(*"abcdef")
    await house.put_urgent("x", "y", "z")
    assert house.work.started == ["a", "b"]
    await house.work.end("a", "b")

    assert house.work.most_at_once == 2


async def test_a_free_slot_takes_the_most_urgent_then_the_oldest(build: MakeHouse) -> None:
    house = build(slots=3)
    await house.open()
    await house.put("a", "b", "c")
    await house.put_urgent("idle", priority=IDLE)
    await house.put_urgent("first")
    await house.put_urgent("second")

    await house.work.end("a", "b", "c")
    async with asyncio.timeout(WITHIN):  # a normal job might have come before the idle one
        while len(house.work.started) < 6:
            await settle()

    assert house.work.started == ["a", "b", "c", "first", "second", "idle"]


async def test_a_delivery_that_waits_over_a_second_is_given_back(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")

    await house.clock.move(0.9)
    assert house.ready(QUEUES.priority) == []
    await house.clock.move(0.2)

    assert house.ready(QUEUES.priority) == ["b"]
    assert house.broker.prefetches() == {}
    assert house.work.started == ["a"]


async def test_a_delivery_that_came_later_is_not_given_back_too_late(build: MakeHouse) -> None:
    house = build(slots=2)
    await house.open()
    await house.put("a", "b")
    await house.put_urgent("c")
    await house.clock.move(0.6)
    await house.work.end("a")  # c has its slot
    await house.put_urgent("d")

    await house.clock.move(0.6)
    assert house.ready(QUEUES.priority) == []
    await house.clock.move(0.4)

    assert house.ready(QUEUES.priority) == ["d"]


async def test_lanes_are_opened_again_when_a_slot_is_free(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")
    await house.clock.move(1.1)

    await house.work.end("a")

    assert house.broker.prefetches() == {QUEUES.public: 1, QUEUES.priority: 1}
    assert house.work.started == ["a", "b"]


async def test_what_got_its_slot_in_time_is_not_given_back(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")

    await house.work.end("a")
    await house.clock.move(2.0)

    assert house.work.started == ["a", "b"]
    assert len(house.broker.prefetches()) == 2


async def test_an_urgent_foreign_job_is_moved_to_the_private_lane(build: MakeHouse) -> None:
    house = build()
    await house.open()

    await house.put("a", priority=URGENT)

    (copy,) = house.broker.published
    assert (copy.queue, copy.delay) == (QUEUES.priority, 0.0)
    assert house.work.started == []


async def test_a_foreign_job_with_a_delay_is_moved_with_it(build: MakeHouse) -> None:
    house = build()
    await house.open()

    await house.put("a", headers={jobs.DELAY: 2500})

    (copy,) = house.broker.published
    assert (copy.queue, copy.delay) == (QUEUES.priority, 2.5)
    assert jobs.DELAY not in copy.message.properties.headers


async def test_a_normal_job_in_the_private_lane_runs_where_it_is(build: MakeHouse) -> None:
    house = build()
    await house.open()

    await house.put("a", queue=QUEUES.priority)

    assert house.work.started == ["a"]


@pytest.mark.parametrize(
    ("message", "field_named"),
    [
        (a_message(b"[]"), "body: "),
        (a_message(b'{"link": "bad"}'), "link: must be a link"),
        (a_message(headers={jobs.PRIORITY: "urgent"}), "x-job-priority: "),
        (a_message(headers={jobs.DELAY: 10**13}), "x-delay: must be up to 4194303750 ms"),
    ],
    ids=["body", "processor's field", "priority", "delay"],
)
async def test_a_message_that_is_no_job_is_buried_and_takes_no_slot(
    build: MakeHouse, message: Message, field_named: str
) -> None:
    house = build()
    await house.open()

    house.broker.put(QUEUES.public, message)
    await house.put("a")

    (copy,) = house.broker.published
    assert copy.queue == QUEUES.dead
    assert str(copy.message.properties.headers[jobs.ERROR]).startswith(field_named)
    assert house.work.started == ["a"]


async def test_quick_jobs_get_twice_the_prefetch(build: MakeHouse) -> None:
    house = build(slots=2)
    house.work.is_instant, house.work.duration = True, 0.001
    await house.open()

    await house.put(*[f"j{number}" for number in range(25)])

    assert house.broker.prefetches() == {QUEUES.public: 4, QUEUES.priority: 4}
    assert len(house.work.started) == 25
    assert house.work.most_at_once <= 2


async def test_slow_jobs_keep_one_delivery_a_slot(build: MakeHouse) -> None:
    house = build(slots=2)
    house.work.is_instant, house.work.duration = True, 3.0
    await house.open()

    await house.put(*[f"j{number}" for number in range(25)])

    assert house.broker.prefetches() == {QUEUES.public: 2, QUEUES.priority: 2}


async def test_a_copy_the_broker_refuses_stops_the_consumer_until_it_is_stored(
    build: MakeHouse,
) -> None:
    house = build(slots=2)
    session = await house.open()
    house.broker.refusing = {QUEUES.dead}

    house.broker.put(QUEUES.public, a_message(b"[]"))
    await settle()
    await house.put("a")

    assert list(house.consumer.holds.reasons) == [refusals.HOLD]
    assert QUEUES.dead in house.consumer.holds.reasons[refusals.HOLD]
    assert (house.ready(), house.work.started) == (["a"], [])
    assert len(session.in_hand) == 1

    house.broker.refusing = set()
    await house.clock.move(refusals.PAUSE)

    assert house.work.started == ["a"]
    assert not house.consumer.holds


async def test_a_session_that_ends_takes_the_hold_of_its_refused_copy_with_it(
    build: MakeHouse,
) -> None:
    house = build()
    session = await house.open()
    house.broker.refusing = {QUEUES.dead}
    house.broker.put(QUEUES.public, a_message(b"[]"))
    await settle()

    session.end()
    house.consumer.lost()
    await settle()

    assert not house.consumer.holds


async def test_what_has_not_started_goes_back_while_a_copy_is_refused(build: MakeHouse) -> None:
    house = build(slots=1)
    await house.open()
    await house.put("a", "b")
    house.broker.refusing = {QUEUES.dead}

    await house.put("x", queue=QUEUES.priority, headers={"x-job-seq": "no number"})

    assert house.ready() == ["b"]
    assert house.broker.prefetches() == {}


# --- whether the line is alive -------------------------------------------------------------------


async def test_whether_the_broker_knows_the_session_is_said_when_it_answers(
    build: MakeHouse,
) -> None:
    house = build()
    assert not await house.consumer.is_known()
    session = await house.open()
    session.line.clear()
    asking = asyncio.ensure_future(house.consumer.is_known())
    await settle()
    assert not asking.done()

    session.line.set()

    assert await asking


async def test_a_session_that_ends_meanwhile_is_not_known(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    session.line.clear()
    asking = asyncio.ensure_future(house.consumer.is_known())
    await settle()

    session.end()

    assert not await asking


async def test_a_session_that_is_lost_is_named_before_anything_of_the_next_is_claimed(
    build: MakeHouse,
) -> None:
    house = build()
    session = await house.open()
    session.end()

    house.consumer.lost()
    assert house.desk.lost_sessions == [session.generation]
    following = await house.open()
    await house.put("a")

    assert [claim.session for claim in house.desk.claims] == [following.generation]
    assert following.generation > session.generation


async def test_a_worker_that_is_to_begin_so_many_jobs_begins_no_more(build: MakeHouse) -> None:
    house = build(slots=2, most=3)
    await house.open()

    await house.put(*"abcde")
    await house.work.end("a")
    await house.work.end("b", "c")

    assert house.work.started == ["a", "b", "c"]
    assert house.ready(QUEUES.public) == ["d", "e"]
    assert house.broker.prefetches() == {}


async def test_a_delivery_that_did_not_run_is_none_of_the_jobs_a_worker_was_to_begin(
    build: MakeHouse,
) -> None:
    house = build(most=1)
    house.desk.verdict = Drop("a", "settled")
    await house.open()
    await house.put("a")
    house.desk.verdict = None

    await house.put("b")

    assert house.work.started == ["b"]
