"""Messages of the same words without ids: each is a job of its own, whatever befalls the other."""

import asyncio

import pytest

from consumers.desk import Drop, Later, Run, Verdict
from supervisor.ledger.errors import PATIENCE
from supervisor.recognition import LOOK_AGAIN
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
from workers.messages import Acking, Probe, Probed, Retrying, Settled, Unsettled

pytestmark = pytest.mark.invariant(1)

THIRD = ("download-3", 1)
Q = QUEUES.public
CLAIM = a_claim(None)
AGAIN = a_claim(None, redelivered=True)


def claiming(office: Office, holder: tuple[str, int] = THIRD) -> "asyncio.Future[Verdict]":
    return asyncio.ensure_future(office.clerk.claim(holder, AGAIN))


def probes(office: Office) -> list[Probe]:
    """Return what workers are asked, from now on."""
    asked: list[Probe] = []

    def send(_: tuple[str, int], probe: Probe) -> None:
        asked.append(probe)

    office.clerk.probes.send = send
    return asked


async def crash(office: Office, job_id: str) -> None:
    await office.clerk.blamed(FIRST[0], [(Q, job_id)], "killed by SIGKILL (9)")
    await office.clerk.settlements.released(FIRST)


async def done(office: Office) -> str:
    """Have a job done whose ack waits for a line that answers."""
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await office.clerk.completed(a_result(job_id))
    return job_id


async def almost_acked(office: Office) -> str:
    """Have a job done of which its worker has said that it acks it now."""
    job_id = await done(office)
    office.clerk.settlements.hear(FIRST, Acking(Q, job_id))
    return job_id


async def done_and_acked(office: Office) -> str:
    """Have a job done and acked."""
    job_id = await done(office)
    office.clerk.settlements.settled(FIRST, Settled(Q, job_id, has_run=True, is_nameless=True))
    return job_id


async def deferred(office: Office) -> tuple[str, int]:
    """Have the redelivery of a job that killed its worker answered: the job, the copy's number."""
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await crash(office, job_id)
    verdict = await office.clerk.claim(SECOND, AGAIN)
    assert isinstance(verdict, Later)
    assert verdict.job_id == job_id
    return job_id, verdict.seq


# --- beside a job that is done -------------------------------------------------------------------


@pytest.mark.parametrize("end", ["no", "its session", "its worker"])
async def test_beside_a_job_that_is_acked_every_message_is_another(
    office: Office, end: str
) -> None:
    job_id = await done_and_acked(office)
    if end == "its session":
        office.clerk.settlements.cut_off(FIRST, 0)
    if end == "its worker":
        await office.clerk.settlements.released(FIRST)
    await office.written()

    verdict = await answered(office, claiming(office))

    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


async def test_a_job_whose_session_ended_before_its_ack_is_not_done_again_but_its_twin_is_done(
    office: Office,
) -> None:
    job_id = await done(office)
    office.clerk.settlements.cut_off(FIRST, 0)
    office.clerk.settlements.unsettled(FIRST, Unsettled(Q, job_id, has_run=True, is_nameless=True))

    first = await answered(office, claiming(office))
    office.clerk.settlements.settled(THIRD, Settled(Q, job_id, is_nameless=True))
    second = await answered(office, claiming(office, SECOND))

    assert first == Drop(job_id, "settled")
    assert isinstance(second, Run)
    assert second.job_id != job_id


async def test_a_job_whose_worker_died_in_the_moment_of_its_ack_is_done_again_if_it_comes(
    office: Office,
) -> None:
    """It may have been acked: then this is another one, which must not be lost."""
    job_id = await almost_acked(office)
    await office.clerk.settlements.released(FIRST)
    await office.written()

    verdict = await answered(office, claiming(office))

    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


# --- beside a job whose session the broker knows -------------------------------------------------


@pytest.mark.parametrize("is_done", [True, False])
async def test_a_message_is_another_than_the_job_whose_session_the_broker_knows(
    office: Office, *, is_done: bool
) -> None:
    probed = probes(office)
    job_id = await done(office) if is_done else (await office.clerk.claim(FIRST, CLAIM)).job_id
    twin = claiming(office)
    await settle()

    office.clerk.probes.answered(FIRST, Probed(probed[-1].call, is_alive=True))

    verdict = await answered(office, twin)
    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


@pytest.mark.parametrize("how", ["no session", "a session that is not the job's"])
async def test_nothing_follows_from_an_answer_that_is_not_of_the_jobs_own_session(
    office: Office, how: str
) -> None:
    probed = probes(office)
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    twin = claiming(office)
    await settle()
    if how == "a session that is not the job's":
        office.clerk.settlements.cut_off(FIRST, 0)

    is_alive = how != "no session"
    office.clerk.probes.answered(FIRST, Probed(probed[-1].call, is_alive=is_alive))
    if how == "no session":
        assert await office.stays_waiting(twin)
        office.clerk.settlements.cut_off(FIRST, 0)
    await office.clerk.completed(a_result(job_id))

    assert await answered(office, twin) == Drop(job_id, "settled")


async def test_a_worker_that_dies_while_it_is_asked_is_waited_for_no_more(office: Office) -> None:
    probes(office)
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    twin = claiming(office)
    await settle()

    office.clerk.probes.gone(FIRST)
    await crash(office, job_id)

    assert (await answered(office, twin)).job_id == job_id


async def test_a_message_is_another_than_those_that_began_after_it_came(office: Office) -> None:
    probed = probes(office)
    running = (await office.clerk.claim(FIRST, CLAIM)).job_id
    twin = claiming(office)
    await settle()
    third = (await office.clerk.claim(SECOND, CLAIM)).job_id
    await office.clerk.completed(a_result(third))  # and its ack waits for a line that answers

    office.clerk.probes.answered(FIRST, Probed(probed[-1].call, is_alive=True))

    verdict = await answered(office, twin)
    assert isinstance(verdict, Run)
    assert verdict.job_id not in {running, third}


async def test_a_message_whose_session_ended_while_it_waited_is_recognised_where_it_comes_next(
    office: Office,
) -> None:
    probes(office)
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    first = claiming(office, SECOND)
    await settle()
    office.clerk.settlements.cut_off(SECOND, 0)
    second = claiming(office, THIRD)
    await settle()

    await crash(office, job_id)

    assert isinstance(await answered(office, first), Drop)
    assert (await answered(office, second)).job_id == job_id


async def test_a_doubt_is_on_the_disk_before_others_are_compared_with_the_job(
    office: Office,
) -> None:
    job_id = await almost_acked(office)
    office.ledger.refusals = 1
    await office.clerk.settlements.released(FIRST)
    await settle()
    assert office.ledger.refusals == 0

    verdict = await answered(office, claiming(office))

    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


# --- beside a job whose copy is here already -----------------------------------------------------


@pytest.mark.parametrize("is_acked", [True, False])
async def test_the_message_of_a_copy_that_runs_already_is_owed_only_if_it_was_not_acked(
    office: Office, *, is_acked: bool
) -> None:
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    seq = await office.clerk.failed(an_error(job_id, retry=Retrying(delay=0.0)))
    await office.clerk.claim(SECOND, a_claim(job_id, seq=seq))
    settlements = office.clerk.settlements
    if is_acked:
        settlements.settled(FIRST, Settled(Q, job_id, seq=seq, has_run=True, is_nameless=True))
    else:
        settlements.unsettled(FIRST, Unsettled(Q, job_id, has_run=True, is_nameless=True))
    await office.clerk.completed(a_result(job_id))
    settlements.settled(SECOND, Settled(Q, job_id, has_run=True))
    await office.written()

    verdict = await answered(office, claiming(office))

    assert (verdict.job_id == job_id) == (not is_acked)
    assert office.clerk.book.recognised_by(FIRST) == ()


async def test_a_message_in_whose_place_a_copy_was_stored_is_owed_nothing(office: Office) -> None:
    """A broken off run goes back as a copy where the broker counts how often that happens."""
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await office.clerk.interrupted(an_error(job_id))
    settled = Settled(Q, job_id, has_run=True, is_nameless=True)
    office.clerk.settlements.settled(FIRST, settled)
    await office.written()

    assert (await answered(office, claiming(office))).job_id != job_id


# --- beside a job that is deferred ---------------------------------------------------------------


async def test_the_twin_of_a_deferred_job_waits_until_that_is_acked_and_runs(
    office: Office,
) -> None:
    job_id, seq = await deferred(office)
    twin = claiming(office)
    assert await office.stays_waiting(twin)

    office.clerk.settlements.settled(SECOND, Settled(Q, job_id, seq=seq, is_nameless=True))

    verdict = await answered(office, twin)
    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


async def test_a_deferral_that_its_worker_never_carried_out_is_ordered_again(
    office: Office,
) -> None:
    await done_and_acked(office)
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
    office.clerk.settlements.settled(FIRST, Settled(Q, job_id, seq=verdict.seq, is_nameless=True))

    assert (await answered(office, claiming(office, SECOND))).job_id != job_id


async def test_a_retry_whose_message_was_not_acked_is_known_when_that_comes_again(
    office: Office,
) -> None:
    job_id = (await office.clerk.claim(FIRST, CLAIM)).job_id
    await office.written()
    await office.clock.move(7200.0)
    await office.clerk.failed(an_error(job_id, retry=Retrying(delay=60.0)))
    office.clerk.settlements.cut_off(FIRST, 0)
    office.clerk.settlements.unsettled(FIRST, Unsettled(Q, job_id, has_run=True, is_nameless=True))
    await office.written()

    assert (await answered(office, claiming(office, SECOND))).job_id == job_id


# --- waiting -------------------------------------------------------------------------------------


async def test_a_message_does_not_wait_for_jobs_of_its_words_that_begin_after_it_came(
    office: Office,
) -> None:
    first = await done(office)
    twin = claiming(office)
    await settle()
    await office.clerk.claim(FIRST, CLAIM)

    office.clerk.settlements.settled(FIRST, Settled(Q, first, has_run=True, is_nameless=True))

    assert isinstance(await answered(office, twin), Run)


async def test_an_ack_is_on_the_disk_before_others_are_compared_with_the_job(
    office: Office,
) -> None:
    job_id = await done(office)
    twin = claiming(office)
    await office.clock.until_asleep()
    office.ledger.refusals = 1
    office.clerk.settlements.settled(FIRST, Settled(Q, job_id, has_run=True, is_nameless=True))
    await settle()
    assert office.ledger.refusals == 0
    await office.clock.move(LOOK_AGAIN)
    assert await office.stays_waiting(twin)
    await office.clock.move(PATIENCE)

    verdict = await answered(office, twin)
    assert isinstance(verdict, Run)
    assert verdict.job_id != job_id


async def test_nothing_is_remembered_of_jobs_that_are_settled_for_good(office: Office) -> None:
    await done_and_acked(office)
    assert office.clerk.book.alike(CLAIM)

    await office.written()

    assert not office.clerk.book.alike(CLAIM)
    assert office.clerk.book.recognised_by(FIRST) == ()
