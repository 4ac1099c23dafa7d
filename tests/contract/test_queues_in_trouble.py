"""The embedded queues while their ledger refuses: what was settled stays so, nothing sticks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumers.broker.embedded import EmbeddedBroker, EmbeddedSession
from consumers.broker.port import Message
from consumers.jobs import Properties
from supervisor.ledger.errors import PATIENCE
from supervisor.ledger.queues import Queues
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.inbox import Inbox
from tests.support.offices import MoodyLedger
from tests.support.sessions import QUEUES

LETTER = Message(b"{}", Properties())


class Desk:
    """Queues over a ledger that refuses when told to, and one client of theirs."""

    def __init__(self, ledger: MoodyLedger, queues: Queues, clock: FakeClock) -> None:
        self.ledger = ledger
        self.queues = queues
        self.clock = clock
        self.inbox = Inbox()

    async def client(self, name: str = "client") -> EmbeddedSession:
        """Have a client that consumes one message at a time."""
        session = await EmbeddedBroker(self.queues.local(name)).connect()
        await session.declare(QUEUES)
        await session.consume(QUEUES.public, prefetch=1, receive=self.inbox.receive)
        return session

    async def refuse(self, times: int) -> None:
        """Have the ledger refuse what is written from now on, and not what was under way."""
        for _ in range(2):  # a look at the queue may follow from another
            await self.ledger.write(lambda _: None)
            await settle()
        self.ledger.refusals = times


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = FakeClock()
    ledger = await MoodyLedger.open(f"sqlite:///{tmp_path}/ledger.db", clock=clock)
    assert isinstance(ledger, MoodyLedger)
    queues = await Queues.open(ledger)
    yield Desk(ledger, queues, clock)
    await queues.close()
    await ledger.close()


@pytest.mark.invariant(2)
async def test_an_ack_waits_until_it_is_written_and_is_not_asked_for_twice(desk: Desk) -> None:
    session = await desk.client()
    await session.publish(QUEUES.public, LETTER)
    delivery = await desk.inbox.take()
    await desk.refuse(2)
    acking = asyncio.ensure_future(session.ack(delivery))
    await settle()
    assert not acking.done()

    await desk.clock.move(PATIENCE)
    await asyncio.wait_for(acking, WITHIN)

    assert await session.depth(QUEUES.public) == 0
    assert desk.ledger.refusals == 0


async def test_what_is_given_back_is_not_waited_for_and_comes_again(desk: Desk) -> None:
    session = await desk.client()
    await session.publish(QUEUES.public, LETTER)
    delivery = await desk.inbox.take()
    await desk.refuse(3)

    await asyncio.wait_for(session.requeue(delivery), WITHIN)
    for _ in range(3):
        await desk.clock.move(PATIENCE)

    assert (await desk.inbox.take()).redelivered


async def test_queues_that_close_wait_no_longer_for_a_ledger_that_refuses(desk: Desk) -> None:
    session = await desk.client()
    await session.publish(QUEUES.public, LETTER)
    delivery = await desk.inbox.take()
    await desk.refuse(1_000_000)
    acking = asyncio.ensure_future(session.ack(delivery))
    leaving = asyncio.ensure_future(desk.queues.detach("other"))
    await settle()

    await desk.queues.close()
    await desk.clock.move(PATIENCE)

    await asyncio.wait([acking, leaving], timeout=WITHIN)
    assert acking.exception() is not None
