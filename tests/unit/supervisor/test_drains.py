"""Drains: in which order things go, and what is left when one is broken off."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import pytest

from consumers.broker.port import Message
from consumers.errors import UnreachableError
from consumers.jobs import Properties
from supervisor.core.records import JobState, NewJob
from supervisor.desks.queues import Drained
from supervisor.drains import GIVEN_BACK, Drains, Premises
from supervisor.ledger import controls, pending
from supervisor.ledger.draining import Scope
from supervisor.ports import NotNowError
from supervisor.postroom import Postroom
from tests.support.clocks import WITHIN
from tests.support.desks import FakeDesk
from tests.support.offices import BODY, CARD, Office
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory
from tests.unit.supervisor.test_pauses import Gates


@dataclass
class Yard:
    """A pool's queues in a broker that remembers, and who drains them."""

    office: Office
    broker: BrokerInMemory
    session: SessionInMemory
    gates: Gates
    drains: Drains

    def begin(self) -> "asyncio.Task[Drained]":
        """Begin to drain."""
        return asyncio.ensure_future(self.drains.drain(CARD, delayed=False))

    async def emptying(self) -> None:
        """Wait until the rows are swept once, and the queue is purged once."""
        await self.office.clock.until_asleep(1)
        await self.office.clock.move(GIVEN_BACK)
        await self.office.clock.until_asleep(2)

    async def end(self, draining: "asyncio.Task[Drained]") -> Drained:
        """Let time pass until it is done."""
        async with asyncio.timeout(WITHIN):
            while not draining.done():
                await self.office.clock.move(0.1)
        return await draining

    async def enter(self, job_id: str) -> None:
        """Enter a job that is to be published."""
        job = NewJob(job_id, CARD.name, QUEUES.public, BODY, Properties(message_id=job_id))
        now = self.office.clock.utcnow()
        await self.office.ledger.write(partial(pending.enter, job=job, now=now))

    def publish(self, *job_ids: str) -> None:
        """Have messages be ready in the queue."""
        ready = self.broker.ready.setdefault(QUEUES.public, [])
        for job_id in job_ids:
            hand = self.session.hand(Message(BODY, Properties(message_id=job_id)))
            ready.append(hand.delivery)

    async def state(self, job_id: str) -> JobState:
        return (await self.office.record(job_id)).state

    async def unfinished(self) -> dict[str, int]:
        return dict(await self.office.ledger.read(controls.draining))


@pytest.fixture
async def yard(office: Office) -> AsyncIterator[Yard]:
    broker, gates = BrokerInMemory(), Gates()
    session = await broker.connect()
    postroom = Postroom("amqp://broker", {CARD.name: QUEUES}, FakeDesk())
    await postroom.open(session)
    premises = Premises(office.ledger, postroom, gates, office.bulletin)
    yield Yard(office, broker, session, gates, Drains([CARD], premises, office.clock))
    await postroom.close()


async def test_messages_and_rows_go_and_the_pool_is_held_meanwhile(yard: Yard) -> None:
    await yard.enter("known")
    yard.publish("known", "foreign")

    drained = await yard.end(yard.begin())

    assert (drained.messages, drained.jobs) == (2, 1)
    assert await yard.state("known") is JobState.REMOVED
    assert yard.gates.diary == [
        (CARD.name, "drain", "its queue is being drained"),
        (CARD.name, "drain", ""),
    ]
    assert await yard.unfinished() == {}
    assert [(each.name, each.data["jobs"]) for each in yard.office.bulletin.events] == [
        ("drained", 1)
    ]


async def test_what_workers_give_back_meanwhile_goes_too(yard: Yard) -> None:
    yard.publish("first")
    draining = yard.begin()
    await yard.emptying()
    yard.publish("given back")
    drained = await yard.end(draining)

    assert drained.messages == 2


@pytest.mark.invariant(1)
async def test_a_job_entered_while_the_queue_is_emptied_does_not_wait_for_a_message_that_is_gone(
    yard: Yard,
) -> None:
    draining = yard.begin()
    await yard.emptying()
    await yard.enter("late")
    yard.publish("late")
    drained = await yard.end(draining)

    assert (drained.messages, drained.jobs) == (1, 1)
    assert await yard.state("late") is JobState.REMOVED


async def test_a_broker_that_goes_away_in_between_is_told_of_and_nothing_is_held_for_ever(
    yard: Yard,
) -> None:
    await yard.enter("known")
    draining = yard.begin()
    await yard.emptying()
    yard.session.end(UnreachableError("connection reset"))

    with pytest.raises(NotNowError, match="1 jobs were removed, but perhaps not what other"):
        await yard.end(draining)
    assert yard.gates.diary[-1] == (CARD.name, "drain", "")
    assert await yard.unfinished() == {}


async def test_with_the_broker_away_nothing_is_removed(office: Office) -> None:
    postroom = Postroom("amqp://broker", {CARD.name: QUEUES}, FakeDesk())
    premises = Premises(office.ledger, postroom, Gates(), office.bulletin)

    with pytest.raises(NotNowError, match="nothing was removed"):
        await Drains([CARD], premises, office.clock).drain(CARD, delayed=False)


@pytest.mark.invariant(1)
async def test_a_drain_that_a_kill_broke_off_is_finished_by_the_next_life(yard: Yard) -> None:
    """Its messages may be gone: a row that waited on would wait for ever."""
    now = yard.office.clock.utcnow()
    for queue in (QUEUES.public, "another supervisor's"):
        begin = partial(controls.drain, queue=queue, scope=Scope.WAITING.value, now=now)
        await yard.office.ledger.write(begin)
    await yard.enter("purged")

    await yard.drains.begin()

    assert await yard.state("purged") is JobState.REMOVED
    assert await yard.unfinished() == {"another supervisor's": 1}
