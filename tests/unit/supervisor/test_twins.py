"""Messages of the same words without ids: each is a job of its own, whatever befalls the other."""

import asyncio

import pytest

from consumers.desk import Drop, Later, Run, Verdict
from supervisor.arbiter import LOOK_AGAIN
from supervisor.ledger.errors import PATIENCE
from tests.support.clocks import settle
from tests.support.offices import (
    FIRST,
    SECOND,
    Office,
    a_claim,
    a_result,
    an_error,
    answered,
)
from tests.support.sessions import QUEUES
from workers.messages import Held, Proven, Retrying, Settled

pytestmark = pytest.mark.invariant(1)

THIRD = ("download-3", 1)
Q = QUEUES.public
CLAIM = a_claim(None)
AGAIN = a_claim(None, redelivered=True)


def claiming(office: Office, holder: tuple[str, int] = THIRD) -> "asyncio.Future[Verdict]":
    return asyncio.ensure_future(office.clerk.claim(holder, AGAIN))


async def held(office: Office) -> None:
    """Let a worker have a message of these words, and no slot for it."""
    await office.clerk.held(Held(Q, CLAIM.fingerprint))


async def crash(office: Office, job_id: str) -> None:
    await office.clerk.blamed(FIRST[0], [(Q, job_id)], "killed by SIGKILL (9)")
    await office.clerk.settlements.released(FIRST)


async def done_and_acked(office: Office, *, twice: bool = False) -> str:
    """Have a job done whose ack is written; beside it, if ``twice``, waits another message."""
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    if twice:
        await held(office)
    await office.clerk.completed(a_result(job_id))
    settled = Settled(Q, job_id, has_run=True, is_unproven=True)
    office.clerk.settlements.settled(FIRST, settled)
    return job_id


async def deferred(office: Office) -> tuple[str, int]:
    """Have the redelivery of a job that killed its worker answered: the job, the copy's number."""
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await crash(office, job_id)
    verdict = await office.clerk.claim(SECOND, AGAIN)
    assert isinstance(verdict, Later)
    assert verdict.job_id == job_id
    return job_id, verdict.seq


# --- beside a job in doubt -----------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before the run", "during the run", "after the ack"])
async def test_a_message_that_was_seen_and_not_claimed_is_not_taken_for_a_job_in_doubt(
    office: Office, when: str
) -> None:
    """Its worker died too, or gave it back: that is why it is redelivered."""
    if when == "before the run":
        await held(office)
    job_id = await done_and_acked(office, twice=when == "during the run")
    if when == "after the ack":
        await held(office)
    await office.clerk.settlements.released(FIRST)

    verdict = await answered(office, claiming(office))

    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


async def test_a_message_that_was_claimed_after_all_leaves_the_doubt_as_it_was(
    office: Office,
) -> None:
    await held(office)
    other = await office.clerk.claim(SECOND, a_claim(None, was_held=True))
    await office.clerk.completed(a_result(other.job_id))
    office.clerk.settlements.settled(SECOND, Settled(Q, other.job_id, has_run=True))
    office.clerk.settlements.proven(SECOND, Proven(Q, (other.job_id,), holds=True))
    await office.written()
    job_id = await done_and_acked(office)
    await office.clerk.settlements.released(FIRST)

    assert await answered(office, claiming(office)) == Drop(job_id, "settled")


async def test_a_message_given_back_long_after_a_job_in_doubt_runs(office: Office) -> None:
    job_id = await done_and_acked(office)
    await office.clerk.settlements.released(FIRST)
    await office.written()
    await office.clock.move(600.0)

    verdict = await answered(office, claiming(office))

    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


# --- beside a job that is deferred ---------------------------------------------------------------


async def test_the_twin_of_a_deferred_job_waits_until_its_ack_has_arrived_and_runs(
    office: Office,
) -> None:
    job_id, seq = await deferred(office)
    twin = claiming(office)
    assert await office.stays_waiting(twin)
    settled = Settled(Q, job_id, seq=seq, is_unproven=True)
    office.clerk.settlements.settled(SECOND, settled)
    await office.written()
    assert await office.stays_waiting(twin)

    office.clerk.settlements.proven(SECOND, Proven(Q, (job_id,), holds=True))

    verdict = await answered(office, twin)
    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


async def test_a_deferral_that_its_worker_never_carried_out_is_ordered_again(
    office: Office,
) -> None:
    other = await done_and_acked(office)
    office.clerk.settlements.proven(FIRST, Proven(Q, (other,), holds=True))
    await office.written()
    job_id, _ = await deferred(office)

    await office.clerk.settlements.released(SECOND)  # killed before it published the copy

    verdict = await answered(office, claiming(office))
    assert verdict.job_id == job_id


async def test_the_twin_of_a_job_that_the_machine_broke_off_runs(office: Office) -> None:
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await office.clerk.interrupted(an_error(job_id))
    await office.clerk.claim(FIRST, AGAIN)
    await office.clerk.interrupted(an_error(job_id))
    verdict = await office.clerk.claim(FIRST, AGAIN)
    assert isinstance(verdict, Later)
    settled = Settled(Q, job_id, seq=verdict.seq, is_unproven=True)
    office.clerk.settlements.settled(FIRST, settled)
    office.clerk.settlements.proven(FIRST, Proven(Q, (job_id,), holds=True))

    assert (await answered(office, claiming(office, SECOND))).job_id != job_id


async def test_a_long_job_in_doubt_is_known_however_long_ago_it_began(office: Office) -> None:
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await office.written()
    await office.clock.move(7200.0)
    seq = await office.clerk.failed(an_error(job_id, retry=Retrying(delay=60.0)))
    settled = Settled(Q, job_id, seq=seq, has_run=True, is_unproven=True)
    office.clerk.settlements.settled(FIRST, settled)
    office.clerk.settlements.proven(FIRST, Proven(Q, (job_id,), holds=False))

    assert (await answered(office, claiming(office, SECOND))).job_id == job_id


# --- waiting -------------------------------------------------------------------------------------


async def test_a_message_does_not_wait_for_jobs_of_its_words_that_begin_after_it_came(
    office: Office,
) -> None:
    first = await done_and_acked(office)
    twin = claiming(office)
    await settle()
    await office.clerk.claim(FIRST, CLAIM)

    office.clerk.settlements.proven(FIRST, Proven(Q, (first,), holds=True))

    assert isinstance(await answered(office, twin), Run)


async def test_a_proof_is_on_the_disk_before_others_are_compared_with_the_job(
    office: Office,
) -> None:
    job_id = await done_and_acked(office)
    twin = claiming(office)
    await office.clock.until_asleep()
    office.ledger.refusals = 1
    office.clerk.settlements.proven(FIRST, Proven(Q, (job_id,), holds=True))
    await settle()
    assert office.ledger.refusals == 0
    await office.clock.move(LOOK_AGAIN)
    assert await office.stays_waiting(twin)
    await office.clock.move(PATIENCE)

    verdict = await answered(office, twin)
    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


async def test_nothing_is_remembered_of_jobs_that_are_settled_for_good(office: Office) -> None:
    job_id = await done_and_acked(office)
    assert office.clerk.book.has_words(Q, CLAIM.fingerprint)

    office.clerk.settlements.proven(FIRST, Proven(Q, (job_id,), holds=True))
    await office.written()

    assert not office.clerk.book.has_words(Q, CLAIM.fingerprint)
    assert office.clerk.book.unproven(FIRST) == ()
