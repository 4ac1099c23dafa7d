"""Deliveries of queues that count returns: who is replaced by a copy, and what that carries."""

import pytest

from consumers import jobs
from consumers.broker.port import Delivery, Message
from consumers.jobs import Properties
from consumers.returns import TIRED, Returns
from consumers.topology import pool_queues
from tests.support.sessions import QUEUES, a_message
from tests.unit.consumers.conftest import MakeHouse


def delivered(
    *,
    queue: str = QUEUES.public,
    count: int | None = None,
    redelivered: bool = False,
    message_id: str | None = None,
) -> Delivery:
    headers = {} if count is None else {jobs.DELIVERY_COUNT: count}
    message = a_message(headers=headers, message_id=message_id)
    return Delivery(queue, message, redelivered, tag=1, generation=1)


@pytest.fixture
def returns() -> Returns:
    return Returns(QUEUES)


def test_only_what_came_back_often_to_the_public_queue_is_tired(returns: Returns) -> None:
    assert returns.is_tired(delivered(count=TIRED))
    assert not returns.is_tired(delivered(count=TIRED - 1))
    assert not returns.is_tired(delivered())
    assert not returns.is_tired(delivered(queue=QUEUES.priority, count=TIRED))


def test_a_queue_is_known_to_count_by_what_it_delivered_before(returns: Returns) -> None:
    assert not returns.would_wear(delivered())

    returns.notice(delivered(count=1, redelivered=True))
    returns.notice(delivered())  # 4.0 says nothing of the first delivery

    assert returns.would_wear(delivered())
    assert not returns.would_wear(delivered(queue=QUEUES.priority))


def test_a_redelivery_without_a_count_is_of_a_queue_that_does_not_count(returns: Returns) -> None:
    returns.notice(delivered(count=0))
    returns.notice(delivered(redelivered=True))

    assert not returns.would_wear(delivered())


def test_a_message_without_an_id_keeps_its_looks_and_that_it_was_delivered_before(
    returns: Returns,
) -> None:
    first = delivered()
    again = delivered(count=3, redelivered=True)

    copy = returns.copy(again)

    looks = jobs.fingerprint(QUEUES.public, first.message.body, first.message.properties)
    in_the_lane = Message(copy.body, Properties(priority=3, headers=copy.properties.headers))
    assert jobs.fingerprint(QUEUES.public, in_the_lane.body, in_the_lane.properties) == looks
    assert copy.properties.headers == {jobs.FINGERPRINT: looks, jobs.REDELIVERED: True}


def test_a_message_that_nobody_ever_had_is_not_called_redelivered(returns: Returns) -> None:
    assert jobs.REDELIVERED not in returns.copy(delivered(count=0)).properties.headers


def test_a_message_with_an_id_needs_no_more_than_that(returns: Returns) -> None:
    copy = returns.copy(delivered(count=3, redelivered=True, message_id="7"))

    assert copy.properties == Properties(message_id="7")


def test_a_known_job_keeps_its_id(returns: Returns) -> None:
    copy = returns.copy(delivered(count=3), job_id="new-1")

    assert copy.properties.headers == {jobs.JOB_ID: "new-1"}


@pytest.mark.parametrize("count", [0, 1, 19])
def test_a_count_of_the_broker_changes_no_fingerprint(count: int) -> None:
    plain, counted = delivered().message, delivered(count=count).message

    assert jobs.fingerprint("q", counted.body, counted.properties) == jobs.fingerprint(
        "q", plain.body, plain.properties
    )


async def test_a_tired_delivery_is_replaced_before_it_is_claimed(build: MakeHouse) -> None:
    house = build()
    await house.open()

    await house.put("a", headers={jobs.DELIVERY_COUNT: TIRED})

    assert [one.queue for one in house.broker.published] == [QUEUES.priority]
    assert house.broker.published[0].message.properties.headers == {}
    assert "acked" in house.broker.diary
    assert house.desk.claims == []


@pytest.mark.parametrize(("headers", "copies"), [({}, []), ({jobs.DELIVERY_COUNT: 0}, ["b"])])
async def test_a_delivery_without_a_slot_goes_back_as_a_copy_where_returns_are_counted(
    build: MakeHouse, headers: dict[str, object], copies: list[str]
) -> None:
    house = build()
    session = await house.open()
    await house.put("a", queue=QUEUES.priority)
    await house.put("b", headers=headers)

    await house.clock.move(1.0)

    assert [one.message.properties.message_id for one in house.broker.published] == copies
    assert house.ready() == ([] if copies else ["b"])
    assert len(session.in_hand) == 1


async def test_a_lane_that_takes_no_copy_is_no_reason_to_keep_a_delivery(build: MakeHouse) -> None:
    house = build()
    await house.open()
    house.broker.refusing = {QUEUES.priority}
    await house.put("a", queue=QUEUES.priority)
    await house.put("b", headers={jobs.DELIVERY_COUNT: 0})

    await house.clock.move(1.0)

    assert house.ready() == ["b"]
    assert not house.consumer.holds


def test_the_dead_letters_of_another_pool_do_not_count() -> None:
    assert not Returns(pool_queues("other")).would_wear(delivered(count=3))
