"""A supervisor without processes on whatever ledger: who records, who steers, who ends chains."""

from dataclasses import dataclass

import msgspec

from supervisor.chains import Chains
from supervisor.clerk import Clerk, Telling
from supervisor.convoy import Convoy
from supervisor.core.records import JobFilter, JobRecord, Relative
from supervisor.inbox import Inbox
from supervisor.ledger.store import Ledger
from supervisor.notify.english import TEXTS
from supervisor.poster import Poster
from supervisor.postroom import Postroom
from supervisor.standing import Standing, Views
from supervisor.steering import Helm, Pilot
from supervisor.switchboard import Switchboard
from tests.support.clocks import FakeClock
from tests.support.desks import FakeDesk
from tests.support.offices import CHAINED, FIRST, Listener, a_claim, a_result, made


@dataclass
class Outpost:
    """One machine of those that share a ledger."""

    ledger: Ledger
    clerk: Clerk
    chains: Chains
    pilot: Pilot
    convoy: Convoy
    bulletin: Listener

    async def download(self, *paths: str) -> tuple[JobRecord, ...]:
        """Have a download complete here; return the previews that follow."""
        claim = a_claim()
        await self.clerk.claim(FIRST, claim)
        await self.clerk.completed(a_result(result=made(*paths)))
        self.clerk.book.settle((claim.queue, "j1"), FIRST)
        return await self.ledger.find(JobFilter(parent=Relative(claim.queue, "j1"), oldest=True))

    async def run(self, job: JobRecord) -> None:
        """Have a preview run here."""
        body = msgspec.json.encode(job.data)
        await self.clerk.claim(FIRST, a_claim(job.id, body=body, queue=job.queue))

    async def complete(self, job: JobRecord) -> None:
        """Have a preview that runs here completed."""
        await self.clerk.completed(a_result(job.id, queue_name=job.queue, result=made("a.jpg")))
        self.clerk.book.settle((job.queue, job.id), FIRST)

    def finished(self) -> list[str]:
        """Return the chains whose ends were told here."""
        return [event.id for event in self.bulletin.events if event.name == "finished"]


def outpost(ledger: Ledger, clock: FakeClock) -> Outpost:
    """Open a supervisor over two pools, of which the second follows the first."""
    bulletin, inbox = Listener(), Inbox()
    clerk = Clerk(ledger, CHAINED, Telling(["log"], TEXTS, lambda: None), bulletin, clock)
    queues = {card.name: card.queues for card in CHAINED}
    postroom = Postroom("amqp://broker", queues, FakeDesk())
    poster = Poster(ledger, postroom, CHAINED, bulletin, clock)
    board = Switchboard(inbox, clerk, None, clock)
    standing = Standing(
        CHAINED, Views(ledger, postroom, clerk.book, lambda _: 0), clock, is_exact=False
    )
    pilot = Pilot(Helm(clerk.book, board, inbox, poster, bulletin), ledger, standing, clock)
    chains = Chains(ledger, lambda: clerk.telling, bulletin, clock)
    convoy = Convoy(pilot, ledger, clerk.book)
    return Outpost(ledger, clerk, chains, pilot, convoy, bulletin)
