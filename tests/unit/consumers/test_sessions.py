"""The session loop: one session after the other, with patience in between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from consumers.broker.port import Session
from consumers.errors import BrokerError, ForbiddenError, UnreachableError
from consumers.retry import ReconnectPolicy
from consumers.sessions import STEADY, Sessions
from tests.support.clocks import FakeClock, settle
from tests.support.sessions import BrokerInMemory

AWAY = UnreachableError("connection refused")


@dataclass
class Tenant:
    """Remembers its sessions; refuses the next ones as often as it was told to."""

    opened: list[Session] = field(default_factory=list)
    losses: int = 0
    troubles: list[BrokerError] = field(default_factory=list)

    async def open(self, session: Session) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.opened.append(session)

    def lost(self) -> None:
        self.losses += 1


@dataclass
class Watcher:
    """Remembers what it was told."""

    peers: list[str] = field(default_factory=list)
    troubles: list[tuple[str, int, float]] = field(default_factory=list)

    def opened(self, peer: str) -> None:
        self.peers.append(peer)

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        self.troubles.append((str(error), failed, delay))


@dataclass
class House:
    """A session loop that runs."""

    broker: BrokerInMemory
    clock: FakeClock
    sessions: Sessions
    watcher: Watcher
    tenants: tuple[Tenant, Tenant]

    def start(self) -> None:
        self.running = asyncio.ensure_future(self.sessions.run())


@pytest.fixture
async def house() -> AsyncIterator[House]:
    broker, clock, watcher = BrokerInMemory(), FakeClock(), Watcher()
    tenants = (Tenant(), Tenant())
    policy = ReconnectPolicy(delay=1.0, max=30.0)
    sessions = Sessions(broker, tenants, watcher, policy, clock)
    made = House(broker, clock, sessions, watcher, tenants)
    yield made
    made.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await made.running


async def test_every_tenant_gets_the_session_and_the_watcher_is_told(house: House) -> None:
    house.start()
    await settle()

    (session,) = house.broker.sessions
    assert [tenant.opened for tenant in house.tenants] == [[session], [session]]
    assert house.watcher.peers == ["memory 1.0"]
    assert house.sessions.current is session


@pytest.mark.invariant(11)
async def test_the_waits_double_up_to_the_cap_half_of_them_left_to_chance(house: House) -> None:
    house.broker.refusals = [AWAY] * 8
    house.clock.rolls = 0.0
    house.start()
    for _ in range(3):
        await house.clock.move(30.0)
    house.clock.rolls = 1.0
    for _ in range(5):
        await house.clock.move(30.0)

    # The roll of a wait is made when the one before it ends.
    assert house.clock.slept == [0.5, 1.0, 2.0, 4.0, 16.0, 30.0, 30.0, 30.0]
    assert [failed for _, failed, _ in house.watcher.troubles] == list(range(1, 9))
    assert house.watcher.troubles[0] == ("connection refused", 1, 0.5)


async def test_a_session_that_opened_resets_the_waits(house: House) -> None:
    house.broker.refusals = [AWAY, AWAY, AWAY]
    house.start()
    for _ in range(3):
        await house.clock.move(30.0)
    house.broker.sessions[0].end(UnreachableError("connection reset"))
    await settle()

    assert house.watcher.troubles[-1] == ("connection reset", 1, 0.75)


async def test_the_next_session_follows_an_ended_one(house: House) -> None:
    house.start()
    await settle()
    first = house.broker.sessions[0]
    first.end()
    await settle()
    assert house.sessions.current is None
    assert [tenant.losses for tenant in house.tenants] == [1, 1]
    assert first.is_closed

    await house.clock.move(1.0)

    assert house.sessions.current is house.broker.sessions[1]
    assert [len(tenant.opened) for tenant in house.tenants] == [2, 2]


async def test_a_broker_that_says_no_is_asked_more_slowly_yet_every_half_minute(
    house: House,
) -> None:
    house.broker.refusals = [ForbiddenError("ACCESS_REFUSED")] * 5
    house.clock.rolls = 1.0
    house.start()
    for _ in range(5):
        await house.clock.move(30.0)

    assert house.clock.slept == [5.0, 10.0, 20.0, 30.0, 30.0]


async def test_sessions_that_end_soon_on_their_own_account_come_ever_more_slowly(
    house: House,
) -> None:
    """A consumer that is cancelled again and again must not become a storm."""
    house.clock.rolls = 1.0
    house.start()
    for _ in range(4):
        await settle()
        house.broker.sessions[-1].end(BrokerError("consumer cancelled"))
        await settle()
        await house.clock.move(house.clock.slept[-1])
    await house.clock.move(STEADY)
    house.broker.sessions[-1].end(BrokerError("consumer cancelled"))
    await settle()

    assert house.clock.slept == [1.0, 2.0, 4.0, 8.0, 1.0]


async def test_lines_that_break_again_and_again_are_mended_at_once_each_time(
    house: House,
) -> None:
    house.clock.rolls = 1.0
    house.start()
    for _ in range(3):
        await settle()
        house.broker.sessions[-1].end(UnreachableError("connection reset"))
        await settle()
        await house.clock.move(1.0)

    assert house.clock.slept == [1.0, 1.0, 1.0]


async def test_a_tenant_that_cannot_move_in_ends_the_session_for_all(house: House) -> None:
    house.tenants[1].troubles = [BrokerError("PRECONDITION_FAILED"), BrokerError("again")]
    house.start()
    await settle()
    await house.clock.move(1.0)

    assert house.watcher.peers == []
    assert house.broker.sessions[0].is_closed
    assert [tenant.losses for tenant in house.tenants] == [2, 2]
    assert [told[:2] for told in house.watcher.troubles] == [
        ("PRECONDITION_FAILED", 1),
        ("again", 2),
    ]


async def test_a_cancelled_loop_closes_its_session(house: House) -> None:
    house.start()
    await settle()

    house.running.cancel()
    await settle()

    assert house.broker.sessions[0].is_closed
