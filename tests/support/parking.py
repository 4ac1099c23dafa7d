"""A parking lot beside a clerk, on a broker in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from consumers import copies
from consumers.desk import Run
from consumers.jobs import SEQ
from consumers.topology import inflight
from supervisor.book import Holder
from supervisor.parking import ParkingLot, Plan
from tests.support.clocks import settle
from tests.support.offices import BODY, FIRST, Office, a_claim
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory, a_message
from workers.messages import Adopted, Parked, Parking

NODE = "n1"
INFLIGHT = inflight(NODE)
KEY = (QUEUES.public, "j1")
EVERY = 600.0


@dataclass
class Site:
    """A parking lot beside a clerk, on a broker in memory."""

    office: Office
    lot: ParkingLot
    broker: BrokerInMemory
    session: SessionInMemory
    told: list[tuple[Holder, Adopted]] = field(default_factory=list)

    async def park(self, seq: int = 1, *, job_id: str = "j1") -> None:
        """Have a worker's parked copy arrive, and judged."""
        self.arrive(seq, job_id=job_id)
        await self.judged()

    def arrive(self, seq: int, *, job_id: str) -> None:
        """Have a worker's parked copy arrive."""
        message = copies.again(a_message(BODY), job_id=job_id, seq=seq, attempts=0)
        self.broker.put(INFLIGHT, copies.parked(message, queue=QUEUES.public))

    async def run_and_park(self) -> Run:
        """Let a job run, and park it as its worker does."""
        run = await self.office.clerk.claim(FIRST, a_claim())
        assert isinstance(run, Run)
        seq = await self.lot.number(FIRST, Parking(1, *KEY))
        await self.park(seq)
        self.lot.parked(Parked(*KEY, seq))
        await self.judged()
        return run

    async def judged(self) -> None:
        """Wait until everything that was begun is done."""
        for _ in range(5):
            await self.office.written()
            await self.office.ledger.counts()
            await settle()

    @property
    def held(self) -> list[int]:
        """The numbers of the copies in hand."""
        return sorted(
            int(str(delivery.message.properties.headers[SEQ]))
            for delivery, _ in self.session.in_hand.values()
        )

    @property
    def moved(self) -> list[str]:
        return [one.queue for one in self.broker.published if one.queue == QUEUES.priority]


@asynccontextmanager
async def parking_lot(office: Office) -> AsyncIterator[Site]:
    """Open one."""
    broker, told = BrokerInMemory(), list[tuple[Holder, Adopted]]()
    plan = Plan(NODE, EVERY, (QUEUES,))

    def tell(holder: Holder, adopted: Adopted) -> None:
        told.append((holder, adopted))

    lot = ParkingLot(plan, office.clerk.book, office.ledger, tell, office.clock)
    office.clerk.park_in(lot)
    session = await broker.connect()
    await lot.open(session)
    yield Site(office, lot, broker, session, told)
    lot.lost()
    await lot.close()
