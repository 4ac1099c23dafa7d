"""The poster: what is pending gets into its queue, once or twice but never not at all."""

import asyncio
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from consumers.desk import Drop, Run
from consumers.jobs import Priority, Properties
from supervisor.core.records import JobState, NewJob
from supervisor.ledger import publishing
from supervisor.poster import REFUSED, REST, Poster
from supervisor.postroom import Postroom
from tests.support.clocks import START, WITHIN, settle
from tests.support.desks import FakeDesk
from tests.support.ledgers import enter
from tests.support.offices import BODY, CARD, FIRST, Office, a_claim, a_result
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory
from tests.support.steering import Bridge, bridge

__all__ = ["bridge"]


def a_job(job_id: str, **changes: object) -> NewJob:
    job = NewJob(job_id, CARD.name, QUEUES.public, BODY, Properties(message_id=job_id))
    return msgspec.structs.replace(job, **changes)


async def a_poster(office: Office) -> tuple[Poster, BrokerInMemory, SessionInMemory]:
    broker = BrokerInMemory()
    session = await broker.connect()
    postroom = Postroom("amqp://broker", {CARD.name: QUEUES}, FakeDesk())
    poster = Poster(office.ledger, postroom, [CARD], office.bulletin, office.clock)
    postroom.takes_jobs = poster.poke
    await postroom.open(session)
    return poster, broker, session


def posted(broker: BrokerInMemory) -> list[str | None]:
    return [one.message.properties.message_id for one in broker.published]


@pytest.mark.invariant(1)
async def test_what_an_earlier_life_entered_and_did_not_publish_is_published(
    office: Office,
) -> None:
    for job in ("a", "b", "c"):
        await enter(office.ledger, a_job(job))
    poster, broker, _ = await a_poster(office)

    running = asyncio.ensure_future(poster.run())
    assert await poster.posted((QUEUES.public, "c"), within=WITHIN)
    running.cancel()
    await asyncio.wait({running})

    assert posted(broker) == ["a", "b", "c"]


async def test_what_was_entered_for_now_is_published_though_the_clock_was_put_back(
    office: Office,
) -> None:
    poster, broker, session = await a_poster(office)
    postroom = poster._postroom
    postroom.lost()
    running = asyncio.ensure_future(poster.run())
    await office.written()
    later = START + timedelta(minutes=10)
    await enter(office.ledger, a_job("now"))
    await enter(office.ledger, a_job("on its day", delay=600.0, post_at=later))

    office.clock.leap = -3600.0
    await office.clock.move(REST)
    await postroom.open(session)

    assert await poster.posted((QUEUES.public, "now"), within=WITHIN)
    assert posted(broker) == ["now"]
    running.cancel()
    await asyncio.wait({running})


@pytest.mark.invariant(4)
async def test_what_was_published_and_not_marked_comes_twice_and_runs_once(
    office: Office,
) -> None:
    await enter(office.ledger, a_job("j1"))
    for _ in range(2):  # killed between the confirm and the mark
        poster, broker, _ = await a_poster(office)
        await poster._publish((await _ready(office))[0])
        assert posted(broker) == ["j1"]

    first = await office.clerk.claim(FIRST, a_claim("j1"))
    await office.clerk.completed(a_result("j1"))
    second = await office.clerk.claim(FIRST, a_claim("j1"))

    assert isinstance(first, Run)
    assert second == Drop("j1", "settled")


async def test_a_queue_that_refuses_holds_up_its_own_job_alone(bridge: Bridge) -> None:
    bridge.broker.refusing.add(QUEUES.priority)
    await enter(bridge.office.ledger, a_job("refused", priority=Priority.HIGH))
    await enter(bridge.office.ledger, a_job("plain"))
    bridge.poster.poke()
    await bridge.posted("plain")
    before = (await bridge.office.record("refused")).state

    bridge.broker.refusing.clear()
    async with asyncio.timeout(WITHIN):
        while (await bridge.office.record("refused")).state is JobState.PENDING:
            await bridge.office.clock.move(REFUSED)

    assert before is JobState.PENDING
    assert posted(bridge.broker) == ["plain", "refused"]
    assert bridge.office.told.count("waiting") == 2


async def test_an_order_is_told_whether_its_job_is_in_its_queue_in_time(bridge: Bridge) -> None:
    bridge.session.open.clear()  # nothing is confirmed
    await enter(bridge.office.ledger, a_job("slow"))

    assert not await bridge.poster.posted((QUEUES.public, "slow"), within=0.05)
    bridge.session.open.set()
    await bridge.posted("slow")
    await settle()


async def test_a_job_says_how_often_it_may_run(bridge: Bridge) -> None:
    await enter(bridge.office.ledger, a_job("j1", max_attempts=2))
    bridge.poster.poke()
    await bridge.posted()

    assert bridge.newest().message.properties.headers["x-job-max-attempts"] == 2


async def _ready(office: Office) -> tuple[publishing.Posting, ...]:
    now = office.clock.utcnow()
    return await office.ledger.read(partial(publishing.ready, pools=["download"], limit=9, now=now))


async def test_nothing_is_kept_of_a_job_that_is_removed_before_it_is_published(
    bridge: Bridge,
) -> None:
    bridge.broker.refusing.add(QUEUES.priority)
    for job_id in ("removed", "refused"):
        await enter(bridge.office.ledger, a_job(job_id, priority=Priority.HIGH))
    bridge.poster.poke()
    async with asyncio.timeout(WITHIN):
        while len(bridge.poster._told) < 2:
            await settle()
    asking = asyncio.ensure_future(bridge.poster.posted((QUEUES.public, "removed")))
    await settle()
    asking.cancel()
    await asyncio.wait({asking})
    await bridge.pilot.remove("removed")
    bridge.poster.poke()

    async with asyncio.timeout(WITHIN):
        while (QUEUES.public, "removed") in bridge.poster._told:
            await settle()
    assert set(bridge.poster._told) == {(QUEUES.public, "refused")}
    assert bridge.poster._waiting == {}
