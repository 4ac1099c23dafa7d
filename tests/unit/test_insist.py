"""What must not get lost is written until it is written, and said to be refused once."""

import asyncio
from dataclasses import dataclass, field

import pytest

from supervisor.core.troubles import Fault, Trouble
from supervisor.ledger.errors import PATIENCE, LedgerClosedError, LedgerError, UnwritableError
from supervisor.ledger.insist import insist
from tests.support.clocks import WITHIN, FakeClock

BUSY = LedgerError("ledger.db: locked", Trouble(Fault.BUSY, "ledger.db: locked"))
MISTAKE = LedgerError("ledger.db: no such table")


@dataclass
class Store:
    """Something to write into that fails as it is told."""

    errors: list[LedgerError] = field(default_factory=list)
    tries: int = 0
    is_wanted: bool = True

    async def write(self) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)

    async def insisted(self, clock: FakeClock) -> bool:
        """Insist, and let as much time pass as that takes."""
        insisting = asyncio.ensure_future(
            insist(self.write, worthwhile=lambda: self.is_wanted, clock=clock)
        )
        async with asyncio.timeout(WITHIN):
            while not insisting.done():
                await clock.move(PATIENCE)
        return insisting.result()


async def test_it_is_written_as_soon_as_it_can_be() -> None:
    store, clock = Store([BUSY, MISTAKE, BUSY]), FakeClock()

    assert await store.insisted(clock)
    assert store.tries == 4
    assert clock.slept == [PATIENCE] * 3


async def test_it_is_tried_once_at_least_and_then_while_it_is_worthwhile() -> None:
    store = Store([BUSY] * 9, is_wanted=False)

    assert not await store.insisted(FakeClock())
    assert store.tries == 1


async def test_a_closed_ledger_is_not_asked_again() -> None:
    store = Store([LedgerClosedError("closed")])

    assert not await store.insisted(FakeClock())


async def test_a_mistake_is_said_once_and_a_trouble_is_for_others_to_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await Store([BUSY, MISTAKE, MISTAKE, BUSY, BUSY]).insisted(FakeClock())

    said = "".join(capsys.readouterr())
    assert said.count("ledger does not take it") == 1
    assert "no such table" in said


async def test_what_can_never_be_written_is_given_up_at_once() -> None:
    store = Store([UnwritableError("ledger: 2^99 is out of range")])

    assert not await store.insisted(FakeClock())
    assert store.tries == 1
