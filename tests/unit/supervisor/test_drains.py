"""Drains: in which order things go, and what is left when one is broken off."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import pytest

from consumers.broker.port import Message
from consumers.desk import Condemn, Drop, Later, Run
from consumers.errors import UnreachableError
from consumers.jobs import Properties
from supervisor.core.records import Charge, JobState, NewJob
from supervisor.desks.queues import Drained
from supervisor.drains import GIVEN_BACK, Drains, Premises
from supervisor.ledger import controls, pending, publishing
from supervisor.ledger import draining as draining_rows
from supervisor.ledger.draining import Scope, Sweep
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.ports import NotNowError
from supervisor.postroom import Postroom
from tests.support.clocks import WITHIN, settle
from tests.support.desks import FakeDesk
from tests.support.ledgers import to_publish
from tests.support.offices import (
    BODY,
    CARD,
    FIRST,
    SECOND,
    Office,
    a_claim,
    a_result,
    an_error,
)
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory
from tests.unit.supervisor.test_pauses import Gates
from workers.messages import Retrying


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

    async def unfinished(self) -> list[str]:
        return [each.queue for each in await self.office.ledger.read(controls.draining)]

    async def break_off(self, *queues: str) -> None:
        """Have drains be begun, and nobody there who ends them."""
        for queue in queues:
            begin = partial(controls.drain, queue=queue, scope=Scope.WAITING.value)
            await self.office.ledger.write(partial(begin, now=self.office.clock.utcnow()))

    async def settled(self, job_id: str, state: JobState) -> None:
        """Wait until a job is in a state."""
        async with asyncio.timeout(WITHIN):
            while await self.state(job_id) is not state:
                await settle()

    async def post(self) -> None:
        """Have all that is pending be published."""
        postings = await to_publish(self.office.ledger)
        now = self.office.clock.utcnow()
        await self.office.ledger.write(partial(publishing.stored, postings=postings, now=now))


@pytest.fixture
async def yard(office: Office) -> AsyncIterator[Yard]:
    broker, gates = BrokerInMemory(), Gates()
    session = await broker.connect()
    postroom = Postroom("amqp://broker", {CARD.name: QUEUES}, FakeDesk())
    await postroom.open(session)
    premises = Premises(office.ledger, postroom, gates, office.bulletin)
    drains = Drains([CARD], premises, office.clerk.book, office.clock)
    yield Yard(office, broker, session, gates, drains)
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
    assert await yard.unfinished() == []
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
    assert await yard.unfinished() == []


async def test_with_the_broker_away_nothing_is_removed(office: Office) -> None:
    postroom = Postroom("amqp://broker", {CARD.name: QUEUES}, FakeDesk())
    premises = Premises(office.ledger, postroom, Gates(), office.bulletin)

    drains = Drains([CARD], premises, office.clerk.book, office.clock)
    with pytest.raises(NotNowError, match="nothing was removed"):
        await drains.drain(CARD, delayed=False)


@pytest.mark.invariant(1)
async def test_a_drain_that_a_kill_broke_off_is_finished_by_the_next_life(yard: Yard) -> None:
    """Its messages may be gone: a row that waited on would wait for ever."""
    await yard.enter("purged")
    await yard.post()
    await yard.break_off(QUEUES.public, "another supervisor's")

    await yard.drains.begin()

    assert await yard.state("purged") is JobState.REMOVED
    assert await yard.unfinished() == ["another supervisor's"]


@pytest.mark.invariant(1)
async def test_a_drain_that_was_broken_off_removes_nothing_that_ran_or_came_after_it(
    yard: Yard,
) -> None:
    """But their messages may be gone with the others: they are published once more."""
    await yard.enter("ran")
    await yard.post()
    await yard.office.clerk.claim(FIRST, a_claim("ran"))
    await yard.office.written()
    await yard.break_off(QUEUES.public)
    await yard.office.ledger.release(QUEUES.public, ["ran"])  # as the next life finds it
    await yard.enter("late")
    await yard.post()

    await yard.drains.begin()

    assert [await yard.state(each) for each in ("ran", "late")] == [JobState.PENDING] * 2
    assert {each.id for each in await to_publish(yard.office.ledger)} == {"ran", "late"}


@pytest.mark.parametrize("refused", [1, 2, 3])
@pytest.mark.invariant(1)
async def test_a_drain_that_the_ledger_broke_off_is_over_as_soon_as_it_takes_it(
    yard: Yard, refused: int
) -> None:
    """In the middle or at its end; what waits weeks later, at the next start, stays."""
    await yard.enter("known")
    draining = yard.begin()
    await yard.office.clock.until_asleep(1)
    await yard.office.written()
    if refused > 1:
        await yard.emptying()
        await yard.office.written()
    yard.office.ledger.refusals = refused
    with pytest.raises(LedgerError):
        await yard.end(draining)

    async with asyncio.timeout(WITHIN):
        while await yard.unfinished():
            await yard.office.clock.move(1.0)
    await yard.enter("weeks later")
    await yard.post()
    await yard.drains.begin()

    assert await yard.state("known") is JobState.REMOVED
    assert await yard.state("weeks later") is JobState.WAITING
    assert yard.gates.diary[-1] == (CARD.name, "drain", "")


@pytest.mark.parametrize("end", ["retried", "given up", "crashed"])
@pytest.mark.invariant(1)
async def test_a_job_whose_message_came_back_and_was_purged_does_not_wait_for_it(
    yard: Yard, end: str
) -> None:
    """Its worker had lost its session: of what follows it publishes nothing itself."""
    clerk, key = yard.office.clerk, (QUEUES.public, "runs")
    await clerk.claim(FIRST, a_claim("runs"))
    await yard.office.written()
    draining = yard.begin()
    await yard.emptying()
    clerk.settlements.cut_off(FIRST, 0)
    yard.publish("runs")
    await yard.end(draining)

    match end:
        case "retried":
            await clerk.failed(an_error("runs", retry=Retrying(4.0)))
        case "given up":
            await clerk.failed(an_error("runs"))
        case _:
            await clerk.blamed(FIRST[0], [key], "killed", Charge.CRASH)
    await yard.settled("runs", JobState.PENDING)
    (posting,) = await yard.office.ledger.read(
        partial(publishing.ready, pools=[CARD.name], limit=9, now=yard.office.clock.utcnow())
    )
    verdict = await clerk.claim(SECOND, a_claim("runs", seq=posting.seq))

    assert posting.seq > 0
    assert isinstance(verdict, {"retried": Run, "given up": Condemn, "crashed": Later}[end])


@pytest.mark.invariant(1)
async def test_a_job_whose_worker_dies_while_its_queue_is_drained_goes_on(yard: Yard) -> None:
    clerk, key = yard.office.clerk, (QUEUES.public, "runs")
    await clerk.claim(FIRST, a_claim("runs"))
    await yard.office.written()
    draining = yard.begin()
    await yard.emptying()
    yard.publish("runs")
    await clerk.blamed(FIRST[0], [key], "killed", Charge.CRASH)
    drained = await yard.end(draining)

    assert (drained.messages, drained.jobs) == (1, 0)
    await yard.settled("runs", JobState.PENDING)


@pytest.mark.invariant(1)
async def test_a_message_of_the_words_of_a_job_whose_own_was_purged_is_another_job(
    yard: Yard,
) -> None:
    clerk = yard.office.clerk
    run = await clerk.claim(FIRST, a_claim(None))
    await yard.office.written()
    draining = yard.begin()
    await yard.emptying()
    clerk.settlements.cut_off(FIRST, 0)
    await yard.end(draining)
    await clerk.blamed(FIRST[0], [(QUEUES.public, run.job_id)], "killed", Charge.CRASH)
    await yard.settled(run.job_id, JobState.PENDING)

    verdict = await clerk.claim(SECOND, a_claim(None, redelivered=True))

    assert isinstance(verdict, Run)
    assert verdict.job_id != run.job_id


async def test_a_job_that_ends_well_after_a_drain_is_left_alone(yard: Yard) -> None:
    await yard.office.clerk.claim(FIRST, a_claim("runs"))
    await yard.office.written()
    await yard.end(yard.begin())
    await yard.office.clerk.completed(a_result("runs"))
    await yard.office.written()

    assert await yard.state("runs") is JobState.COMPLETED


@pytest.mark.invariant(1)
async def test_what_is_claimed_in_the_moment_it_is_removed_is_dropped(yard: Yard) -> None:
    """It was looked up before, and its run is written after: nobody would know of its result."""
    await yard.enter("granted")
    await yard.post()
    draining = yard.begin()
    await yard.office.clock.until_asleep(1)
    yard.office.ledger.gate = asyncio.Event()
    claiming = asyncio.ensure_future(yard.office.clerk.claim(FIRST, a_claim("granted")))
    assert await yard.office.stays_waiting(claiming)
    remove = partial(draining_rows.sweep, what=Sweep(CARD.name, Scope.WAITING, last=99))
    await Ledger.write(yard.office.ledger, partial(remove, now=yard.office.clock.utcnow()))
    yard.office.ledger.gate.set()

    assert await claiming == Drop("granted", "removed")
    assert yard.office.clerk.book.running((QUEUES.public, "granted")) is None
    await yard.end(draining)
