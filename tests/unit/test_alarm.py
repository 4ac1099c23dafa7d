"""One timer for many moments."""

import asyncio
from datetime import timedelta

from supervisor.ledger.alarm import Alarm
from tests.support.clocks import START, FakeClock


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_rings_at_the_earliest_moment_it_was_set_to_and_once() -> None:
    clock, rung = FakeClock(), []
    alarm = Alarm(clock, lambda: rung.append(clock.monotonic()))
    for seconds in (60, 20, 40):
        alarm.set(START + timedelta(seconds=seconds))
        await settle()

    for _ in range(6):
        clock.advance(10)
        await settle()

    assert rung == [20]
    await alarm.close()


async def test_it_can_be_set_again_after_it_rang() -> None:
    clock, rung = FakeClock(), []
    alarm = Alarm(clock, lambda: rung.append(clock.monotonic()))
    for _ in range(2):
        alarm.set(clock.utcnow() + timedelta(seconds=5))
        await settle()
        clock.advance(5)
        await settle()

    assert rung == [5, 10]
    await alarm.close()


async def test_a_moment_that_has_passed_rings_at_once() -> None:
    clock, rung = FakeClock(), []
    alarm = Alarm(clock, lambda: rung.append(clock.monotonic()))

    alarm.set(START - timedelta(seconds=5))
    await settle()

    assert rung == [0]


async def test_a_closed_alarm_does_not_ring() -> None:
    clock, rung = FakeClock(), []
    alarm = Alarm(clock, lambda: rung.append(clock.monotonic()))
    alarm.set(START + timedelta(seconds=5))
    await settle()

    await alarm.close()
    clock.advance(5)
    await settle()

    assert rung == []
