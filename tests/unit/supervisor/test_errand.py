"""A supervisor for one pool: it ends when what follows is in its queues, or says what is not."""

import asyncio
from functools import partial

import msgspec
import pytest

from consumers.jobs import Properties
from supervisor.core.records import NewJob
from supervisor.errand import LAST_JOBS, LOOK, PUT_OFF, publish_all
from supervisor.ledger import publishing
from tests.support.clocks import WITHIN, settle
from tests.support.ledgers import enter
from tests.support.offices import BODY, CARD, Office
from tests.support.sessions import QUEUES

POOLS = (CARD.name,)


def a_follower(job_id: str, **changes: object) -> NewJob:
    job = NewJob(
        job_id, CARD.name, QUEUES.public, BODY, Properties(message_id=job_id), origin="chain"
    )
    return msgspec.structs.replace(job, **changes)


async def publish_one(office: Office) -> None:
    """Do what the poster does with the next job."""
    now = office.clock.utcnow()
    look = partial(publishing.ready, pools=POOLS, limit=1, now=now)
    some = await office.ledger.read(look)
    await office.ledger.write(partial(publishing.stored, postings=some, now=now))


async def ended(office: Office, waiting: "asyncio.Future[int]", within: float) -> int:
    """Move the clock until the wait is over; return what it says."""
    for _ in range(int(within / LOOK) + 1):
        if waiting.done():
            break
        await office.clock.move(LOOK)
        await office.ledger.counts()
        await settle()
    async with asyncio.timeout(WITHIN):
        return await waiting


async def test_it_is_waited_for_as_long_as_jobs_get_into_their_queues(office: Office) -> None:
    for number in range(3):
        await enter(office.ledger, a_follower(str(number)))
    waiting = asyncio.ensure_future(publish_all(office.ledger, POOLS, lambda: False))
    for _ in range(3):
        for _ in range(int(LAST_JOBS / LOOK) - 10):
            await office.clock.move(LOOK)
            await office.ledger.counts()
        assert not waiting.done()
        await publish_one(office)

    assert await ended(office, waiting, 1.0) == 0


async def test_jobs_that_nobody_takes_are_counted_after_a_while(office: Office) -> None:
    for number in range(2):
        await enter(office.ledger, a_follower(str(number)))
    (refused,) = await office.ledger.read(
        partial(publishing.ready, pools=POOLS, limit=1, now=office.clock.utcnow())
    )
    until = office.clock.utcnow() + PUT_OFF
    await office.ledger.write(partial(publishing.put_off, postings=[refused], until=until))
    waiting = asyncio.ensure_future(publish_all(office.ledger, POOLS, lambda: False))

    assert await ended(office, waiting, LAST_JOBS + 5) == 2


async def test_it_is_not_waited_for_what_cannot_be(office: Office) -> None:
    await enter(office.ledger, a_follower("a"))
    await enter(office.ledger, a_follower("b", pool="of-others"))

    assert await publish_all(office.ledger, POOLS, lambda: True) == 1


@pytest.mark.parametrize("origin", ["", "chain"])
async def test_what_is_due_much_later_is_not_waited_for(office: Office, origin: str) -> None:
    later = office.clock.utcnow() + 2 * PUT_OFF
    await enter(office.ledger, a_follower("a", origin=origin, post_at=later))

    assert await publish_all(office.ledger, POOLS, lambda: False) == 0
