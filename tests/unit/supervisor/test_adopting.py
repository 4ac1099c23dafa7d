"""One more delivery of a job that runs or is parked: adopted, stale, or a job of its own."""

import asyncio

import pytest

from consumers.desk import Drop, Later, Park, Run
from supervisor.ledger.errors import PATIENCE
from tests.support.clocks import WITHIN
from tests.support.offices import (
    FIRST,
    SECOND,
    a_claim,
    an_error,
)
from tests.support.parking import KEY, Site
from tests.support.sessions import QUEUES
from workers.messages import Adopted, Parked, Parking, Retrying, Settled, Unsettled

RETRY = Retrying(delay=4.0)


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


async def test_so_is_one_whose_job_is_entered_while_it_is_looked_up(site: Site) -> None:
    gate = site.office.ledger.gate = asyncio.Event()
    first = asyncio.ensure_future(site.office.clerk.claim(FIRST, a_claim()))
    second = asyncio.ensure_future(site.office.clerk.claim(SECOND, a_claim()))
    assert isinstance(await asyncio.wait_for(first, WITHIN), Run)
    running = site.office.clerk.book.running((QUEUES.public, "j1"))
    assert running is not None

    gate.set()
    await running.begun.wait()

    assert isinstance(await asyncio.wait_for(second, WITHIN), Park)


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
    site.office.clerk.settlements.cut_off(FIRST, 0)

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
    site.office.clerk.settlements.cut_off(FIRST, 0)
    await site.office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    site.office.clerk.settlements.unsettled(SECOND, Unsettled(QUEUES.public, run.job_id))
    await site.judged()

    again = await site.office.clerk.claim(SECOND, a_claim(None, redelivered=True))
    assert again == Park(run.job_id, 2)


async def test_a_delivery_that_was_recognised_is_not_forgotten_by_a_ledger_in_trouble(
    site: Site,
) -> None:
    run = await site.office.clerk.claim(FIRST, a_claim(None))
    await site.judged()
    site.office.clerk.settlements.cut_off(FIRST, 0)
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
    site.office.clerk.settlements.cut_off(FIRST, 0)
    await site.office.clerk.settlements.released(SECOND)
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

    site.office.clerk.settlements.settled(FIRST, Settled(*KEY, seq=seq, has_run=True))
    await site.judged()

    assert site.held == [parked]
