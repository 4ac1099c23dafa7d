"""The clerk's verdicts: which deliveries may run, and that no job runs twice at once."""

import asyncio

import pytest

from consumers.desk import Condemn, Drop, Later, Run, Verdict
from consumers.outcome import Failure
from supervisor.core.records import JobState
from tests.support.clocks import WITHIN, settle
from tests.support.offices import (
    FIRST,
    SECOND,
    Office,
    a_claim,
    a_letter,
    a_result,
    an_error,
    answered,
)
from tests.support.sessions import QUEUES
from workers.messages import Retrying, Settled, Unsettled

KEY = (QUEUES.public, "j1")
RETRY = Retrying(delay=4.0)
AGAIN = a_claim(None, redelivered=True)


async def done(task: "asyncio.Future[Verdict]") -> Verdict:
    return await asyncio.wait_for(task, WITHIN)


async def crash(office: Office, *, times: int, job_id: str = "j1") -> None:
    for _ in range(times):
        await office.clerk.blamed(FIRST[0], [(QUEUES.public, job_id)], "killed by SIGKILL (9)")


async def dropped_when_it_came_again(office: Office) -> str:
    """Have a job done and not acked, and its redelivery recognised; return its id."""
    run = await office.clerk.claim(FIRST, a_claim(None))
    await office.clerk.completed(a_result(run.job_id))
    office.clerk.settlements.cut_off(FIRST, 0)
    assert await office.clerk.claim(SECOND, AGAIN) == Drop(run.job_id, "settled")
    return run.job_id


# --- claims ----------------------------------------------------------------------------------


async def test_a_new_job_may_run_and_is_entered_as_active(office: Office) -> None:
    verdict = await office.clerk.claim(FIRST, a_claim(attempts=1, seq=1))
    await office.clerk.completed(a_result())

    assert verdict == Run("j1", attempts=1, seq=1)
    assert [run.number for run in (await office.record()).history] == [2]


async def test_a_job_without_an_id_gets_one_of_its_own_each_time(office: Office) -> None:
    first = await office.clerk.claim(FIRST, a_claim(None))
    second = await office.clerk.claim(SECOND, a_claim(None))

    assert isinstance(first, Run)
    assert isinstance(second, Run)
    assert first.job_id != second.job_id


@pytest.mark.invariant(4)
async def test_a_job_claimed_twice_at_once_runs_once(office: Office) -> None:
    claims = [asyncio.ensure_future(office.clerk.claim(FIRST, a_claim())) for _ in range(5)]
    first, others = await asyncio.wait(claims, timeout=WITHIN, return_when=asyncio.FIRST_COMPLETED)
    assert [await one for one in first] == [Run("j1")]
    assert all([await office.stays_waiting(other) for other in others])

    await office.clerk.completed(a_result())

    assert [await done(other) for other in others] == [Drop("j1", "settled")] * 4


async def test_jobs_of_one_id_in_two_states_of_hand_are_counted_once(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    waits = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim()))
    await settle()

    assert office.clerk.active(QUEUES.public) == 1
    assert office.clerk.active("another") == 0
    waits.cancel()


async def test_a_claim_that_waits_for_a_run_that_crashed_is_for_later(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    waits = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(redelivered=True)))
    assert await office.stays_waiting(waits)

    await crash(office, times=1)

    verdict = await done(waits)
    assert isinstance(verdict, Later)
    assert (verdict.delay, verdict.seq) == (1.0, 1)
    assert (await office.record()).state is JobState.DELAYED


async def test_a_claim_that_waits_for_a_run_that_was_released_may_run(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    waits = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(redelivered=True)))
    assert await office.stays_waiting(waits)

    await office.clerk.settlements.released(FIRST)

    assert await done(waits) == Run("j1")
    assert (await office.record()).crashes == 0


async def test_a_job_that_took_three_workers_down_is_condemned(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await crash(office, times=3)

    verdict = await office.clerk.claim(SECOND, a_claim(redelivered=True))

    assert isinstance(verdict, Condemn)
    assert verdict.failure.code == "worker_died"
    assert "killed by SIGKILL" in verdict.failure.message


async def test_a_job_that_was_given_up_but_never_seen_dead_is_condemned_again(
    office: Office,
) -> None:
    await office.clerk.claim(FIRST, a_claim(attempts=2))
    await office.clerk.failed(an_error())

    verdict = await office.clerk.claim(SECOND, a_claim(redelivered=True))

    assert verdict == Condemn("j1", Failure("no such host", code="network"), attempts=3)


async def test_a_job_whose_dead_letter_was_seen_is_settled(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await office.clerk.failed(an_error())
    await office.clerk.buried(a_letter(), FIRST[0])

    verdict = await office.clerk.claim(SECOND, a_claim(redelivered=True))

    assert verdict == Drop("j1", "settled")


async def test_a_copy_is_committed_before_it_is_ordered(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await crash(office, times=1)

    await office.clerk.claim(SECOND, a_claim(redelivered=True))

    known = await office.ledger.known(*KEY)
    assert known is not None
    assert (known.seq, known.confirmed) == (1, False)


async def test_a_copy_that_was_never_confirmed_is_made_again(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await office.clerk.failed(an_error(retry=RETRY))

    verdict = await office.clerk.claim(SECOND, a_claim(redelivered=True))

    assert isinstance(verdict, Later)
    assert (verdict.seq, verdict.attempts, verdict.delay) == (2, 1, 0.0)


async def test_the_original_of_a_confirmed_copy_is_stale(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await office.clerk.failed(an_error(retry=RETRY))
    office.clerk.settlements.settled(FIRST, Settled(*KEY, seq=1, has_run=True))
    await office.written()

    verdict = await office.clerk.claim(SECOND, a_claim(redelivered=True))

    assert verdict == Drop("j1", "stale")


async def test_a_worker_that_died_while_it_waited_is_granted_nothing(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    waits = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(redelivered=True)))
    assert await office.stays_waiting(waits)
    await office.clerk.settlements.released(SECOND)
    await office.clerk.settlements.released(FIRST)

    assert isinstance(await done(waits), Drop)
    following = office.clerk.claim(("download-2", 2), a_claim(redelivered=True))
    assert await asyncio.wait_for(following, WITHIN) == Run("j1")


async def test_a_new_process_of_the_same_worker_is_not_taken_for_the_dead_one(
    office: Office,
) -> None:
    await office.clerk.settlements.released(FIRST)

    verdict = await office.clerk.claim(("download-1", 2), a_claim())

    assert verdict == Run("j1")


# --- second publishes --------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["completed", "waits for its retry"])
async def test_a_second_publish_of_a_known_id_is_counted(office: Office, end: str) -> None:
    await office.clerk.claim(FIRST, a_claim())
    if end == "completed":
        await office.clerk.completed(a_result())
    else:
        seq = await office.clerk.failed(an_error(retry=RETRY))
        office.clerk.settlements.settled(FIRST, Settled(*KEY, seq=seq, has_run=True))
        await office.written()

    assert isinstance(await office.clerk.claim(SECOND, a_claim()), Drop)

    assert office.clerk.duplicates(QUEUES.public) == 1
    assert office.clerk.duplicates("another") == 0


async def test_what_the_broker_or_we_sent_again_is_no_second_publish(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim(seq=1))
    await office.clerk.completed(a_result())

    for again in (a_claim(redelivered=True), a_claim(seq=1)):
        assert isinstance(await office.clerk.claim(SECOND, again), Drop)

    assert office.clerk.duplicates(QUEUES.public) == 0


@pytest.mark.invariant(5)
async def test_a_dead_job_that_is_replayed_runs_and_has_a_new_outcome(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await crash(office, times=3)
    await office.clerk.buried(a_letter(), FIRST[0])

    verdict = await office.clerk.claim(SECOND, a_claim(seq=1))
    await office.clerk.completed(a_result())

    assert verdict == Run("j1", seq=1, alone=True)
    record = await office.record()
    assert (record.state, record.crashes, record.error) == (JobState.COMPLETED, 0, None)


# --- messages without an id --------------------------------------------------------------------


async def test_a_redelivery_of_a_finished_job_without_an_id_is_dropped(office: Office) -> None:
    run = await office.clerk.claim(FIRST, a_claim(None))
    await office.clerk.completed(a_result(run.job_id))
    office.clerk.settlements.cut_off(FIRST, 0)

    verdict = await office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    assert verdict == Drop(run.job_id, "settled")


async def test_a_message_of_the_same_words_as_one_being_acked_is_a_job_of_its_own(
    office: Office,
) -> None:
    run = await office.clerk.claim(FIRST, a_claim(None))
    await office.clerk.completed(a_result(run.job_id))
    twin = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    assert await office.stays_waiting(twin)

    office.clerk.settlements.settled(
        FIRST, Settled(QUEUES.public, run.job_id, has_run=True, is_nameless=True)
    )
    verdict = await answered(office, twin)
    assert isinstance(verdict, Run)
    assert verdict.job_id != run.job_id


async def test_a_message_of_the_same_words_as_an_acked_one_is_a_job_of_its_own(
    office: Office,
) -> None:
    run = await office.clerk.claim(FIRST, a_claim(None))
    await office.clerk.completed(a_result(run.job_id))
    office.clerk.settlements.settled(
        FIRST, Settled(QUEUES.public, run.job_id, has_run=True, is_nameless=True)
    )
    await office.written()

    verdict = await office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    assert isinstance(verdict, Run)
    assert verdict.job_id != run.job_id


@pytest.mark.invariant(4)
async def test_a_redelivery_of_a_job_whose_line_fell_silent_before_its_ack_is_dropped(
    office: Office,
) -> None:
    run = await office.clerk.claim(FIRST, a_claim(None))
    await office.clerk.completed(a_result(run.job_id))
    again = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    assert await office.stays_waiting(again)

    office.clerk.settlements.cut_off(FIRST, 0)

    assert await answered(office, again) == Drop(run.job_id, "settled")


@pytest.mark.invariant(4)
@pytest.mark.parametrize("retry", [None, RETRY])
async def test_a_job_that_lost_its_session_and_then_failed_is_known_when_it_comes_again(
    office: Office, retry: Retrying | None
) -> None:
    """Its worker has not said yet that it could not send the copy that follows."""
    run = await office.clerk.claim(FIRST, a_claim(None))
    office.clerk.settlements.cut_off(FIRST, 0)
    await office.clerk.failed(an_error(run.job_id, retry=retry))

    verdict = await done(
        asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    )

    assert verdict.job_id == run.job_id
    assert isinstance(verdict, Condemn if retry is None else Later)


async def test_a_recognised_redelivery_that_was_not_acked_is_recognised_again(
    office: Office,
) -> None:
    job_id = await dropped_when_it_came_again(office)

    office.clerk.settlements.unsettled(SECOND, Unsettled(QUEUES.public, job_id))
    await office.written()

    assert await office.clerk.claim(("download-3", 1), AGAIN) == Drop(job_id, "settled")


async def test_a_recognised_redelivery_that_was_acked_is_not_recognised_any_more(
    office: Office,
) -> None:
    job_id = await dropped_when_it_came_again(office)

    office.clerk.settlements.settled(SECOND, Settled(QUEUES.public, job_id, is_nameless=True))
    await office.written()

    assert isinstance(await office.clerk.claim(("download-3", 1), AGAIN), Run)


async def test_a_message_of_the_same_words_as_a_running_one_is_a_job_of_its_own(
    office: Office,
) -> None:
    run = await office.clerk.claim(FIRST, a_claim(None))

    twin = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    assert await office.stays_waiting(twin)
    await office.clerk.completed(a_result(run.job_id))
    office.clerk.settlements.settled(
        FIRST, Settled(QUEUES.public, run.job_id, has_run=True, is_nameless=True)
    )
    verdict = await answered(office, twin)
    assert isinstance(verdict, Run)
    assert verdict.job_id != run.job_id


async def test_a_redelivery_that_is_here_before_the_news_of_its_worker_waits_for_them(
    office: Office,
) -> None:
    run = await office.clerk.claim(FIRST, a_claim(None))
    claim = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    await office.clock.until_asleep()

    await office.clerk.blamed(FIRST[0], [(QUEUES.public, run.job_id)], "killed by SIGKILL")
    verdict = await answered(office, claim)
    assert isinstance(verdict, Later)
    assert verdict.job_id == run.job_id


@pytest.mark.invariant(4)
async def test_the_redelivery_of_a_running_job_that_lost_its_session_waits_for_it(
    office: Office,
) -> None:
    run = await office.clerk.claim(FIRST, a_claim(None))
    office.clerk.settlements.cut_off(FIRST, 0)
    waits = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    assert await office.stays_waiting(waits)

    await office.clerk.completed(a_result(run.job_id))

    assert await done(waits) == Drop(run.job_id, "settled")


@pytest.mark.invariant(4)
async def test_a_recognised_redelivery_stays_so_while_the_ledger_cannot_be_read(
    office: Office,
) -> None:
    job = (await office.clerk.claim(FIRST, a_claim(None))).job_id
    await office.written()
    office.clerk.settlements.cut_off(FIRST, 0)
    again = asyncio.ensure_future(office.clerk.claim(SECOND, a_claim(None, redelivered=True)))
    assert await office.stays_waiting(again)
    office.ledger.silences = 1

    await office.clerk.completed(a_result(job))
    await office.clock.until_asleep()
    await office.clock.move(1.0)

    assert await asyncio.wait_for(again, WITHIN) == Drop(job, "settled")
