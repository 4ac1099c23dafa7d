"""The parked copies: held while their job is in hand, gone when it is over, never lost between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from consumers import copies
from consumers.desk import Drop, Later, Park, Run
from consumers.errors import OccupiedError
from consumers.jobs import SEQ
from consumers.topology import NODES, inflight
from supervisor.book import Holder
from supervisor.ledger.errors import PATIENCE
from supervisor.parking import ParkingLot, Plan
from tests.support.clocks import WITHIN, settle
from tests.support.offices import (
    BODY,
    FIRST,
    SECOND,
    Office,
    a_claim,
    a_letter,
    a_result,
    an_error,
)
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory, a_message
from workers.messages import Adopted, Parked, Parking, Retrying, Settled, Unsettled

NODE = "n1"
INFLIGHT = inflight(NODE)
KEY = (QUEUES.public, "j1")
EVERY = 600.0
RETRY = Retrying(delay=4.0)


@dataclass
class Site:
    """A parking lot beside a clerk, on a broker in memory."""

    office: Office
    lot: ParkingLot
    broker: BrokerInMemory
    session: SessionInMemory
    told: list[tuple[Holder, Adopted]] = field(default_factory=list)

    async def park(self, seq: int = 1, *, job_id: str = "j1") -> None:
        """Have a worker's parked copy arrive."""
        message = copies.again(a_message(BODY), job_id=job_id, seq=seq, attempts=0)
        self.broker.put(INFLIGHT, copies.parked(message, queue=QUEUES.public))
        await self.judged()

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


@pytest.fixture
async def site(office: Office) -> AsyncIterator[Site]:
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


# --- copies ----------------------------------------------------------------------------------


async def test_a_node_is_registered_before_its_queue_is_made_and_only_then(site: Site) -> None:
    assert site.broker.diary == [
        f"declared {NODES}",
        f"published to {NODES}",
        f"declared {INFLIGHT}",
        f"consumes {INFLIGHT}",
    ]
    before = len(site.broker.diary)
    site.session.end()
    site.lot.lost()

    await site.lot.open(await site.broker.connect())

    assert site.broker.diary[before:] == [f"consumes {INFLIGHT}"]


async def test_the_copy_of_a_running_job_is_held_and_known_to_be_stored(site: Site) -> None:
    await site.run_and_park()

    known = await site.office.ledger.known(*KEY)
    assert known is not None
    assert (known.seq, known.confirmed, known.state.value) == (1, True, "active")
    assert site.held == [1]
    assert site.told == [(FIRST, Adopted(*KEY, 1))]


@pytest.mark.invariant(2)
async def test_it_is_acked_once_the_result_is_committed(site: Site) -> None:
    await site.run_and_park()

    await site.office.clerk.completed(a_result())
    await site.judged()

    assert site.held == []
    assert site.moved == []
    assert site.broker.diary[-1] == "acked"


async def test_what_is_held_is_given_back_from_time_to_time_and_comes_again(site: Site) -> None:
    await site.run_and_park()

    await site.office.clock.move(EVERY)
    await site.judged()

    assert site.broker.diary[-1] == "given back"
    assert site.held == [1]


@pytest.mark.invariant(1)
async def test_the_copy_of_a_job_whose_worker_died_goes_back_to_its_pool(site: Site) -> None:
    await site.run_and_park()

    await site.office.clerk.blamed(FIRST[0], [KEY], "killed by SIGKILL (9)")
    await site.judged()

    assert site.held == []
    assert site.moved == [QUEUES.priority]
    assert site.broker.diary[-2:] == [f"published to {QUEUES.priority}", "acked"]
    verdict = await site.office.clerk.claim(SECOND, a_claim(seq=1))
    assert isinstance(verdict, Later)
    assert verdict.seq == 2


async def test_so_does_one_that_a_stopped_worker_left_behind(site: Site) -> None:
    await site.run_and_park()

    await site.office.clerk.released(FIRST)
    await site.judged()

    assert site.moved == [QUEUES.priority]


async def test_and_one_that_an_earlier_coordinator_left_behind(site: Site) -> None:
    await site.park(3, job_id="of another life")

    assert site.moved == [QUEUES.priority]
    assert site.held == []


@pytest.mark.invariant(1)
async def test_it_stays_where_it_is_while_its_pool_does_not_take_it(site: Site) -> None:
    site.broker.refusing.add(QUEUES.priority)
    await site.park(3, job_id="of another life")
    assert site.held == [3]
    assert site.session.declared == [QUEUES]

    site.broker.refusing.clear()
    await site.office.clock.move(EVERY)
    await site.judged()

    assert site.moved == [QUEUES.priority]
    assert site.held == []


@pytest.mark.invariant(1)
async def test_it_is_held_while_the_retry_of_its_job_may_not_be_stored(site: Site) -> None:
    await site.run_and_park()

    seq = await site.office.clerk.failed(an_error(retry=RETRY))
    await site.judged()
    assert (seq, site.held) == (2, [1])

    site.office.clerk.settled(FIRST, Settled(*KEY, seq=seq, has_run=True))
    await site.judged()
    assert (site.held, site.moved) == ([], [])


async def test_it_goes_back_when_the_worker_dies_before_it_stored_the_retry(site: Site) -> None:
    await site.run_and_park()
    await site.office.clerk.failed(an_error(retry=RETRY))

    await site.office.clerk.released(FIRST)
    await site.judged()

    assert site.moved == [QUEUES.priority]
    verdict = await site.office.clerk.claim(SECOND, a_claim(seq=1))
    assert isinstance(verdict, Later)
    assert (verdict.seq, verdict.attempts) == (3, 1)


async def test_a_lost_session_does_not_take_a_parked_job_from_the_worker_that_settles_it(
    site: Site,
) -> None:
    await site.run_and_park()
    await site.office.clerk.failed(an_error(retry=RETRY))

    site.office.clerk.cut_off(FIRST)
    await site.judged()

    assert (site.held, site.moved) == ([1], [])


@pytest.mark.parametrize("letter_first", [True, False])
async def test_it_is_let_go_of_once_the_dead_letter_is_stored(
    site: Site,
    letter_first: bool,  # noqa: FBT001
) -> None:
    await site.run_and_park()
    await site.office.clerk.failed(an_error())
    await site.judged()
    assert site.held == [1]

    if letter_first:
        await site.office.clerk.buried(a_letter(), FIRST[0])
    else:
        site.office.clerk.settled(FIRST, Settled(*KEY, has_run=True))
    await site.judged()

    assert (site.held, site.moved) == ([], [])


async def test_of_two_copies_of_a_job_the_newer_one_is_held(site: Site) -> None:
    await site.run_and_park()

    await site.park(2)
    assert site.held == [2]
    await site.park(1)

    assert site.held == [2]


async def test_a_copy_older_than_what_runs_is_not_said_to_stand_for_it(site: Site) -> None:
    await site.office.clerk.claim(FIRST, a_claim(seq=5))

    await site.park(5)

    assert site.told == []


async def test_what_is_no_copy_of_ours_is_kept_and_comes_again(site: Site) -> None:
    site.broker.put(INFLIGHT, a_message())
    await settle()
    assert len(site.session.in_hand) == 1

    await site.office.clock.move(EVERY)
    await settle()

    assert len(site.session.in_hand) == 1
    assert "given back" in site.broker.diary
    assert site.moved == []


async def test_what_an_ended_session_delivered_comes_again_with_the_next(site: Site) -> None:
    await site.run_and_park()
    site.session.end()
    site.lot.lost()
    assert not site.lot.is_open
    await site.office.clerk.completed(a_result())

    site.session = await site.broker.connect()
    await site.lot.open(site.session)
    await site.judged()

    assert site.held == []
    assert site.broker.diary[-1] == "acked"


async def test_another_coordinator_of_that_name_is_kept_out(site: Site) -> None:
    other = ParkingLot(
        Plan(NODE, EVERY, ()),
        site.office.clerk.book,
        site.office.ledger,
        lambda *_: None,
        site.office.clock,
    )

    with pytest.raises(OccupiedError, match="another coordinator with this node id"):
        await other.open(await site.broker.connect())

    assert not other.is_open


# --- what workers ask ------------------------------------------------------------------------


async def test_a_number_is_given_once_and_only_for_a_job_in_that_very_hand(site: Site) -> None:
    asked = Parking(1, *KEY)
    assert await site.lot.number(FIRST, asked) == 0
    await site.office.clerk.claim(FIRST, a_claim(seq=4))

    assert [await site.lot.number(FIRST, asked) for _ in range(2)] == [5, 6]
    assert await site.lot.number(SECOND, asked) == 0
    site.lot.lost()
    assert await site.lot.number(FIRST, asked) == 0


@pytest.mark.invariant(4)
async def test_one_more_delivery_of_a_running_job_is_parked(site: Site) -> None:
    await site.office.clerk.claim(FIRST, a_claim())

    verdict = await site.office.clerk.claim(SECOND, a_claim(redelivered=True))

    assert verdict == Park("j1", 1)
    await site.park(1)
    assert site.told == [(FIRST, Adopted(*KEY, 1))]


async def test_so_is_one_that_is_claimed_at_the_very_same_moment(site: Site) -> None:
    claims = [site.office.clerk.claim(holder, a_claim()) for holder in (FIRST, SECOND)]

    first, second = await asyncio.wait_for(asyncio.gather(*claims), WITHIN)

    assert isinstance(first, Run)
    assert isinstance(second, Park)


async def test_the_original_of_a_parked_job_is_stale(site: Site) -> None:
    await site.run_and_park()

    assert await site.office.clerk.claim(SECOND, a_claim(redelivered=True)) == Drop("j1", "stale")


async def test_a_delivery_of_a_running_job_waits_until_jobs_can_be_parked(site: Site) -> None:
    site.session.end()
    site.lot.lost()
    await site.office.clerk.claim(FIRST, a_claim())
    waits = asyncio.ensure_future(site.office.clerk.claim(SECOND, a_claim(redelivered=True)))
    assert await site.office.stays_waiting(waits)

    await site.lot.open(await site.broker.connect())

    assert await asyncio.wait_for(waits, WITHIN) == Park("j1", 1)


async def test_two_old_deliveries_are_told_to_be_two_different_copies(site: Site) -> None:
    await site.office.clerk.claim(FIRST, a_claim())
    await site.office.clerk.blamed(FIRST[0], [KEY], "killed by SIGKILL (9)")

    claims = [site.office.clerk.claim(SECOND, a_claim(redelivered=True)) for _ in range(2)]
    first, second = await asyncio.gather(*claims)

    assert isinstance(first, Later)
    assert isinstance(second, Later)
    assert {first.seq, second.seq} == {1, 2}


# --- messages without an id ------------------------------------------------------------------


async def test_the_redelivery_of_a_running_job_that_lost_its_session_is_parked(
    site: Site,
) -> None:
    run = await site.office.clerk.claim(FIRST, a_claim(None))
    await site.judged()
    site.office.clerk.cut_off(FIRST)

    verdict = await site.office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    assert verdict == Park(run.job_id, 1)


async def test_a_twin_of_a_parked_job_is_a_job_of_its_own_and_need_not_wait(site: Site) -> None:
    run = await site.office.clerk.claim(FIRST, a_claim(None))
    site.lot.parked(Parked(QUEUES.public, run.job_id, 1))
    await site.judged()

    twin = await site.office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    assert isinstance(twin, Run)
    assert twin.job_id != run.job_id


async def test_an_original_whose_ack_is_owed_is_recognised_and_stale(site: Site) -> None:
    run = await site.office.clerk.claim(FIRST, a_claim(None))
    seq = await site.lot.number(FIRST, Parking(1, QUEUES.public, run.job_id))
    site.lot.parked(Parked(QUEUES.public, run.job_id, seq, is_owed=True))
    await site.judged()

    verdict = await site.office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    assert verdict == Drop(run.job_id, "stale")


async def test_a_delivery_that_could_not_be_parked_is_recognised_once_more(site: Site) -> None:
    run = await site.office.clerk.claim(FIRST, a_claim(None))
    await site.judged()
    site.office.clerk.cut_off(FIRST)
    await site.office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    site.office.clerk.unsettled(SECOND, Unsettled(QUEUES.public, run.job_id))
    await site.judged()

    again = await site.office.clerk.claim(SECOND, a_claim(None, redelivered=True))
    assert again == Park(run.job_id, 2)


async def test_a_delivery_that_was_recognised_is_not_forgotten_by_a_ledger_in_trouble(
    site: Site,
) -> None:
    run = await site.office.clerk.claim(FIRST, a_claim(None))
    await site.judged()
    site.office.clerk.cut_off(FIRST)
    claim = asyncio.ensure_future(site.office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    await asyncio.sleep(0)  # it is being recognised: that write is on its way

    site.office.ledger.refusals = 1
    await site.office.clock.until_asleep(2)  # the refresh of what is held, and this
    await site.office.clock.move(PATIENCE)

    assert await asyncio.wait_for(claim, WITHIN) == Park(run.job_id, 1)


async def test_a_delivery_whose_worker_died_before_it_was_told_is_recognised_once_more(
    site: Site,
) -> None:
    run = await site.office.clerk.claim(FIRST, a_claim(None))
    await site.judged()
    site.office.clerk.cut_off(FIRST)
    await site.office.clerk.released(SECOND)
    assert isinstance(await site.office.clerk.claim(SECOND, a_claim(None, redelivered=True)), Drop)

    verdict = await site.office.clerk.claim((SECOND[0], 2), a_claim(None, redelivered=True))

    assert verdict == Park(run.job_id, 1)


@pytest.mark.invariant(1)
async def test_the_late_word_of_an_earlier_run_does_not_cost_the_copy_of_the_next(
    site: Site,
) -> None:
    """A worker that was stopped says that it settled when another has parked the job again."""
    await site.run_and_park()
    seq = await site.office.clerk.failed(an_error(retry=RETRY))
    await site.office.clerk.claim(SECOND, a_claim(seq=seq))
    parked = await site.lot.number(SECOND, Parking(1, *KEY))
    await site.park(parked)

    site.office.clerk.settled(FIRST, Settled(*KEY, seq=seq, has_run=True))
    await site.judged()

    assert site.held == [parked]
