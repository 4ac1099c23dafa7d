"""What jobs are blamed for in the ledger, how they move to another pool and begin anew."""

import pytest

from supervisor.core.records import Charge, JobRecord, JobState, Known
from supervisor.ledger.claims import Redelivery
from supervisor.ledger.conditions import Trace
from supervisor.ledger.store import Ledger
from tests.support.clocks import FakeClock
from tests.support.ledgers import NODE, QUEUE, ask, claim, downgrade, letter

TOO_BIG = "uses 812 MB, allowed are 768 MB"


async def begin(ledger: Ledger, *job_ids: str, seq: int = 0, pool: str = "small") -> None:
    for job_id in job_ids or ("a",):
        taken = claim(job_id, seq=seq)
        await ledger.begin(taken, job_id=job_id, pool=pool, worker=f"{pool}-1", attempt=1)


async def crash(ledger: Ledger, charge: Charge, *job_ids: str, words: str = "exit code 1") -> None:
    ids = job_ids or ("a",)
    await ledger.crash(QUEUE, ids, worker="small-1", exit=words, charge=charge)


async def known(ledger: Ledger, job_id: str = "a") -> Known:
    found = await ledger.known(QUEUE, job_id)
    assert found is not None
    return found


async def record(ledger: Ledger, job_id: str = "a") -> JobRecord:
    found = await ledger.show(job_id)
    assert found is not None
    return found


async def test_memory_is_counted_apart_and_time_among_the_crashes(ledger: Ledger) -> None:
    for charge in (Charge.CRASH, Charge.TIMEOUT, Charge.MEMORY, Charge.MEMORY):
        await begin(ledger)
        await crash(ledger, charge, words=charge.value)

    job, shown = await known(ledger), await record(ledger)
    assert (job.crashes, job.timeouts, job.memory_crashes, job.deaths) == (2, 1, 2, 4)
    assert (job.crash, job.charge) == ("out_of_memory", Charge.MEMORY)
    assert (shown.crashes, shown.memory_crashes, shown.attempts) == (2, 2, 0)


async def test_each_run_of_the_history_says_how_its_worker_died(ledger: Ledger) -> None:
    for charge in Charge:
        await begin(ledger)
        await crash(ledger, charge, words=f"words of {charge.value}")

    history = (await record(ledger)).history
    assert [(run.code, run.exit, run.error) for run in history] == [
        ("crashed", "words of crashed", "worker small-1 died: words of crashed"),
        ("timeout", "words of timeout", "worker small-1 was killed: words of timeout"),
        (
            "out_of_memory",
            "words of out_of_memory",
            "worker small-1 needed too much memory: words of out_of_memory",
        ),
    ]


async def test_a_death_is_shared_by_all_who_had_started_until_a_job_dies_alone(
    ledger: Ledger,
) -> None:
    await begin(ledger, "a", "b")
    await crash(ledger, Charge.MEMORY, "a", "b")
    assert (await known(ledger)).is_shared

    await begin(ledger, "a")
    await crash(ledger, Charge.MEMORY, "a")

    assert not (await known(ledger)).is_shared
    assert (await known(ledger, "b")).is_shared


async def test_a_suspect_by_memory_is_cleared_by_its_delay_too(ledger: Ledger) -> None:
    await begin(ledger)
    await crash(ledger, Charge.MEMORY)
    assert not (await known(ledger)).suspect_cleared

    await ledger.defer(QUEUE, "a", seq=1, delay=1)

    assert (await known(ledger)).suspect_cleared


# --- moving ------------------------------------------------------------------------------------


async def test_a_moved_job_is_the_other_pools_and_begins_there_with_a_clean_record(
    ledger: Ledger,
) -> None:
    await begin(ledger)
    await crash(ledger, Charge.MEMORY, words=TOO_BIG)

    assert await ledger.move(QUEUE, "a", seq=1, pool="large") == 1

    job, shown = await known(ledger), await record(ledger)
    assert (job.moved_to, job.seq, job.confirmed, job.deaths) == ("large", 1, False, 0)
    assert (job.was_blamed, job.crash) == (True, TOO_BIG)
    assert (shown.pool, shown.queue, shown.state) == ("large", QUEUE, JobState.WAITING)
    assert [run.exit for run in shown.history] == [TOO_BIG]


async def test_a_moved_job_has_one_outcome_under_the_id_it_was_published_with(
    ledger: Ledger,
) -> None:
    await begin(ledger)
    await crash(ledger, Charge.MEMORY)
    await ledger.move(QUEUE, "a", seq=1, pool="large")
    await begin(ledger, seq=1, pool="large")

    done = await ledger.complete(QUEUE, "a", worker="large-1", result={}, duration=1)

    assert done
    assert (await known(ledger)).state is JobState.COMPLETED
    assert (await ledger.counts())[QUEUE] == {JobState.COMPLETED: 1}
    assert await ledger.move(QUEUE, "a", seq=2, pool="large") == 0


async def test_a_move_that_is_made_again_gets_a_number_of_its_own(ledger: Ledger) -> None:
    await begin(ledger)
    await crash(ledger, Charge.MEMORY)

    numbers = [await ledger.move(QUEUE, "a", seq=1, pool="large") for _ in range(3)]

    assert numbers == [1, 2, 3]


# --- beginning anew ----------------------------------------------------------------------------


async def test_a_newer_copy_of_a_failed_job_begins_anew(ledger: Ledger) -> None:
    await begin(ledger)
    for _ in range(3):
        await crash(ledger, Charge.TIMEOUT)
    await ledger.give_up(QUEUE, "a", failure=letter().failure, attempts=3, worker="small-1")
    assert await ledger.bury(letter(), job_id="a", pool="small")

    await begin(ledger, seq=1)

    job, shown = await known(ledger), await record(ledger)
    assert (shown.state, shown.error, shown.finished_at) == (JobState.ACTIVE, None, None)
    assert (job.attempts, job.deaths, job.timeouts, job.given_up) == (0, 0, 0, None)
    assert job.was_blamed
    assert await ledger.complete(QUEUE, "a", worker="small-1", result={}, duration=1)


@pytest.mark.parametrize("outcome", ["failed", "completed", "cancelled"])
async def test_a_copy_that_is_not_newer_begins_nothing(ledger: Ledger, outcome: str) -> None:
    await begin(ledger, seq=1)
    match outcome:
        case "failed":
            await ledger.bury(letter(), job_id="a", pool="small")
        case "completed":
            await ledger.complete(QUEUE, "a", worker="small-1", result={}, duration=1)
        case _:
            await ledger.cancel(QUEUE, "a")

    await begin(ledger, seq=1 if outcome == "failed" else 2)

    assert (await record(ledger)).state is JobState(outcome)


# --- the migration -----------------------------------------------------------------------------


async def test_the_columns_can_be_taken_away_and_added_again(
    ledger: Ledger, ledger_url: str, clock: FakeClock
) -> None:
    await begin(ledger)
    await crash(ledger, Charge.MEMORY)
    await crash(ledger, Charge.CRASH)
    await ledger.close()

    downgrade(ledger_url, "0001")
    assert ask(ledger_url, "SELECT crashes FROM jobs") == [(2,)]

    again = await Ledger.open(ledger_url, clock=clock, node=NODE)
    job = await known(again)
    assert (job.crashes, job.memory_crashes, job.charge) == (2, 0, Charge.CRASH)
    await again.close()


async def test_a_ledger_of_before_doubts_no_job_any_more(
    ledger: Ledger, ledger_url: str, clock: FakeClock
) -> None:
    """3 stood for a lost ack, and stands for one that was surely not written."""
    for job in ("doubted", "owed"):
        await ledger.begin(claim(None), job_id=job, pool="download", worker="d-1", attempt=1)
        await ledger.complete(QUEUE, job, worker="d-1", result={}, duration=1)
    await ledger.owe(QUEUE, "owed")
    await ledger.close()
    downgrade(ledger_url, "0003")
    assert ask(ledger_url, "SELECT trace FROM jobs WHERE id = 'owed'") == [(Trace.OPEN,)]
    ask(ledger_url, "UPDATE jobs SET trace = 3, has_twin = true WHERE id = 'doubted'")

    again = await Ledger.open(ledger_url, clock=clock, node=NODE)

    assert await again.recognise(Redelivery(QUEUE, claim(None).fingerprint)) is None
    await again.close()
