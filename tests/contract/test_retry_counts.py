"""How many jobs ended after how many attempts, from the ledger, and what that costs it."""

from functools import partial

from sqlalchemy import Connection, text

from consumers.outcome import Failure
from consumers.retry import RetryPolicy
from consumers.topology import pool_queues
from supervisor.core.records import JobState, PoolCard
from supervisor.core.retries import RetryRow
from supervisor.ledger import retries
from supervisor.ledger.store import Ledger
from supervisor.retries import RetryCounts
from tests.support.ledgers import QUEUE, claim, letter

BROKEN = Failure("broken")


async def run(ledger: Ledger, job_id: str, *, fails: int, ends: str) -> None:
    """Have a job fail so many times and then complete, be buried, or wait."""
    for attempt in range(1, fails + 1):
        await ledger.begin(
            claim(job_id, seq=attempt - 1), job_id=job_id, pool="download", worker="w", attempt=1
        )
        await ledger.retry(QUEUE, job_id, failure=BROKEN, delay=60.0, attempts=attempt, worker="w")
    if ends == "waits":
        return
    await ledger.begin(
        claim(job_id, seq=fails), job_id=job_id, pool="download", worker="w", attempt=fails + 1
    )
    if ends == "completes":
        await ledger.complete(QUEUE, job_id, worker="w", result={}, duration=1.0)


async def test_jobs_are_counted_by_state_and_failed_attempts(ledger: Ledger) -> None:
    for number in range(5):
        await run(ledger, f"well-{number}", fails=0, ends="completes")
    await run(ledger, "second", fails=1, ends="completes")
    await run(ledger, "third", fails=2, ends="completes")
    await run(ledger, "waits", fails=1, ends="waits")
    await run(ledger, "runs", fails=0, ends="runs")
    await ledger.bury(letter(), job_id="dead", pool="download")

    found = await ledger.read(partial(retries.counts, queue=QUEUE))

    assert found == {
        (JobState.COMPLETED, 0): 5,
        (JobState.COMPLETED, 1): 1,
        (JobState.COMPLETED, 2): 1,
        (JobState.DELAYED, 1): 1,
        (JobState.ACTIVE, 0): 1,
        (JobState.FAILED, 2): 1,
    }


async def test_a_pool_is_shown_with_its_policy_and_its_rows(ledger: Ledger) -> None:
    await run(ledger, "second", fails=1, ends="completes")
    cards = {"download": PoolCard("download", pool_queues(QUEUE))}

    view = await RetryCounts(ledger, cards, {"download": RetryPolicy(attempts=7)}).of("download")

    assert view.rows == (RetryRow(1), RetryRow(2, completed=1))
    assert (view.queue, view.policy.attempts) == (QUEUE, 7)


async def test_only_jobs_that_ever_failed_are_looked_at_one_by_one(ledger: Ledger) -> None:
    """The others are counted by their state, in an index that holds all that is asked for."""

    def plans(connection: Connection) -> list[str]:
        if connection.dialect.name != "sqlite":
            return ["COVERING INDEX", "INDEX jobs_retried"]
        found = []
        for query in (retries.ALL, retries.FAILED):
            compiled = str(query.compile(dialect=connection.dialect))
            rows = connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}".replace("?", "'q'")))
            found.append(" ".join(str(row[3]) for row in rows))
        return found

    everything, failed = await ledger.read(plans)

    assert "COVERING INDEX" in everything
    assert "INDEX jobs_retried" in failed
