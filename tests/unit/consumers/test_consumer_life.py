"""A consumer is paused, drained, abandoned, and outlives its sessions."""

import asyncio

import pytest

from consumers.errors import BrokerError
from tests.support.clocks import WITHIN, settle
from tests.support.sessions import QUEUES, a_message
from tests.unit.consumers.conftest import MakeHouse


async def test_a_pause_gives_back_what_has_not_started_and_lets_the_rest_run(
    build: MakeHouse,
) -> None:
    house = build()
    await house.open()
    await house.put("a")
    await house.put_urgent("b")

    await house.consumer.hold("operator", "paused")
    await house.work.end("a")

    assert house.ready(QUEUES.priority) == ["b"]
    assert house.broker.prefetches() == {}
    assert house.work.started == ["a"]


async def test_nothing_is_consumed_while_paused_not_even_on_a_new_session(
    build: MakeHouse,
) -> None:
    house = build()
    session = await house.open()
    await house.consumer.hold("operator", "paused")
    session.end()
    house.consumer.lost()

    await house.open()
    assert house.broker.prefetches() == {}
    await house.consumer.release("operator")

    assert len(house.broker.prefetches()) == 2


async def test_a_drain_returns_when_what_runs_is_settled(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("a")
    drain = asyncio.ensure_future(house.consumer.drain())
    await settle()
    assert not drain.done()

    await house.work.end("a")

    await asyncio.wait_for(drain, WITHIN)
    assert house.broker.diary[-2:] == ["acked", "settled"]


async def test_a_drain_without_a_session_ends(build: MakeHouse) -> None:
    house = build()

    await asyncio.wait_for(house.consumer.drain(), WITHIN)


async def test_abandoned_work_is_stopped_and_not_acked(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    await house.put("a")

    await house.consumer.abandon()
    session.end()

    assert house.work.running == {}
    assert house.ready() == ["a"]
    assert "acked" not in house.broker.diary


async def test_what_ends_in_the_last_moment_is_settled(build: MakeHouse) -> None:
    house = build(slots=2)
    await house.open()
    await house.put("quick", "long")
    leaving = asyncio.ensure_future(house.consumer.abandon(after=WITHIN))
    await settle()

    await house.work.end("quick")
    assert house.broker.diary[-2:] == ["acked", "settled"]
    assert not leaving.done()
    await house.work.end("long")
    await asyncio.wait_for(leaving, WITHIN)

    assert house.broker.diary.count("acked") == 2


async def test_what_does_not_end_in_the_last_moment_is_stopped(build: MakeHouse) -> None:
    house = build()
    await house.open()
    await house.put("long")

    await asyncio.wait_for(house.consumer.abandon(after=0.01), WITHIN)

    assert house.work.running == {}
    assert "acked" not in house.broker.diary


async def test_work_can_be_abandoned_in_the_moment_it_comes(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    house.broker.put(QUEUES.public, a_message())
    await asyncio.sleep(0)  # delivered, its task not begun

    await house.consumer.abandon()

    assert len(session.in_hand) == 1
    assert house.work.started == []


async def test_a_running_job_survives_the_end_of_its_session(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    await house.put("a")

    session.end()
    house.consumer.lost()
    assert "a" in house.work.running
    await house.work.end("a")

    assert house.broker.diary[-2:] == ["noted completed", "unsettled"]
    assert house.ready() == ["a"]  # its ack had no session any more


async def test_a_job_that_survived_its_session_keeps_its_slot_in_the_next(
    build: MakeHouse,
) -> None:
    house = build()
    session = await house.open()
    await house.put("a")
    await house.put_urgent("held")
    session.end()
    house.consumer.lost()

    await house.open()
    assert house.work.started == ["a"]
    await house.work.end("a")

    assert house.work.started == ["a", "held"]


async def test_a_straggler_of_an_ended_session_is_left_to_the_next(build: MakeHouse) -> None:
    house = build()
    session = await house.open()
    receive = next(iter(house.broker.consumers.values())).receive
    straggler = session.hand(a_message(message_id="late")).delivery
    session.end()
    house.consumer.lost()

    receive(straggler)
    await settle()

    assert house.desk.claims == []


async def test_is_consuming_follows_the_session_and_not_the_lanes(build: MakeHouse) -> None:
    house = build()
    assert not house.consumer.is_consuming
    await house.open()
    await house.put("a")
    await house.put_urgent("b")
    await house.clock.move(1.1)
    assert house.consumer.is_consuming

    house.consumer.lost()

    assert not house.consumer.is_consuming


async def test_a_session_that_cannot_be_declared_on_is_no_session(build: MakeHouse) -> None:
    house = build()
    session = await house.broker.connect()
    session.trouble = BrokerError("PRECONDITION_FAILED")

    with pytest.raises(BrokerError, match="PRECONDITION_FAILED"):
        await house.consumer.open(session)

    assert not house.consumer.is_consuming
