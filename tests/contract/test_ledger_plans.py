"""What people ask of a large ledger is answered from its indexes, and counts without counting."""

import re
from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from supervisor.core.letters import LetterFilter
from supervisor.core.records import JobFilter, JobState, Relative
from supervisor.ledger import (
    chains,
    claims,
    figures,
    letters,
    listing,
    outbox,
    publishing,
    recovery,
    retention,
    soon,
    withdrawals,
)
from supervisor.ledger.claims import Redelivery
from supervisor.ledger.retention import Expired
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.jobs import chain_checks, jobs
from supervisor.ledger.values import moment_of, moment_or_none
from tests.support.clocks import START
from tests.support.ledgers import QUEUE
from tests.support.plans import Question, explained, reads_all_of

ROWS = 20_000
# Rows of every kind, so that a plan is chosen as in a large ledger.
FILL = f"""
INSERT INTO jobs (queue, id, pool, state, priority, body, properties, created_at, finished_at,
                  due_at, post_at, trace, fingerprint, parent_queue, parent_id, root_queue, root_id)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {ROWS})
SELECT CASE n % 5 WHEN 0 THEN 'clips' ELSE 'queue-' || (n % 5) END, 'job-' || n,
       CASE n % 5 WHEN 0 THEN 'download' ELSE 'pool-' || (n % 5) END,
       CASE WHEN n % 1000 = 0 THEN 'active' WHEN n % 500 = 0 THEN 'pending'
            WHEN n % 50 = 0 THEN 'delayed' WHEN n % 10 = 0 THEN 'waiting'
            WHEN n % 20 = 1 THEN 'failed' ELSE 'completed' END,
       3, :body, :body, n, n, n * 1000000000000, n, 0, 'f-' || n,
       CASE WHEN n % 100 = 1 THEN 'queue-1' ELSE '' END,
       CASE WHEN n % 100 = 1 AND n > 1 THEN 'job-' || (n - n % 1000 + 1) ELSE '' END,
       CASE WHEN n % 100 = 1 THEN 'queue-1' ELSE '' END,
       CASE WHEN n % 100 = 1 THEN 'job-1' ELSE '' END FROM series
"""  # noqa: S608 - a number of ours
NOW = START + timedelta(days=1)
FIRST = Relative("queue-1", "job-1")
FEW = {
    "user": (JobFilter(sender="ana"), "jobs_sender"),
    "user's active": (JobFilter(sender="ana", state=JobState.ACTIVE), "jobs_sender"),
    "user's that wait": (
        JobFilter(sender="ana", state=JobState.WAITING, pool="download"),
        "jobs_sender",
    ),
    "type": (JobFilter(name="cut", pool="download"), "jobs_name"),
    "schedule": (JobFilter(origin="schedule:daily"), "jobs_origin"),
    "error": (JobFilter(group="abc", state=JobState.FAILED), "jobs_error_group"),
    "while": (JobFilter(since=NOW, until=NOW + timedelta(days=1)), "jobs_created_at_number"),
}


def _settle(connection: Connection) -> None:
    """Look at a chain of some hundred jobs that is over, and must be read to be told of."""
    note = {"queue": FIRST.queue, "id": FIRST.id, "begins": True}
    connection.execute(chain_checks.insert(), note)
    (ended,) = chains.settle(connection, tell=lambda *_: (), now=NOW).ended
    assert sum(ended.chain.states.values()) == ROWS / 100


QUESTIONS: dict[str, Question] = {
    "newest": partial(listing.find, wanted=JobFilter(), now=NOW),
    **{
        f"{state.value} of {pool}": partial(
            listing.find, wanted=JobFilter(state=state, pool=pool), now=NOW
        )
        for state in (JobState.WAITING, JobState.DELAYED, JobState.FAILED, JobState.ACTIVE)
        for pool in (None, "download")
    },
    "of a pool": partial(listing.find, wanted=JobFilter(pool="download"), now=NOW),
    **{
        f"of one {what}": partial(listing.find, wanted=wanted, now=NOW)
        for what, (wanted, _) in FEW.items()
    },
    "letters of one user": partial(
        letters.page, wanted=LetterFilter(sender="ana"), limit=10, after=None
    ),
    "counts": partial(listing.counts, now=NOW),
    "show": partial(listing.show, job_id="job-500", now=NOW),
    "beginning": partial(listing.beginning_with, start="job-50"),
    "oldest waiting": partial(figures.oldest_waiting, pool="download"),
    "known": partial(claims.known, queue=QUEUE, job_id="job-500"),
    "to be told": partial(outbox.due, now=NOW, limit=10),
    "to be published": partial(publishing.ready, pools=("download",), limit=10, now=NOW),
    "next to be published": partial(publishing.next_moment, now=NOW),
    "still to come": partial(soon.to_come, queue=QUEUE, since=START, until=NOW),
    "who is gone": partial(recovery.gone, pools=("download",)),
    "chain that has ended": _settle,
    "chain": partial(chains.chain_of, queue="queue-1", job_id="job-1"),
    "what came of a job": partial(chains.descendants, queue="queue-1", job_id="job-1"),
    "what followed a job": partial(
        chains.children, queue="queue-1", job_id="job-1001", limit=10, now=NOW
    ),
    "list of a chain": partial(listing.find, wanted=JobFilter(root=FIRST), now=NOW),
    "list of followers": partial(listing.find, wanted=JobFilter(parent=FIRST), now=NOW),
    "too old": partial(
        retention.remove, expired=Expired("queue-1", JobState.COMPLETED, NOW), limit=10, now=NOW
    ),
    "kept by chains": partial(retention.kept, expired=Expired("queue-1", JobState.COMPLETED, NOW)),
    "erased": partial(withdrawals.erase, queue="queue-1", job_id="job-1", now=NOW),
    "recognised": partial(claims.recognise, redelivery=Redelivery(QUEUE, "f-9"), now=NOW),
}


@pytest.fixture
async def large(ledger: Ledger) -> Ledger:
    """A ledger with enough jobs that reading all of them would be a bad plan."""
    await ledger.write(lambda connection: connection.execute(text(FILL), {"body": b"{}"}))
    if ledger.is_shared:  # a server does it by itself after a while; nobody does it for a file
        await ledger.write(lambda connection: connection.execute(text("ANALYZE")))
    return ledger


async def test_no_question_reads_all_jobs(large: Ledger) -> None:
    plans: dict[str, list[str]] = {}
    for name, question in QUESTIONS.items():
        plans[name] = await large.write(partial(explained, question=question))

    read_whole = {
        name: [line for line in plan if reads_all_of("jobs", line)]
        for name, plan in plans.items()
        if name != "newest"  # which are the last rows as they lie
    }
    assert {name: lines for name, lines in read_whole.items() if lines} == {}
    assert all(plans.values())
    assert not [line for line in plans["too old"] if "notices_due_at" in line]  # all that was told


async def test_a_list_of_a_few_jobs_looks_at_hardly_any_others(large: Ledger) -> None:
    """Whatever most jobs have in common with them: their state, their pool."""
    broad = re.compile("jobs_(pool_|state_|pool_state_)number")

    for wanted, index in FEW.values():
        question = partial(listing.find, wanted=wanted, now=NOW)
        plan = "\n".join(await large.write(partial(explained, question=question)))
        assert index in plan
        assert not broad.search(plan)
    for of, index in (
        (LetterFilter(sender="ana"), "jobs_sender"),
        (LetterFilter(group="abc"), "jobs_error_group"),
    ):
        asked = partial(letters.page, wanted=of, limit=10, after=None)
        assert index in "\n".join(await large.write(partial(explained, question=asked)))


async def test_a_list_of_a_while_is_whole_however_long_it_is_and_whenever_they_were_entered(
    large: Ledger,
) -> None:
    """Jobs are numbered as they are entered, but those that were imported: these are older."""
    entered = {number: number for number in range(1, ROWS + 1)} | {ROWS - 9: 25}
    older = text(f"UPDATE jobs SET created_at = 25 WHERE id = 'job-{ROWS - 9}'")  # noqa: S608
    await large.write(lambda connection: connection.execute(older))

    for since, until in [(0, 50), (20, 30), (ROWS - 50, 2 * ROWS), (40, ROWS), (ROWS + 1, None)]:
        fit = [n for n, at in entered.items() if since <= at < (until or at + 1)]
        for oldest in (False, True):
            wanted = JobFilter(
                since=moment_of(since),
                until=moment_or_none(until),
                oldest=oldest,
                limit=100,
            )
            found = await large.find(wanted)
            in_order = sorted(fit, reverse=not oldest)[:100]
            assert [job.id for job in found] == [f"job-{number}" for number in in_order]


STATES = st.sampled_from([state.value for state in JobState])
CHANGE = st.one_of(
    st.tuples(st.just("enter"), STATES, st.sampled_from(["clips", "cuts"])),
    st.tuples(st.just("turn"), STATES, STATES),
    st.tuples(st.just("move"), STATES, st.sampled_from(["clips", "cuts"])),
    st.tuples(st.just("note"), STATES, st.just("")),
    st.tuples(st.just("remove"), STATES, st.just("")),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGE, max_size=12))
async def test_counts_are_those_of_the_rows_whatever_happens_to_them(
    ledger: Ledger, changes: list[tuple[str, str, str]]
) -> None:
    for number, change in enumerate(changes):
        await ledger.write(partial(_change, change=change, number=number))

    rows, counted = await ledger.read(_both)
    assert counted == rows
    await ledger.write(ledger._room.tidy)
    assert (await ledger.read(_both))[1] == rows
    await ledger.write(lambda connection: connection.execute(jobs.delete()))
    assert (await ledger.read(_both))[1] == {}


# --- helpers --------------------------------------------------------------------------------


def _change(connection: Connection, *, change: tuple[str, str, str], number: int) -> None:
    match change:
        case "enter", state, queue:
            row = {
                "queue": queue,
                "id": f"{number}",
                "pool": "p",
                "state": state,
                "priority": 3,
                "body": b"",
                "properties": b"",
                "created_at": 0,
            }
            for part in range(3):
                connection.execute(jobs.insert(), row | {"id": f"{number}-{part}-{queue}"})
        case "turn", state, other:
            connection.execute(jobs.update().where(jobs.c.state == state).values(state=other))
        case "move", state, queue:
            connection.execute(jobs.update().where(jobs.c.state == state).values(queue=queue))
        case "note", state, _:
            connection.execute(jobs.update().where(jobs.c.state == state).values(note="x"))
        case _, state, _:
            connection.execute(jobs.delete().where(jobs.c.state == state))


def _both(connection: Connection) -> tuple[object, object]:
    rows = Counter((row.queue, row.state) for row in connection.execute(jobs.select()))
    counted = {
        (queue, state): number
        for queue, states in listing.state_counts(connection).items()
        for state, number in states.items()
        if number
    }
    return dict(rows), counted
