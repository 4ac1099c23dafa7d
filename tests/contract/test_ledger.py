"""The ledger contract: what becomes of a job is recorded once, whole, and for good."""

import os
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from consumers.jobs import Priority
from consumers.outcome import Failure
from supervisor.core.records import JobFilter, JobRecord, JobState, NewJob
from supervisor.ledger import listing
from supervisor.ledger.journal import LONGEST, WAITING
from supervisor.ledger.store import Ledger
from tests.support.clocks import START, FakeClock
from tests.support.ledgers import BODY, QUEUE, claim, enter, letter, new_job, notice

FAILURE = Failure("ffmpeg ended with 1", code="tool", traceback="Traceback ...")


async def begin(ledger: Ledger, job_id: str = "job-1", *, worker: str = "download-1") -> None:
    assert await ledger.begin(
        claim(job_id), job_id=job_id, pool="download", worker=worker, attempt=1
    )


async def complete(ledger: Ledger, job_id: str = "job-1", *, result: str = "a.mp4") -> bool:
    return await ledger.complete(
        QUEUE,
        job_id,
        worker="download-1",
        result={"files": [result]},
        duration=1.5,
        notices=[notice(job_id)],
    )


async def show(ledger: Ledger, job_id: str = "job-1") -> JobRecord:
    record = await ledger.show(job_id)
    assert record is not None
    return record


async def test_a_job_is_entered_once(ledger: Ledger) -> None:
    first, is_new = await enter(ledger, new_job(), state=JobState.PENDING)
    second, is_new_again = await enter(ledger, new_job(), state=JobState.PENDING)

    assert is_new
    assert not is_new_again
    assert first == second
    assert first.state is JobState.PENDING
    assert first.data == {"link": "http://127.0.0.1/a.mp4", "from": "user123"}
    assert first.created_at == START


async def test_one_id_may_stand_for_a_job_in_each_queue(ledger: Ledger) -> None:
    other = NewJob("job-1", "cutter", "cuts", b"[not json", new_job().properties)
    await enter(ledger, new_job(), state=JobState.WAITING)

    record, is_new = await enter(ledger, other, state=JobState.WAITING)

    assert is_new
    assert record.data == "[not json"
    assert (await show(ledger)).queue == "cuts"


async def test_what_has_ended_is_told_by_names_that_others_gave(ledger: Ledger) -> None:
    for job_id in ("job-1", "job-2", "job-3"):
        await enter(ledger, new_job(job_id), state=JobState.WAITING)
    await begin(ledger, "job-2")
    await complete(ledger, "job-2")

    def named(queue: str, job_id: str) -> str:
        return f"{queue}/{job_id}"

    wanted = {f"{QUEUE}/job-1", f"{QUEUE}/job-2", f"{QUEUE}/job-9"}

    ends = await ledger.read(partial(listing.ends, names=wanted, named=named))

    assert ends == {f"{QUEUE}/job-1": False, f"{QUEUE}/job-2": True}


async def test_a_claimed_job_is_active_in_its_workers_hand(ledger: Ledger) -> None:
    await begin(ledger)

    record = await show(ledger)

    assert record.state is JobState.ACTIVE
    assert record.worker == "download-1"
    assert record.priority is Priority.NORMAL
    assert record.sender == "user123"
    assert [(run.number, run.worker, run.finished_at) for run in record.history] == [
        (1, "download-1", None)
    ]


async def test_a_job_that_is_begun_again_goes_on_in_the_other_workers_hand(ledger: Ledger) -> None:
    await begin(ledger)
    await begin(ledger, worker="download-2")

    record = await show(ledger)

    assert record.worker == "download-2"
    assert [run.worker for run in record.history] == ["download-2"]


async def test_a_result_closes_the_job_and_puts_its_notices_in_the_outbox(
    ledger: Ledger, clock: FakeClock
) -> None:
    await begin(ledger)
    clock.advance(5)

    assert await complete(ledger)

    record = await show(ledger)
    assert record.state is JobState.COMPLETED
    assert record.result == {"files": ["a.mp4"]}
    assert record.progress == 100
    assert record.started_at == START
    assert record.finished_at == START + timedelta(seconds=5)
    assert record.history[0].finished_at == record.finished_at
    assert [told.key for told in await ledger.due(clock.utcnow(), 10)] == ["clips/job-1"]


async def test_the_first_outcome_wins(ledger: Ledger, clock: FakeClock) -> None:
    await begin(ledger)
    await complete(ledger)
    before = await show(ledger)
    clock.advance(5)

    assert not await complete(ledger, result="b.mp4")
    assert not await ledger.cancel(QUEUE, "job-1")
    assert not await ledger.bury(letter(), job_id="job-1", pool="download")
    assert not await ledger.begin(
        claim(), job_id="job-1", pool="download", worker="download-2", attempt=2
    )
    await ledger.crash(QUEUE, ["job-1"], worker="download-1", exit="killed by SIGKILL")
    await ledger.release(QUEUE, ["job-1"])

    assert await show(ledger) == before
    assert len(await ledger.due(clock.utcnow(), 10)) == 1


async def test_a_failed_attempt_is_kept_and_the_job_comes_back(
    ledger: Ledger, clock: FakeClock
) -> None:
    await begin(ledger)

    following = await ledger.retry(
        QUEUE, "job-1", failure=FAILURE, delay=30, attempts=1, worker="download-1"
    )

    assert following == (1, True)

    record = await show(ledger)
    assert record.state is JobState.DELAYED
    assert record.due_at == START + timedelta(seconds=30)
    assert (record.attempts, record.seq, record.error) == (1, 1, FAILURE)
    run = record.history[0]
    assert (run.error, run.code, run.traceback) == (FAILURE.message, "tool", FAILURE.traceback)
    known = await ledger.known(QUEUE, "job-1")
    assert known is not None
    assert (known.seq, known.confirmed) == (1, False)


async def test_a_delay_that_is_over_counts_as_waiting(ledger: Ledger, clock: FakeClock) -> None:
    await enter(ledger, new_job(delay=30), state=JobState.DELAYED)
    assert await ledger.counts() == {QUEUE: {JobState.DELAYED: 1}}

    clock.advance(30)

    assert await ledger.counts() == {QUEUE: {JobState.WAITING: 1}}
    assert (await show(ledger)).state is JobState.WAITING
    assert len(await ledger.find(JobFilter(state=JobState.WAITING))) == 1
    assert await ledger.find(JobFilter(state=JobState.DELAYED)) == ()


async def test_the_last_failure_is_kept_until_the_letter_is_buried(ledger: Ledger) -> None:
    await begin(ledger)

    await ledger.give_up(QUEUE, "job-1", failure=FAILURE, attempts=3, worker="download-1")

    record = await show(ledger)
    assert record.state is JobState.ACTIVE
    assert (record.attempts, record.error) == (3, FAILURE)
    assert record.history[0].error == FAILURE.message


async def test_a_dead_letter_fails_its_job_once(ledger: Ledger, clock: FakeClock) -> None:
    await begin(ledger)
    told = [notice(event="job.failed")]

    assert await ledger.bury(letter(b"\xff\x00"), job_id="job-1", pool="download", notices=told)
    assert not await ledger.bury(letter(), job_id="job-1", pool="download", notices=told)

    record = await show(ledger)
    assert record.state is JobState.FAILED
    assert record.error == letter().failure
    assert record.attempts == 2
    assert record.data == b"\xff\x00".decode(errors="replace")
    assert record.history[0].finished_at is not None
    assert [waiting.event for waiting in await ledger.due(clock.utcnow(), 10)] == ["job.failed"]


async def test_a_dead_letter_of_an_unknown_job_is_recorded_too(ledger: Ledger) -> None:
    assert await ledger.bury(letter(), job_id="met-in-the-dlq", pool="download")

    record = await show(ledger, "met-in-the-dlq")
    assert (record.state, record.pool, record.history) == (JobState.FAILED, "download", ())


async def test_a_cancelled_job_is_closed(ledger: Ledger) -> None:
    await begin(ledger)

    assert await ledger.cancel(QUEUE, "job-1", worker="download-1")

    record = await show(ledger)
    assert record.state is JobState.CANCELLED
    assert record.history[0].code == "cancelled"


@pytest.mark.invariant(7)
async def test_a_crash_is_counted_and_its_run_closed(ledger: Ledger) -> None:
    await begin(ledger)
    await begin(ledger, "job-2")

    await ledger.crash(QUEUE, ["job-1"], worker="download-1", exit="killed by SIGKILL")

    record = await show(ledger)
    assert (record.state, record.crashes, record.attempts) == (JobState.WAITING, 1, 0)
    assert record.history[0].exit == "killed by SIGKILL"
    assert (await show(ledger, "job-2")).state is JobState.ACTIVE
    known = await ledger.known(QUEUE, "job-1")
    assert known is not None
    assert (known.crashes, known.crash) == (1, "killed by SIGKILL")


@pytest.mark.invariant(7)
async def test_a_released_job_is_blamed_for_nothing(ledger: Ledger) -> None:
    await begin(ledger)

    await ledger.release(QUEUE, ["job-1"])

    record = await show(ledger)
    assert (record.state, record.crashes) == (JobState.WAITING, 0)
    assert record.history[0].code == "interrupted"


async def test_every_run_stays_in_the_history(ledger: Ledger) -> None:
    for worker in ("download-1", "download-2"):
        await begin(ledger, worker=worker)
        await ledger.crash(QUEUE, ["job-1"], worker=worker, exit="exit code 1")
    await begin(ledger, worker="download-1")
    await complete(ledger)

    runs = (await show(ledger)).history

    assert [run.worker for run in runs] == ["download-1", "download-2", "download-1"]
    assert [run.exit for run in runs] == ["exit code 1", "exit code 1", ""]


async def test_progress_and_lines_are_kept(ledger: Ledger) -> None:
    await begin(ledger)

    for percent in range(1, 51):
        await ledger.progress(QUEUE, "job-1", percent, "downloading")
    await ledger.line(QUEUE, "job-1", "first")
    await ledger.line(QUEUE, "job-1", "second")
    await ledger.flush()

    record = await show(ledger)
    assert (record.progress, record.note) == (50, "downloading")
    assert record.lines == ("first", "second")


@pytest.mark.invariant(9)
async def test_what_a_job_says_faster_than_it_can_be_written_is_dropped(ledger: Ledger) -> None:
    await begin(ledger)
    many = WAITING + 1_000

    for number in range(many):  # nothing is written before the loop has another turn
        await ledger.line(QUEUE, "job-1", str(number) + "x" * LONGEST)
    await ledger.flush()

    lines = (await show(ledger)).lines
    assert WAITING <= len(lines) <= WAITING + 1
    assert (lines[0][:2], max(map(len, lines))) == ("0x", LONGEST)


async def test_late_progress_does_not_touch_a_finished_job(ledger: Ledger) -> None:
    await begin(ledger)
    await complete(ledger)

    await ledger.progress(QUEUE, "job-1", 20)
    await ledger.flush()

    assert (await show(ledger)).progress == 100


async def test_an_id_is_found_by_its_start_and_every_other_one_is_counted(ledger: Ledger) -> None:
    other_queue = NewJob("abcd-1", "cutter", "cuts", b"{}", new_job().properties)
    for job in ("abcd-1", "abcd-2", "ABCD-3", "ab%d-4", "zz"):
        await enter(ledger, msgspec.structs.replace(new_job(), id=job), state=JobState.WAITING)
    await enter(ledger, other_queue, state=JobState.WAITING)

    assert await ledger.beginning_with("abcd") == ("abcd-1", 2)
    assert await ledger.beginning_with("abcd-2") == ("abcd-2", 1)
    assert await ledger.beginning_with("ABCD") == ("ABCD-3", 1)
    assert await ledger.beginning_with("ab%d") == ("ab%d-4", 1)
    assert await ledger.beginning_with("abc_") == (None, 0)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (JobFilter(), ["c", "b", "a"]),
        (JobFilter(limit=2), ["c", "b"]),
        (JobFilter(state=JobState.ACTIVE), ["b"]),
        (JobFilter(pool="cutter"), ["c"]),
        (JobFilter(pool="cutter", state=JobState.ACTIVE), []),
    ],
)
async def test_jobs_are_listed_newest_first(
    ledger: Ledger, wanted: JobFilter, expected: list[str]
) -> None:
    await enter(ledger, new_job("a"), state=JobState.WAITING)
    await begin(ledger, "b")
    cutter = NewJob("c", "cutter", "cuts", BODY, new_job().properties)
    await enter(ledger, cutter, state=JobState.WAITING)

    assert [record.id for record in await ledger.find(wanted)] == expected


async def test_a_job_is_recorded_and_found_however_long_its_user_is_named(ledger: Ledger) -> None:
    """Foreign messages say it, and a server's index has no room for all of that."""
    long = os.urandom(10_000).hex()
    await enter(ledger, msgspec.structs.replace(new_job(), sender=long))
    await enter(ledger, msgspec.structs.replace(new_job("job-2"), sender=long[:500]))

    assert (await show(ledger)).sender == long
    for sender, found in ((long, "job-1"), (long[:500], "job-2")):
        assert [job.id for job in await ledger.find(JobFilter(sender=sender))] == [found]


async def test_jobs_are_counted_by_queue_and_state(ledger: Ledger) -> None:
    await begin(ledger, "a")
    await begin(ledger, "b")
    await complete(ledger, "b")

    assert await ledger.counts() == {QUEUE: {JobState.ACTIVE: 1, JobState.COMPLETED: 1}}
