"""Permits of a pool with a rate: who gets them, in which order, and what becomes of unused ones."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from consumers.limits import Limits, Rate
from supervisor.turnstile import Turnstiles
from tests.support.clocks import WITHIN, settle
from tests.support.offices import CARD, FIRST, SECOND, Office, an_office
from workers.messages import Permitted

LIMITED = replace(CARD, limits=Limits(Rate(1, 1.0), burst=2))
STRANGER = ("cutter-1", 1)


@dataclass
class Booth:
    """The turnstiles of one pool, and what was said to its workers."""

    office: Office
    turnstiles: Turnstiles = field(init=False)
    told: list[tuple[tuple[str, int], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.turnstiles = Turnstiles(self.office.ledger, [LIMITED], self._send, self.office.clock)

    def _send(self, holder: tuple[str, int], message: Permitted) -> None:
        self.told.append((holder, message.call))

    async def until_told(self, count: int) -> None:
        async with asyncio.timeout(WITHIN):
            while len(self.told) < count:
                await self.quiet()

    async def quiet(self) -> None:
        """Wait until everything handed in so far is written and answered."""
        for _ in range(3):
            await self.office.written()
            await settle()

    async def pass_time(self, seconds: float) -> None:
        await self.quiet()
        self.office.clock.advance(seconds)
        await self.quiet()


@pytest.fixture
async def booth(tmp_path: Path) -> AsyncIterator[Booth]:
    async for office in an_office(tmp_path, LIMITED):
        opened = Booth(office)
        yield opened
        await opened.turnstiles.close()


async def test_whoever_asked_first_is_served_first_over_all_workers(booth: Booth) -> None:
    booth.turnstiles.ask(FIRST, 1)
    booth.turnstiles.ask(SECOND, 7)
    booth.turnstiles.ask(FIRST, 2)
    booth.turnstiles.ask(SECOND, 8)
    await booth.until_told(2)
    assert booth.told == [(FIRST, 1), (SECOND, 7)]

    await booth.pass_time(1.0)
    await booth.until_told(3)
    assert booth.turnstiles.is_waiting("download")
    await booth.pass_time(1.0)
    await booth.until_told(4)

    assert booth.told[2:] == [(FIRST, 2), (SECOND, 8)]
    await booth.quiet()
    assert not booth.turnstiles.is_waiting("download")


async def test_the_time_that_a_commit_takes_is_not_waited_for_once_more(booth: Booth) -> None:
    booth.office.ledger.gate = asyncio.Event()
    for call in (1, 2, 3):
        booth.turnstiles.ask(FIRST, call)
    await settle()
    booth.office.clock.advance(0.4)
    booth.office.ledger.gate.set()
    await booth.until_told(2)

    await booth.pass_time(0.6)  # one a second, from the moment at which it was asked

    await booth.until_told(3)


@pytest.mark.parametrize("lost", [3.0, 86_400.0])
async def test_a_clock_that_is_put_back_holds_a_pool_up_for_no_longer_than_its_rate(
    booth: Booth, lost: float
) -> None:
    for call in (1, 2, 3):
        booth.turnstiles.ask(FIRST, call)
    await booth.until_told(2)
    booth.office.clock.leap -= lost

    await booth.pass_time(1.0)
    await booth.pass_time(1.0)
    assert len(booth.told) == 3

    booth.turnstiles.ask(SECOND, 7)  # and from then on it goes as ever
    await booth.pass_time(0.0)
    assert len(booth.told) == 3
    await booth.pass_time(1.0)
    assert len(booth.told) == 4


async def test_a_worker_that_died_is_not_waited_for_and_costs_nothing(booth: Booth) -> None:
    for call in range(3):
        booth.turnstiles.ask(FIRST, call)
    booth.turnstiles.ask(SECOND, 7)
    await booth.until_told(2)

    booth.turnstiles.gone(FIRST)
    await booth.pass_time(1.0)
    await booth.until_told(3)

    assert booth.told[2] == (SECOND, 7)


async def test_who_wants_no_permit_any_more_gets_none(booth: Booth) -> None:
    for call in range(3):
        booth.turnstiles.ask(FIRST, call)
    await booth.until_told(2)

    booth.turnstiles.withdraw(FIRST, 2)
    await booth.pass_time(5.0)

    assert len(booth.told) == 2


async def test_a_permit_that_comes_back_goes_to_who_waits_at_once(booth: Booth) -> None:
    for call in range(2):
        booth.turnstiles.ask(FIRST, call)
    booth.turnstiles.ask(SECOND, 7)
    await booth.until_told(2)
    await booth.quiet()

    booth.turnstiles.withdraw(FIRST, 1)
    await booth.until_told(3)

    assert booth.told[2] == (SECOND, 7)


async def test_a_ledger_in_trouble_is_asked_again(booth: Booth) -> None:
    booth.office.ledger.refusals = 1

    booth.turnstiles.ask(FIRST, 1)
    await booth.pass_time(1.0)
    await booth.until_told(1)

    assert booth.told == [(FIRST, 1)]


async def test_a_pool_without_a_rate_has_no_turnstile(booth: Booth) -> None:
    booth.turnstiles.ask(STRANGER, 1)
    booth.turnstiles.withdraw(STRANGER, 1)
    booth.turnstiles.gone(STRANGER)
    await booth.pass_time(5.0)

    assert booth.told == []
    assert not booth.turnstiles.is_waiting("cutter")
