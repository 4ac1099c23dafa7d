"""A pilot with a clerk, a poster and a broker in memory: what the tests of steering share."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
import pytest

from consumers.desk import Claim, Verdict
from consumers.jobs import Properties, Scale
from supervisor.core.events import Event
from supervisor.core.records import JobRecord, JobState, NewJob, PoolCard
from supervisor.inbox import Inbox
from supervisor.poster import Poster
from supervisor.postroom import Postroom
from supervisor.standing import Standing, Views
from supervisor.steering import Helm, Pilot
from supervisor.switchboard import Switchboard
from tests.support.clocks import WITHIN, settle
from tests.support.desks import FakeDesk
from tests.support.ledgers import enter
from tests.support.offices import BODY, CARD, FIRST, Office, a_claim, a_letter
from tests.support.sessions import QUEUES, BrokerInMemory, Published, SessionInMemory
from tests.support.switchboards import Line
from workers import messages

GRACE = 10.0


@dataclass
class Bridge:
    """Jobs, who steers them, and where their copies go."""

    pilot: Pilot
    office: Office
    broker: BrokerInMemory
    session: SessionInMemory
    poster: Poster
    board: Switchboard
    inbox: Inbox
    line: Line  # to the first worker
    scales: dict[str, Scale] = field(default_factory=dict)  # of the pilot

    async def enter(self, job_id: str = "j1", *, delay: float = 0.0) -> JobRecord:
        """Enter a job and have it published."""
        await enter(self.office.ledger, _new_job(job_id, delay=delay))
        self.poster.poke()
        await self.posted(job_id)
        return await self.office.record(job_id)

    async def wait_for_its_turn(self, job_id: str = "j1", *, delay: float) -> datetime:
        """Enter a job that is not published before a moment; return that."""
        moment = self.office.clock.utcnow() + timedelta(seconds=delay)
        await enter(self.office.ledger, _new_job(job_id, post_at=moment))
        self.poster.poke()
        await settle()
        return moment

    async def posted(self, job_id: str = "j1") -> None:
        """Wait until the newest copy of a job is in its queue."""
        async with asyncio.timeout(WITHIN):
            while (await self.office.record(job_id)).state is JobState.PENDING:
                await settle()

    async def run(self, claim: Claim | None = None) -> Verdict:
        """Have the first worker claim a job and begin it."""
        verdict = await self.office.clerk.claim(FIRST, claim or a_claim())
        await self.office.written()
        return verdict

    def newest(self) -> Published:
        """Return what was published last."""
        return self.broker.published[-1]

    def claim_of(self, published: Published, **changes: object) -> Claim:
        """Return the claim on a published copy."""
        headers = published.message.properties.headers
        copy = a_claim(
            seq=headers.get("x-job-seq", 0),
            attempts=headers.get("x-job-attempts", 0),
            body=published.message.body,
        )
        return msgspec.structs.replace(copy, **changes)

    async def fail(self, job_id: str = "j1") -> None:
        """Have a job fail for good."""
        await self.office.clerk.buried(a_letter(job_id), FIRST[0])

    def orders(self) -> list[messages.Cancel]:
        """Return the cancellations that the first worker was told."""
        return [one for one in self.line.said if isinstance(one, messages.Cancel)]

    async def event(self) -> Event:
        """Return what the coordinator is told next."""
        return await self.inbox.take(within=WITHIN)

    async def ends(self, work: "asyncio.Future[JobRecord]", *, naps: float = 0.05) -> JobRecord:
        """Return the end of some steering that looks again and again until a run is settled."""
        async with asyncio.timeout(WITHIN):
            while not work.done():
                await self.office.written()
                await self.office.clock.move(naps)
        return work.result()


@pytest.fixture
async def bridge(office: Office) -> AsyncIterator[Bridge]:
    """A pilot over one pool, whose first worker is on the line."""
    async for built in a_bridge(office, CARD):
        yield built


async def a_bridge(office: Office, *cards: PoolCard) -> AsyncIterator[Bridge]:
    """Build a bridge over the pools of an office, and take it down after the test."""
    broker, inbox, line = BrokerInMemory(), Inbox(), Line()
    session = await broker.connect()
    postroom = Postroom("amqp://broker", {card.name: card.queues for card in cards}, FakeDesk())
    poster = Poster(office.ledger, postroom, cards, office.bulletin, office.clock)
    postroom.takes_jobs = poster.poke
    await postroom.open(session)
    board = Switchboard(inbox, office.clerk, None, office.clock)
    board.connect(FIRST, line, told={})
    book = office.clerk.book
    views = Views(office.ledger, postroom, book, lambda _: 2)
    standing = Standing(cards, views, office.clock, is_exact=False)
    scales: dict[str, Scale] = {}
    helm = Helm(book, board, inbox, poster, office.bulletin, scales)
    pilot = Pilot(helm, office.ledger, standing, office.clock, grace=GRACE)
    posting = asyncio.ensure_future(poster.run())
    yield Bridge(pilot, office, broker, session, poster, board, inbox, line, scales)
    await pilot.close()
    posting.cancel()
    await asyncio.wait({posting})
    await postroom.close()


def _new_job(job_id: str, *, delay: float = 0.0, post_at: datetime | None = None) -> NewJob:
    return NewJob(
        id=job_id,
        pool=CARD.name,
        queue=QUEUES.public,
        body=BODY,
        properties=Properties(message_id=job_id),
        sender="ana",
        delay=delay,
        post_at=post_at,
    )
