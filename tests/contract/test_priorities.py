"""Priorities over each broker: strict between levels, first in first out within one."""

import asyncio
import random

import pytest

from consumers import jobs
from consumers.broker.port import Broker, Session
from consumers.consumer import Lanes
from consumers.jobs import Priority
from tests.contract.test_consuming import POOL, Stage

MANY = 100
SAYINGS = ("header word", "header number", "property")


def said(level: Priority, how: str) -> dict[str, object]:
    """Return the properties by which a publisher says how urgent a job is."""
    match how:
        case "header word":
            return {"headers": {jobs.PRIORITY: level.word}}
        case "header number":
            return {"headers": {jobs.PRIORITY: int(level)}}
        case _:
            return {"priority": level.amqp}


async def work_off(stage: Stage, count: int) -> list[object]:
    """Run a worker until it has run so many jobs; return what they were called, in order."""
    task = asyncio.create_task(stage.sessions.run())
    try:
        await stage.until(lambda: len(stage.ran) >= count)
        await stage.until(lambda: stage.desk.diary.count("settled") >= count)
    finally:
        await stage.consumer.abandon()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return [job.data["n"] for job in stage.ran]


async def test_jobs_run_strictly_by_level_and_in_order_within_one(
    broker: Broker, session: Session
) -> None:
    await session.declare(POOL)
    stage, dice = Stage(broker, session), random.Random(7)  # noqa: S311 - no secret
    levels = [dice.choice(list(Priority)) for _ in range(MANY)]
    for number, level in enumerate(levels):
        await stage.publish(POOL.priority, {"n": number}, **said(level, SAYINGS[number % 3]))

    ran = await work_off(stage, MANY)

    assert ran == sorted(range(MANY), key=lambda number: (levels[number], number))


async def test_levels_are_strict_across_the_two_lanes_of_a_pool(
    broker: Broker, session: Session
) -> None:
    """As jobs of the API travel: the normal ones by the public queue, all others by the lane."""
    await session.declare(POOL)
    stage, dice = Stage(broker, session), random.Random(8)  # noqa: S311 - no secret
    levels = [dice.choice(list(Priority)) for _ in range(MANY // 2)]
    for number, level in enumerate(levels):
        lane = POOL.public if level is Priority.NORMAL else POOL.priority
        await stage.publish(lane, {"n": number}, **said(level, "property"))

    ran = await work_off(stage, len(levels))

    assert ran == sorted(range(len(levels)), key=lambda number: (levels[number], number))


async def test_urgent_jobs_in_the_public_queue_overtake_those_that_were_not_delivered_yet(
    broker: Broker, session: Session
) -> None:
    """A job there is met in the order of that queue, and moved: so far the order is its."""
    await session.declare(POOL)
    stage = Stage(broker, session)
    await stage.publish(POOL.public, *({"n": number} for number in range(5)))
    await stage.publish(POOL.public, {"n": "high"}, priority=4)

    ran = await work_off(stage, 6)

    assert [n for n in ran if n != "high"] == [0, 1, 2, 3, 4]
    assert "high" in ran


@pytest.mark.parametrize("how", ["property", "header"])
async def test_a_pool_may_count_in_its_own_way(broker: Broker, session: Session, how: str) -> None:
    await session.declare(POOL)
    stage = Stage(broker, session)
    scale = {10: Priority.CRITICAL, 5: Priority.HIGH, 0: Priority.NORMAL}
    lanes = stage.consumer._lanes
    stage.consumer._lanes = Lanes(
        lanes.queues, lanes.slots, lanes.body_limit, lanes.check, scale=scale
    )
    for number in (0, 5, 10):
        properties: dict[str, object] = {"priority": number}
        if how == "header":
            properties = {"headers": {jobs.PRIORITY: number}}
        await stage.publish(POOL.public, {"n": number}, **properties)

    ran = await work_off(stage, 3)

    assert set(ran) == {0, 5, 10}
    levels = {job.data["n"]: job.priority for job in stage.ran}
    assert levels == {0: Priority.NORMAL, 5: Priority.HIGH, 10: Priority.CRITICAL}
