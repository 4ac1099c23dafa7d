"""Jobs on a shared ledger that others end, or change, in the moment they are granted here."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from consumers.desk import Drop
from consumers.jobs import Properties
from supervisor.clerk import Clerk, Telling
from supervisor.core.records import JobState, NewJob
from supervisor.ledger import next_copies
from supervisor.ledger.next_copies import Again
from supervisor.ledger.store import Ledger
from supervisor.notify.english import TEXTS
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.ledgers import enter
from tests.support.offices import BODY, CARD, FIRST, Listener, MoodyLedger, a_claim
from tests.support.sessions import QUEUES

pytestmark = pytest.mark.postgres

KEY = (QUEUES.public, "j1")


@pytest.fixture
async def ours(postgres_url: str, clock: FakeClock) -> AsyncIterator[MoodyLedger]:
    opened = await MoodyLedger.open(postgres_url, clock=clock, node="ours")
    assert isinstance(opened, MoodyLedger)
    yield opened
    await opened.close()


@pytest.fixture
async def theirs(ours: MoodyLedger, postgres_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(postgres_url, clock=clock, node="theirs")
    yield opened
    await opened.close()


@pytest.mark.parametrize("change", ["cancelled", "stale"])
@pytest.mark.invariant(15)
async def test_what_others_do_to_a_job_that_is_just_being_granted_holds(
    ours: MoodyLedger, theirs: Ledger, clock: FakeClock, change: str
) -> None:
    clerk = Clerk(ours, [CARD], Telling(["log"], TEXTS, lambda: None), Listener(), clock)
    job = NewJob("j1", CARD.name, QUEUES.public, BODY, Properties(message_id="j1"))
    await enter(ours, job, state=JobState.WAITING)
    ours.gate = asyncio.Event()
    claiming = asyncio.ensure_future(clerk.claim(FIRST, a_claim()))
    async with asyncio.timeout(WITHIN):
        while clerk.book.running(KEY) is None:
            await settle()

    if change == "cancelled":
        await theirs.cancel(*KEY)
    else:
        new = Again(body=b'{"link": "http://127.0.0.1/another", "from": "ana"}')
        again = partial(next_copies.again, queue=KEY[0], job_id=KEY[1], copy=new)
        await theirs.write(partial(again, now=clock.utcnow()))
    ours.gate.set()

    assert await claiming == Drop("j1", change)
    assert clerk.book.running(KEY) is None
