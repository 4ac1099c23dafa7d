"""Pauses of pools: held at once, kept in the ledger, followed when others write them."""

import asyncio
from dataclasses import dataclass, field
from functools import partial

import pytest

from consumers.topology import pool_queues
from supervisor.core.records import PoolCard
from supervisor.ledger import controls
from supervisor.ledger.errors import LedgerError
from supervisor.pauses import EVERY, Pauses
from tests.support.offices import CARD, Office

CUTTER = PoolCard("cutter", pool_queues("cutter_queue"))


@dataclass
class Gates:
    """Workers that remember what they were told."""

    diary: list[tuple[str | None, str, str]] = field(default_factory=list)

    def hold(self, pool: str | None, name: str, why: str) -> None:
        self.diary.append((pool, name, why))

    def release(self, pool: str | None, name: str) -> None:
        self.diary.append((pool, name, ""))


@pytest.fixture
def gates() -> Gates:
    return Gates()


@pytest.fixture
def pauses(office: Office, gates: Gates) -> Pauses:
    return Pauses([CARD, CUTTER], office.ledger, gates, office.bulletin, office.clock)


async def elsewhere(office: Office, why: str) -> None:
    """Have another coordinator with the same ledger pause the cutters, or resume them."""
    now, queues = office.clock.utcnow(), [CUTTER.queues.public]
    if why:
        await office.ledger.write(partial(controls.pause, queues=queues, why=why, now=now))
    else:
        await office.ledger.write(partial(controls.resume, queues=queues, now=now))


async def test_a_pool_is_held_under_the_operators_name_and_let_go_again(
    office: Office, gates: Gates, pauses: Pauses
) -> None:
    await pauses.pause(["cutter"], "maintenance")
    during = dict(pauses.now())
    await pauses.resume(["cutter", "download"])

    assert during == {"cutter": "maintenance"}
    assert pauses.now() == {}
    assert gates.diary == [("cutter", "operator", "maintenance"), ("cutter", "operator", "")]
    assert [(each.name, each.queue, each.data["why"]) for each in office.bulletin.events] == [
        ("paused", "cutter_queue", "maintenance"),
        ("resumed", "cutter_queue", "maintenance"),
    ]


async def test_what_an_earlier_life_was_told_holds_before_any_worker_starts(
    office: Office, gates: Gates, pauses: Pauses
) -> None:
    await elsewhere(office, "slow")

    await pauses.begin()

    assert gates.diary == [("cutter", "operator", "slow")]


async def test_what_another_coordinator_writes_is_followed(
    office: Office, gates: Gates, pauses: Pauses
) -> None:
    watching = asyncio.ensure_future(pauses.run())
    for naps, why in enumerate(("slow", "slower", ""), start=1):
        await elsewhere(office, why)
        await office.clock.until_asleep(naps)
        await office.clock.move(EVERY)
        await office.clock.until_asleep(naps + 1)
    watching.cancel()

    assert [why for _, _, why in gates.diary] == ["slow", "slower", ""]


async def test_a_ledger_that_cannot_be_read_changes_nothing(
    office: Office, gates: Gates, pauses: Pauses
) -> None:
    await pauses.pause(["cutter"], "maintenance")
    watching = asyncio.ensure_future(pauses.run())
    office.ledger.silences = 1
    await office.clock.until_asleep(1)
    await office.clock.move(EVERY)
    await office.clock.until_asleep(2)
    watching.cancel()

    assert pauses.now() == {"cutter": "maintenance"}
    assert len(gates.diary) == 1


async def test_a_pause_that_cannot_be_written_is_not_in_force(
    office: Office, gates: Gates, pauses: Pauses
) -> None:
    office.ledger.refusals = 1

    with pytest.raises(LedgerError, match="full"):
        await pauses.pause(["cutter"], "maintenance")

    assert (gates.diary, pauses.now()) == ([], {})
