"""The clerk's records: what is on the disk before a worker is answered."""

import asyncio

import msgspec
import pytest

from consumers.desk import Condemn, Drop, Later, Run
from consumers.jobs import Faults, Priority, Properties
from consumers.outcome import Failure
from supervisor.book import Running
from supervisor.core.records import JobState
from supervisor.ledger.errors import LedgerError
from tests.support.clocks import WITHIN, settle
from tests.support.offices import (
    FIRST,
    SECOND,
    Office,
    a_claim,
    a_letter,
    a_result,
    an_error,
)
from tests.support.sessions import QUEUES
from workers.messages import JobError, Progressed, Retrying, Settled, Started

KEY = (QUEUES.public, "j1")
RETRY = Retrying(delay=4.0)


# --- outcomes --------------------------------------------------------------------------------


async def test_a_result_and_its_notice_are_one_commit(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await office.written()
    before = office.ledger.commits

    await office.clerk.completed(a_result())

    assert office.ledger.commits == before + 1
    assert (await office.record()).state is JobState.COMPLETED
    (notice,) = await office.notices()
    assert (notice.event, notice.sender, notice.sink) == ("job.completed", "ana", "log")
    assert office.pokes == ["due"]
    assert office.told[-1] == "completed"


async def test_whatever_the_body_of_a_job_is_its_result_is_recorded(office: Office) -> None:
    deep = b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    await office.clerk.claim(FIRST, a_claim(body=deep))

    await office.clerk.completed(a_result())

    assert (await office.record()).state is JobState.COMPLETED
    assert office.told[-1] == "completed"


async def test_the_notice_of_a_result_counts_the_attempts_that_failed(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await office.clerk.failed(an_error(retry=RETRY))
    office.clerk.settlements.settled(FIRST, Settled(*KEY, seq=1, has_run=True))
    await office.clerk.claim(FIRST, a_claim(seq=1))

    await office.clerk.completed(a_result())

    (notice,) = await office.notices()
    assert msgspec.json.decode(notice.body)["job"]["attempts"] == 1


@pytest.mark.parametrize("changes", [{"noreply": True}, {"sender": ""}], ids=["noreply", "nobody"])
async def test_a_silent_job_is_recorded_like_any_other(
    office: Office, changes: dict[str, object]
) -> None:
    await office.clerk.claim(FIRST, msgspec.structs.replace(a_claim(), **changes))

    await office.clerk.completed(a_result())

    assert await office.notices() == ()
    record = await office.record()
    assert (record.state, record.result) == (JobState.COMPLETED, {"data": {"answer": 42}})
    assert office.told == ["waiting", "completed"]


@pytest.mark.invariant(13)
async def test_noreply_silences_the_notice_of_a_dead_letter_and_nothing_else(
    office: Office,
) -> None:
    await office.clerk.buried(a_letter(noreply=True), FIRST[0])

    assert await office.notices() == ()
    assert (await office.record()).state is JobState.FAILED
    assert office.told == ["failed"]


async def test_a_failed_attempt_is_recorded_with_its_copy(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim(attempts=1))

    await office.clerk.failed(an_error(retry=RETRY))

    record = await office.record()
    assert (record.state, record.attempts, record.seq) == (JobState.DELAYED, 2, 1)
    assert record.history[0].error == "no such host"
    assert office.told[-1] == "retrying"


@pytest.mark.parametrize("end", [an_error(cancelled=True), an_error(retry=RETRY)])
async def test_what_a_run_says_whose_job_was_cancelled_before_is_not_told(
    office: Office, end: JobError
) -> None:
    """Whoever wrote that it is cancelled has told of it."""
    await office.clerk.claim(FIRST, a_claim())
    await office.written()
    await office.ledger.cancel(*KEY)

    await office.clerk.failed(end)

    assert office.told == ["waiting"]
    assert (await office.record()).state is JobState.CANCELLED


async def test_a_run_that_does_not_count_is_recorded_without_an_attempt(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim(attempts=1))
    not_now = Failure("not now", counts=False)

    seq = await office.clerk.failed(an_error(retry=RETRY, failure=not_now))

    record = await office.record()
    assert (record.state, record.attempts, record.seq) == (JobState.DELAYED, 1, seq)
    assert len(record.history) == 1


async def test_the_last_failure_leaves_the_job_to_its_dead_letter(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim(attempts=2))

    await office.clerk.failed(an_error())
    assert (await office.record()).attempts == 3
    assert await office.notices() == ()
    await office.clerk.buried(a_letter(), FIRST[0])

    assert (await office.record()).state is JobState.FAILED
    (notice,) = await office.notices()
    assert notice.event == "job.failed"


async def test_a_cancelled_job_is_recorded_and_nobody_is_told(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())

    await office.clerk.failed(an_error(cancelled=True))

    assert (await office.record()).state is JobState.CANCELLED
    assert await office.notices() == ()
    assert office.told[-1] == "cancelled"


@pytest.mark.invariant(7)
async def test_a_job_the_machine_broke_off_waits_again_and_nobody_is_told(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())

    await office.clerk.interrupted(an_error(error="disk full", interrupted=True))

    record = await office.record()
    assert (record.state, record.attempts, record.crashes) == (JobState.WAITING, 0, 0)
    assert [(run.code, run.error) for run in record.history] == [("interrupted", "disk full")]
    assert await office.notices() == ()
    assert office.told == ["waiting", "waiting"]


async def test_a_job_the_machine_broke_off_runs_when_it_is_delivered_again(office: Office) -> None:
    first = await office.clerk.claim(FIRST, a_claim(None))
    await office.clerk.interrupted(an_error(job_id=first.job_id, interrupted=True))

    again = await office.clerk.claim(SECOND, a_claim(None, redelivered=True))

    assert again == Run(first.job_id, faults=Faults(met=1))


async def test_a_job_the_machine_broke_off_twice_lets_others_go_first_each_time(
    office: Office,
) -> None:
    broken_off = an_error(error="disk full", interrupted=True)
    for _ in range(2):
        assert isinstance(await office.clerk.claim(FIRST, a_claim()), Run)
        await office.clerk.interrupted(broken_off)

    later = await office.clerk.claim(SECOND, a_claim(redelivered=True))
    assert isinstance(later, Later)
    copy = await office.clerk.claim(SECOND, a_claim(seq=later.seq))
    await office.clerk.interrupted(broken_off)
    again = await office.clerk.claim(FIRST, a_claim(seq=later.seq, redelivered=True))

    assert copy == Run(later.job_id, seq=later.seq, faults=Faults(met=2))
    assert isinstance(again, Later)
    assert (later.delay, again.delay) == (2.0, 4.0)


async def test_a_letter_buried_twice_is_one_notice(office: Office) -> None:
    await office.clerk.buried(a_letter(), FIRST[0])

    await office.clerk.buried(a_letter(), FIRST[0])

    assert len(await office.notices()) == 1
    assert office.told == ["failed"]


async def test_a_letter_nobody_can_read_is_recorded_with_its_text(office: Office) -> None:
    await office.clerk.buried(a_letter(body=b"link=\xff"), FIRST[0])

    assert (await office.record()).data == "link=\ufffd"


async def test_a_foreign_letter_with_an_odd_priority_is_recorded_as_normal(
    office: Office,
) -> None:
    odd = Properties(message_id="j1", headers={"x-job-priority": "yesterday"})

    await office.clerk.buried(a_letter(properties=odd), FIRST[0])

    assert (await office.record()).priority is Priority.NORMAL


async def test_a_job_the_ledger_did_not_take_at_first_is_entered_before_its_outcome(
    office: Office,
) -> None:
    office.ledger.refusals = 1
    await office.clerk.claim(FIRST, a_claim())
    outcome = asyncio.ensure_future(office.clerk.completed(a_result()))
    assert await office.stays_waiting(outcome)

    await office.clock.move(1.0)
    await asyncio.wait_for(outcome, WITHIN)

    assert (await office.record()).state is JobState.COMPLETED
    assert len(await office.notices()) == 1


async def test_an_outcome_the_ledger_refuses_leaves_the_job_in_hand(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await office.written()
    office.ledger.refusals = 1

    with pytest.raises(LedgerError):
        await office.clerk.completed(a_result())

    assert office.clerk.active(QUEUES.public) == 1
    assert office.told == ["waiting"]


# --- deaths ------------------------------------------------------------------------------------


async def test_a_crash_is_counted_for_each_job_in_one_commit(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim("j1"))
    await office.clerk.claim(FIRST, a_claim("j2"))
    await office.written()
    before = office.ledger.commits

    await office.clerk.blamed(FIRST[0], [KEY, (QUEUES.public, "j2")], "SIGKILL")

    assert office.ledger.commits == before + 1
    assert [(await office.record(one)).crashes for one in ("j1", "j2")] == [1, 1]
    assert office.told == ["waiting"] * 4  # heard of, then broken off
    assert office.clerk.active(QUEUES.public) == 0


async def test_what_a_dead_process_had_in_hand_waits_unblamed(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim("j1"))
    await office.clerk.claim(SECOND, a_claim("j2"))
    await office.written()

    await office.clerk.settlements.released(FIRST)

    first, second = await office.record("j1"), await office.record("j2")
    assert (first.state, first.crashes) == (JobState.WAITING, 0)
    assert second.state is JobState.ACTIVE


async def test_a_result_heard_before_the_death_stands(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())

    await asyncio.gather(
        office.clerk.completed(a_result()), office.clerk.settlements.released(FIRST)
    )

    assert (await office.record()).state is JobState.COMPLETED


@pytest.mark.parametrize("end", ["completed", "retrying", "giving up"])
async def test_an_outcome_that_is_committed_when_its_worker_is_dead_leaves_nothing_in_hand(
    office: Office, end: str
) -> None:
    job = (await office.clerk.claim(FIRST, a_claim(None))).job_id
    await office.written()
    office.ledger.gate = asyncio.Event()
    outcome: asyncio.Future[object] = asyncio.ensure_future(
        office.clerk.completed(a_result(job))
        if end == "completed"
        else office.clerk.failed(an_error(job, retry=RETRY if end == "retrying" else None))
    )
    await settle()
    released = asyncio.ensure_future(office.clerk.settlements.released(FIRST))
    await settle()
    office.ledger.gate.set()
    await asyncio.wait_for(asyncio.gather(outcome, released), WITHIN)

    assert not office.clerk.book.is_in_hand((QUEUES.public, job))
    again = office.clerk.claim(SECOND, a_claim(None, redelivered=True))
    verdict = await asyncio.wait_for(again, WITHIN)
    assert verdict.job_id == job
    assert isinstance(verdict, {"completed": Drop, "retrying": Later}.get(end, Condemn))


@pytest.mark.invariant(4)
async def test_a_job_that_runs_elsewhere_by_now_is_not_released_with_its_first_worker(
    office: Office,
) -> None:
    for job in ("j1", "j2"):
        await office.clerk.claim(FIRST, a_claim(job))
    await office.written()
    office.ledger.gate = asyncio.Event()
    released = asyncio.ensure_future(office.clerk.settlements.released(FIRST))
    await settle()
    office.clerk.book.close((QUEUES.public, "j2"))  # the machine had broken it off
    office.clerk.book.enter((QUEUES.public, "j2"), Running(a_claim("j2"), SECOND, attempts=0))
    office.ledger.gate.set()
    await asyncio.wait_for(released, WITHIN)

    assert office.clerk.book.held_by(SECOND) == ((QUEUES.public, "j2"),)
    assert (await office.record("j1")).state is JobState.WAITING
    assert (await office.record("j2")).state is JobState.ACTIVE


# --- news --------------------------------------------------------------------------------------


async def test_progress_and_lines_are_kept_and_told(office: Office) -> None:
    await office.clerk.claim(FIRST, a_claim())
    await office.written()

    office.clerk.started(Started(FIRST[0], office.clock.utcnow(), *KEY))
    office.clerk.progressed(Progressed(*KEY, percent=50.0, note="half way"))
    office.clerk.progressed(Progressed(*KEY, line="looked it up"))
    await office.written()
    await office.written()  # lines that came during a write are the next one
    await office.clerk.completed(a_result())

    record = await office.record()
    assert record.lines == ("looked it up",)
    assert office.told == ["waiting", "active", "progress", "completed"]
