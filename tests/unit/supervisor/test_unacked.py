"""A worker that died between a job's outcome and its ack, of a message without an id.

Before it said that it acks, it surely has not: the job is not done again.
"""

import asyncio
from functools import partial

import msgspec
import pytest

from consumers.desk import Drop, Run, Verdict
from supervisor.ledger.recovery import adopt
from tests.support.clocks import settle
from tests.support.offices import FIRST, SECOND, Office, a_claim, a_result, answered
from tests.support.parking import Site
from tests.support.sessions import QUEUES
from workers.messages import Acking, Parking, Settled, Unsettled

pytestmark = pytest.mark.invariant(1)

OTHER = ("download-3", 1)
Q = QUEUES.public
CLAIM = a_claim(None)


def claiming(office: Office, holder: tuple[str, int]) -> "asyncio.Future[Verdict]":
    return asyncio.ensure_future(office.clerk.claim(holder, a_claim(None, redelivered=True)))


async def done(office: Office) -> str:
    """Have a job done whose ack waits for a line that answers."""
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await office.clerk.completed(a_result(job_id))
    return job_id


async def test_a_job_whose_worker_died_before_its_ack_is_not_done_again_but_its_twin_is_done(
    office: Office,
) -> None:
    job_id = await done(office)
    await office.clerk.settlements.released(FIRST)
    await office.written()

    first = await answered(office, claiming(office, OTHER))
    office.clerk.settlements.settled(OTHER, Settled(Q, job_id, is_nameless=True))
    second = await answered(office, claiming(office, SECOND))

    assert first == Drop(job_id, "settled")
    assert isinstance(second, Run)
    assert second.job_id != job_id


@pytest.mark.parametrize("is_acking", [True, False])
async def test_a_redelivery_whose_worker_died_is_known_once_more_unless_it_may_be_acked(
    office: Office, *, is_acking: bool
) -> None:
    job_id = await done(office)
    settlements = office.clerk.settlements
    await settlements.released(FIRST)
    assert await answered(office, claiming(office, OTHER)) == Drop(job_id, "settled")
    if is_acking:
        settlements.hear(OTHER, Acking(Q, job_id))
    await settlements.released(OTHER)
    await office.written()

    verdict = await answered(office, claiming(office, SECOND))

    assert isinstance(verdict, Run) if is_acking else verdict == Drop(job_id, "settled")


@pytest.mark.parametrize("why", ["parked", "embedded", "misheard"])
async def test_beside_a_job_that_may_be_acked_without_a_word_every_message_is_another(
    office: Office, why: str
) -> None:
    claim = msgspec.structs.replace(CLAIM, tag=7) if why == "embedded" else CLAIM
    job_id = (await office.clerk.claim(FIRST, claim)).job_id
    if why == "parked":
        office.clerk.book.park((Q, job_id), 1, is_owed=False)
    if why == "misheard":
        office.clerk.book.misheard(FIRST)
    await office.clerk.completed(a_result(job_id))
    await office.clerk.settlements.released(FIRST)
    await office.written()

    verdict = await answered(office, claiming(office, OTHER))

    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


async def test_nor_is_it_known_of_one_that_was_just_being_parked(site: Site) -> None:
    office = site.office
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    assert await site.lot.number(FIRST, Parking(1, Q, job_id))
    await office.clerk.completed(a_result(job_id))
    await office.clerk.settlements.released(FIRST)
    await office.written()

    verdict = await answered(office, claiming(office, OTHER))

    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


@pytest.mark.parametrize("has_come", [False, True])
async def test_a_job_that_ended_after_its_session_is_known_by_the_next_coordinator_unless_it_came(
    office: Office, *, has_come: bool
) -> None:
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    settlements = office.clerk.settlements
    settlements.cut_off(FIRST, 0)
    await office.clerk.completed(a_result(job_id))
    if has_come:
        assert await answered(office, claiming(office, OTHER)) == Drop(job_id, "settled")
        settlements.settled(OTHER, Settled(Q, job_id, is_nameless=True))
        await office.written()
    settlements.unsettled(FIRST, Unsettled(Q, job_id, has_run=True, is_nameless=True))
    await office.written()
    succession = partial(adopt, nodes=[""], now=office.clock.utcnow())
    await office.ledger.write(succession)

    verdict = await answered(office, claiming(office, SECOND))

    assert isinstance(verdict, Run) if has_come else verdict == Drop(job_id, "settled")


async def test_a_message_claimed_by_a_dying_worker_and_by_another_is_one_job(
    office: Office,
) -> None:
    """Judged while the first claim of it was still being compared, it would be two."""
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await office.written()
    await office.clerk.settlements.released(FIRST)
    gate = office.ledger.gate = asyncio.Event()
    first, second = claiming(office, SECOND), claiming(office, OTHER)
    await settle()
    gate.set()
    assert isinstance(await answered(office, first), Run)

    await office.clerk.settlements.released(SECOND)
    verdict = await answered(office, second)

    assert isinstance(verdict, Run)
    assert verdict.job_id == job_id


async def test_a_claim_that_waits_for_a_run_keeps_others_of_its_words_waiting_until_it_dies(
    office: Office,
) -> None:
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await office.written()
    office.clerk.settlements.cut_off(FIRST, 0)
    first = claiming(office, SECOND)
    assert await office.stays_waiting(first)
    second = claiming(office, OTHER)
    assert await office.stays_waiting(second)

    await office.clerk.settlements.released(SECOND)
    await office.clerk.completed(a_result(job_id))

    assert await answered(office, second) == Drop(job_id, "settled")
