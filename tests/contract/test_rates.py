"""Where limits stand, in each kind of ledger: what is granted, kept, undone and shared."""

import asyncio
from functools import partial

import pytest

from supervisor.core.rates import MICROSECONDS, Pace
from supervisor.ledger import rates
from supervisor.ledger.rates import Permit, Taking
from supervisor.ledger.store import Ledger
from supervisor.ledger.values import stamp
from tests.support.clocks import FakeClock
from tests.support.ledgers import QUEUE

STEP = MICROSECONDS // 10
TEN_A_SECOND = Pace(STEP, burst=3)


async def take(ledger: Ledger, wanted: int = 1, pace: Pace = TEN_A_SECOND) -> Taking:
    now = ledger.clock.utcnow()
    return await ledger.write(partial(rates.take, queue=QUEUE, pace=pace, wanted=wanted, now=now))


async def undo(ledger: Ledger, permit: Permit) -> bool:
    return await ledger.write(partial(rates.undo, queue=QUEUE, permit=permit))


async def reserve(ledger: Ledger, key: str, pace: Pace = TEN_A_SECOND) -> float:
    """Return in how many seconds the slot is that a job of this key gets."""
    now = ledger.clock.utcnow()
    slot = await ledger.write(partial(rates.reserve, queue=QUEUE, key=key, pace=pace, now=now))
    return (slot.at - stamp(now)) / MICROSECONDS


async def test_a_burst_is_granted_and_then_one_a_step(ledger: Ledger, clock: FakeClock) -> None:
    first = await take(ledger, 5)
    early = await take(ledger)
    clock.advance(0.1)
    late = await take(ledger, 5)

    assert [len(taking.permits) for taking in (first, early, late)] == [3, 0, 1]
    assert [taking.wait for taking in (first, early, late)] == pytest.approx([0.1, 0.1, 0.1])


async def test_what_is_granted_is_remembered_over_a_restart(ledger_url: str) -> None:
    clock = FakeClock()
    before = await Ledger.open(ledger_url, clock=clock)
    await take(before, 3)
    await before.close()
    after = await Ledger.open(ledger_url, clock=clock)

    taking = await take(after, 3)
    await after.close()

    assert taking.permits == ()


async def test_a_permit_that_was_not_used_counts_for_nothing(ledger: Ledger) -> None:
    taking = await take(ledger, 3)

    undone = [await undo(ledger, permit) for permit in reversed(taking.permits)]

    assert undone == [True, True, True]
    assert len((await take(ledger, 5)).permits) == 3


async def test_a_permit_cannot_be_undone_once_others_were_granted(ledger: Ledger) -> None:
    first = await take(ledger)
    await take(ledger)

    assert not await undo(ledger, first.permits[0])
    assert len((await take(ledger, 5)).permits) == 1


async def test_a_clock_that_was_set_back_does_not_stop_a_pool(
    ledger: Ledger, clock: FakeClock
) -> None:
    clock.advance(86_400)
    await take(ledger, 3)
    clock.advance(-86_400)

    taking = await take(ledger)
    clock.advance(taking.wait)

    assert taking.wait <= 0.1
    assert len((await take(ledger)).permits) == 1


async def test_jobs_of_a_key_get_slots_of_their_own_in_the_order_they_came(ledger: Ledger) -> None:
    found = [await reserve(ledger, "ana") for _ in range(5)]

    assert found == pytest.approx([0, 0, 0, 0.1, 0.2])
    assert await reserve(ledger, "bob") == 0


async def test_who_has_rested_is_forgotten(ledger: Ledger, clock: FakeClock) -> None:
    await reserve(ledger, "ana")
    await reserve(ledger, "bob", Pace(MICROSECONDS * 60))
    clock.advance(1.0)

    assert await ledger.write(partial(rates.sweep, now=clock.utcnow())) == 1
    assert await reserve(ledger, "ana") == 0
    assert await reserve(ledger, "bob", Pace(MICROSECONDS * 60)) == pytest.approx(59)


@pytest.mark.postgres
async def test_machines_that_share_a_ledger_share_the_rate(
    postgres_url: str, clock: FakeClock
) -> None:
    machines = [await Ledger.open(postgres_url, clock=clock, node=f"node-{n}") for n in range(3)]

    taken = await asyncio.gather(*(take(machine) for machine in machines * 10))
    slots = await asyncio.gather(*(reserve(machine, "ana") for machine in machines * 10))
    for machine in machines:
        await machine.close()

    assert sum(len(each.permits) for each in taken) == TEN_A_SECOND.burst
    assert sorted(slots) == pytest.approx([0, 0, *(n / 10 for n in range(28))])
