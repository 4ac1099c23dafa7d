"""What operators do to queues, in the ledger: pauses, drains, what goes, what runs again."""

from datetime import timedelta
from functools import partial

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Select, func, select, update

from consumers.desk import Drop
from consumers.topology import pool_queues
from supervisor.core.claims import judge
from supervisor.core.records import JobState, PoolCard
from supervisor.ledger import controls, draining, failed, figures, retention
from supervisor.ledger.claims import Redelivery
from supervisor.ledger.controls import Drain
from supervisor.ledger.draining import Scope, Sweep
from supervisor.ledger.failed import Wanted
from supervisor.ledger.retention import Expired
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.jobs import attempts, job_lines, jobs
from supervisor.ledger.tables.queues import queue_controls
from supervisor.ledger.tables.reports import notices
from tests.support.clocks import FakeClock
from tests.support.ledgers import QUEUE, claim, enter, letter, new_job, notice, to_publish

POOL = "download"
HOUR = timedelta(hours=1)


async def finish(ledger: Ledger, *ids: str) -> None:
    """Have jobs run well, with a line and a notice that was delivered."""
    for job_id in ids:
        await ledger.begin(claim(job_id), job_id=job_id, pool=POOL, worker="w-1", attempt=1)
        await ledger.line(QUEUE, job_id, "hello")
        told = replace(notice(job_id), key=f"{QUEUE}:{job_id}:completed")
        await ledger.complete(QUEUE, job_id, worker="w-1", result={}, duration=1.0, notices=[told])
        await ledger.delivered(told.key, told.sink)
    await ledger.flush()


async def fail(ledger: Ledger, *ids: str) -> None:
    for job_id in ids:
        await ledger.bury(letter(), job_id=job_id, pool=POOL)


async def states(ledger: Ledger) -> dict[str, str]:
    rows = await ledger.read(
        lambda connection: connection.execute(select(jobs.c.id, jobs.c.state)).all()
    )
    return {row.id: row.state for row in rows}


async def rows_of(ledger: Ledger) -> tuple[int, ...]:
    """Return how many rows there are of jobs, and of what belongs to them."""
    tables = (jobs, attempts, job_lines, notices)
    counts = [select(func.count()).select_from(table) for table in tables]
    return tuple(
        await ledger.read(lambda connection: [connection.scalar(count) or 0 for count in counts])
    )


async def clean(ledger: Ledger, state: JobState, older: timedelta, limit: int = 100) -> int:
    now = ledger.clock.utcnow()
    expired = Expired(QUEUE, state, now - older)
    remove = partial(retention.remove, expired=expired, limit=limit, now=now)
    return (await ledger.write(remove)).jobs


async def sweep(ledger: Ledger, scope: Scope) -> int:
    last = await ledger.read(draining.newest)
    step = partial(draining.sweep, what=Sweep(POOL, scope, last), now=ledger.clock.utcnow())
    return await ledger.write(step)


# --- pauses ------------------------------------------------------------------------------------


async def test_a_pause_is_kept_until_somebody_resumes(ledger: Ledger, clock: FakeClock) -> None:
    now = clock.utcnow()
    await ledger.write(partial(controls.pause, queues=["a", "b"], why="slow", now=now))
    await ledger.write(partial(controls.pause, queues=["b"], why="slower", now=now))
    await ledger.write(partial(controls.resume, queues=["a", "unknown"], now=now))

    assert await ledger.read(controls.paused) == {"b": "slower"}


async def test_a_drain_that_was_begun_is_known_until_it_is_done_and_pauses_nothing(
    ledger: Ledger, clock: FakeClock
) -> None:
    now = clock.utcnow()
    await ledger.write(partial(controls.pause, queues=["a"], why="slow", now=now))
    for queue in ("a", "b"):
        await ledger.write(partial(controls.drain, queue=queue, scope=2, now=now))
    await ledger.write(partial(controls.drained, queue="b"))

    assert await ledger.read(controls.draining) == (Drain("a", 2, last=0, begun_at=now),)
    assert await ledger.read(controls.paused) == {"a": "slow"}


async def test_a_drain_is_finished_by_who_began_it_alone(ledger: Ledger, clock: FakeClock) -> None:
    """Another coordinator of this ledger may be in the middle of it."""
    await enter(ledger, new_job("newest"))
    begin = partial(controls.drain, queue="a", scope=1, now=clock.utcnow())
    begun = await ledger.write(begin)
    mine = await ledger.read(controls.draining)
    theirs = update(queue_controls).values(drain_node="another")
    await ledger.write(lambda connection: connection.execute(theirs).rowcount)
    await ledger.write(partial(controls.drained, queue="a"))

    assert begun is not None
    assert mine == (begun,)
    assert begun.last > 0
    assert await ledger.read(controls.draining) == ()
    still = select(queue_controls.c.draining)
    assert await ledger.read(lambda connection: connection.scalar(still)) == 1


# --- drains ------------------------------------------------------------------------------------


async def test_what_waits_is_removed_what_runs_and_what_is_delayed_stays(ledger: Ledger) -> None:
    await enter(ledger, new_job("pending"))
    await enter(ledger, new_job("waiting"), state=JobState.WAITING)
    await enter(ledger, new_job("later", delay=60.0), state=JobState.DELAYED)
    await enter(ledger, new_job("to be later", delay=60.0))
    await ledger.begin(claim("runs"), job_id="runs", pool=POOL, worker="w-1", attempt=1)

    assert await sweep(ledger, Scope.WAITING) == 2
    assert await states(ledger) == {
        "pending": "removed",
        "waiting": "removed",
        "later": "delayed",
        "to be later": "pending",
        "runs": "active",
    }
    assert await sweep(ledger, Scope.WAITING) == 0
    assert await sweep(ledger, Scope.DELAYED) == 2


async def test_a_delay_that_is_over_waits_like_the_others(ledger: Ledger, clock: FakeClock) -> None:
    await enter(ledger, new_job("due", delay=60.0), state=JobState.DELAYED)
    await clock.move(61.0)

    assert await sweep(ledger, Scope.WAITING) == 1


async def test_what_is_delivered_or_published_after_all_is_dropped(ledger: Ledger) -> None:
    """In a worker's hand, on its way to the queue, in the delays: its row says what to do."""
    await enter(ledger, new_job("in a hand"), state=JobState.WAITING)
    await enter(ledger, new_job("on its way"))
    on_their_way = await to_publish(ledger)
    await enter(ledger, new_job("delayed", delay=60.0), state=JobState.DELAYED)
    await sweep(ledger, Scope.DELAYED)

    card = PoolCard(POOL, pool_queues(QUEUE))
    for job_id in ("in a hand", "on its way", "delayed"):
        known = await ledger.known(QUEUE, job_id)
        verdict = judge(claim(job_id), known, running_on=None, pool=card, new_id="new")
        assert verdict == Drop(job_id, "removed")
    assert [posting.id for posting in on_their_way] == ["on its way"]
    assert await to_publish(ledger) == ()


@pytest.mark.invariant(1)
async def test_a_message_of_the_same_words_is_not_taken_for_one_that_was_removed(
    ledger: Ledger,
) -> None:
    """The removed one's message is gone: another that is delivered twice is another job."""
    nameless = claim(None)
    await ledger.begin(nameless, job_id="first", pool=POOL, worker="w-1", attempt=1)
    await ledger.release(QUEUE, ["first"])
    await sweep(ledger, Scope.WAITING)

    again = Redelivery(QUEUE, nameless.fingerprint)
    assert await ledger.recognise(again) is None


# --- what goes for good ------------------------------------------------------------------------


async def test_finished_jobs_go_with_all_that_belongs_to_them_the_oldest_first(
    ledger: Ledger, clock: FakeClock
) -> None:
    await finish(ledger, "old")
    await clock.move(3600.0)
    await finish(ledger, "new")
    await fail(ledger, "failed")
    await clock.move(7200.0)

    assert await rows_of(ledger) == (3, 2, 2, 2)
    assert await clean(ledger, JobState.COMPLETED, HOUR, limit=1) == 1
    assert set(await states(ledger)) == {"new", "failed"}
    assert await clean(ledger, JobState.COMPLETED, HOUR) == 1
    assert await clean(ledger, JobState.COMPLETED, HOUR) == 0
    assert await rows_of(ledger) == (1, 0, 0, 0)


async def test_a_notice_that_was_not_delivered_yet_stays(ledger: Ledger, clock: FakeClock) -> None:
    told = replace(notice("j"), key=f"{QUEUE}:j:completed")
    await ledger.begin(claim("j"), job_id="j", pool=POOL, worker="w-1", attempt=1)
    await ledger.complete(QUEUE, "j", worker="w-1", result={}, duration=1.0, notices=[told])
    await clock.move(7200.0)

    assert await clean(ledger, JobState.COMPLETED, HOUR) == 1
    assert [each.job_id for each in await ledger.due(clock.utcnow(), 10)] == ["j"]


async def test_a_removed_job_whose_copy_is_still_in_the_delays_stays_as_long_as_that(
    ledger: Ledger, clock: FakeClock
) -> None:
    await enter(ledger, new_job("late", delay=40 * 86_400.0), state=JobState.DELAYED)
    await sweep(ledger, Scope.DELAYED)
    await clock.move(39 * 86_400.0)
    early = await clean(ledger, JobState.REMOVED, HOUR)
    await clock.move(20 * 86_400.0)

    assert early == 0
    assert await clean(ledger, JobState.REMOVED, HOUR) == 1


@pytest.mark.invariant(1)
async def test_a_job_without_an_id_stays_as_long_as_its_message_may_come_again(
    ledger: Ledger, clock: FakeClock
) -> None:
    await ledger.begin(claim(None), job_id="j", pool=POOL, worker="w-1", attempt=1)
    await ledger.complete(QUEUE, "j", worker="w-1", result={}, duration=1.0)
    await clock.move(7200.0)
    early = await clean(ledger, JobState.COMPLETED, HOUR)
    await clock.move(86_400.0)

    assert early == 0
    assert await clean(ledger, JobState.COMPLETED, HOUR) == 1


async def test_the_first_that_is_one_too_many_is_found(ledger: Ledger, clock: FakeClock) -> None:
    for number in range(3):
        await finish(ledger, f"j{number}")
        await clock.move(60.0)
    found = partial(retention.one_too_many, queue=QUEUE, state=JobState.COMPLETED)

    assert await ledger.read(partial(found, count=2)) == clock.utcnow() - timedelta(seconds=180)
    assert await ledger.read(partial(found, count=3)) is None
    assert await ledger.read(retention.queues) == (QUEUE,)


# --- what runs again, and figures --------------------------------------------------------------


async def test_failed_jobs_are_chosen_by_when_they_failed(ledger: Ledger, clock: FakeClock) -> None:
    await fail(ledger, "a")
    await clock.move(60.0)
    await fail(ledger, "b", "c")
    now = clock.utcnow()

    everything = await ledger.read(partial(failed.find, wanted=Wanted(QUEUE)))
    recent = await ledger.read(partial(failed.find, wanted=Wanted(QUEUE, since=now, limit=1)))
    old = await ledger.read(
        partial(failed.find, wanted=Wanted(QUEUE, until=now - timedelta(seconds=30)))
    )

    assert (everything, recent, old) == (("a", "b", "c"), ("b",), ("a",))


async def test_the_job_that_waits_longest_is_known_by_when_it_came(
    ledger: Ledger, clock: FakeClock
) -> None:
    nobody = await ledger.read(partial(figures.oldest_waiting, pool=POOL))
    came = clock.utcnow()
    await enter(ledger, new_job("first"), state=JobState.WAITING)
    await clock.move(60.0)
    await enter(ledger, new_job("second"), state=JobState.WAITING)

    assert nobody is None
    assert await ledger.read(partial(figures.oldest_waiting, pool=POOL)) == came


@pytest.mark.parametrize(
    "statement",
    [
        retention._some,
        retention._last_looked_at,
        retention._one_too_many,
        retention._next_queue,
        figures._oldest,
        draining._some,
        draining._left,
    ],
)
async def test_no_table_of_jobs_is_read_from_end_to_end(
    ledger: Ledger, statement: Select[tuple[object, ...]]
) -> None:
    if ledger.folder is None:
        pytest.skip("a planner that knows how small the tables are reads them whole")

    def plan(connection: Connection) -> list[str]:
        values = dict.fromkeys(statement.compile().params, 1) | {"the_spared": ["a"]}
        compiled = statement.params(values).compile(
            dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
        )
        words = f"EXPLAIN QUERY PLAN {compiled}"
        places = (1,) * str(compiled).count("?")
        return [str(row[-1]) for row in connection.exec_driver_sql(words, places)]

    steps = await ledger.read(plan)
    assert steps
    # What has no name is what was found so far, of bounded size.
    scans = [step for step in steps if step.startswith("SCAN") and step != "SCAN anon_1"]
    assert not scans, steps
