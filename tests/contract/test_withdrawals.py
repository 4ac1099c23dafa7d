"""Jobs that are taken back, and where the others stand: in the ledger, and in embedded queues."""

from functools import partial

import msgspec
import pytest

from consumers.broker.operations import Declare, Publish, Subscribe
from consumers.jobs import Priority, Properties
from consumers.topology import pool_queues
from supervisor.core.records import JobRecord, JobState
from supervisor.ledger import messages, next_copies, places, withdrawals
from supervisor.ledger.next_copies import Again
from supervisor.ledger.places import Rivals
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from tests.support.clocks import FakeClock
from tests.support.ledgers import QUEUE, claim, enter, new_job, to_publish

LANES = pool_queues(QUEUE)


async def call_off(ledger: Ledger, job_id: str, state: JobState) -> bool:
    now = ledger.clock.utcnow()
    off = partial(withdrawals.call_off, queue=QUEUE, job_id=job_id, state=state, now=now)
    return await ledger.write(off)


async def erase(ledger: Ledger, job_id: str) -> bool:
    now = ledger.clock.utcnow()
    return await ledger.write(partial(withdrawals.erase, queue=QUEUE, job_id=job_id, now=now))


async def show(ledger: Ledger, job_id: str) -> JobRecord:
    record = await ledger.show(job_id)
    assert record is not None
    return record


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.REMOVED])
@pytest.mark.parametrize("before", [JobState.PENDING, JobState.WAITING, JobState.DELAYED])
async def test_what_waits_is_called_off_once(
    ledger: Ledger, before: JobState, state: JobState
) -> None:
    delay = 60.0 if before is JobState.DELAYED else 0.0
    await enter(ledger, new_job("a", delay=delay), state=before)

    assert await call_off(ledger, "a", state)
    assert not await call_off(ledger, "a", state)
    assert (await show(ledger, "a")).state is state
    assert await to_publish(ledger) == ()


async def test_what_runs_or_is_over_is_not_called_off(ledger: Ledger) -> None:
    await ledger.begin(claim("a"), job_id="a", pool="download", worker="w", attempt=1)
    during = await call_off(ledger, "a", JobState.CANCELLED)
    await ledger.complete(QUEUE, "a", worker="w", result={}, duration=1.0)

    assert not during
    assert not await call_off(ledger, "a", JobState.CANCELLED)
    assert (await show(ledger, "a")).state is JobState.COMPLETED


async def test_a_finished_job_is_erased_with_its_runs_and_lines(ledger: Ledger) -> None:
    await ledger.begin(claim("a"), job_id="a", pool="download", worker="w", attempt=1)
    during = await erase(ledger, "a")
    await ledger.line(QUEUE, "a", "a line")
    await ledger.complete(QUEUE, "a", worker="w", result={}, duration=1.0)
    await ledger.flush()

    assert not during
    assert await erase(ledger, "a")
    assert await ledger.show("a") is None
    assert not await erase(ledger, "a")
    await enter(ledger, new_job("a"))
    again = await show(ledger, "a")
    assert (again.history, again.lines) == ((), ())


@pytest.mark.invariant(15)
async def test_of_a_job_whose_copy_may_still_come_a_bare_row_stays(ledger: Ledger) -> None:
    await enter(ledger, new_job("a"), state=JobState.WAITING)
    await call_off(ledger, "a", JobState.CANCELLED)

    assert await erase(ledger, "a")

    record = await show(ledger, "a")
    assert (record.state, record.data) == (JobState.REMOVED, {})


async def test_jobs_of_a_level_stand_in_their_order_behind_those_more_urgent(
    ledger: Ledger,
) -> None:
    for name, priority in (("a", 3), ("b", 5), ("c", 1), ("d", 3)):
        job = msgspec.structs.replace(new_job(name), priority=Priority(priority))
        await enter(ledger, job, state=JobState.WAITING)

    async def rivals(job_id: str) -> Rivals:
        return await ledger.read(partial(places.rivals, job=await show(ledger, job_id)))

    assert [await rivals(name) for name in "cadb"] == [
        Rivals(0, 3), Rivals(1, 2), Rivals(2, 1), Rivals(3, 0)
    ]  # fmt: skip


async def test_the_newest_jobs_say_how_long_the_next_one_takes(
    ledger: Ledger, clock: FakeClock
) -> None:
    before = await ledger.read(partial(places.typical, queue=QUEUE))
    for number in range(places.SAMPLE + 10):
        job = f"j{number}"
        await ledger.begin(claim(job), job_id=job, pool="download", worker="w", attempt=1)
        took = 100.0 if number < 10 else 2.0
        await ledger.complete(QUEUE, job, worker="w", result={}, duration=took)
        clock.advance(1)

    assert before is None
    assert await ledger.read(partial(places.typical, queue=QUEUE)) == 2.0


# --- in the embedded queues ---


async def publish(queues: Queues, lane: str, job_id: str, priority: int = 3) -> None:
    queues.attach("test", lambda _: None)
    await queues.perform("test", Declare((LANES.public, LANES.priority)))
    properties = Properties(message_id=job_id, priority=priority)
    await queues.perform("test", Publish(lane, b"{}", properties, 0.0))


async def test_in_the_embedded_queues_it_is_known_exactly_how_many_go_before(
    ledger: Ledger, queues: Queues
) -> None:
    await publish(queues, LANES.public, "a")
    await publish(queues, LANES.priority, "low", priority=2)
    await publish(queues, LANES.priority, "critical", priority=5)
    await publish(queues, LANES.public, "b")

    async def before(job_id: str) -> int | None:
        count = partial(places.exactly_before, queues=LANES, job_id=job_id)
        return await ledger.read(count)

    assert [await before(job) for job in ("critical", "a", "b", "low")] == [0, 1, 2, 3]
    assert await before("unknown") is None


async def test_what_a_worker_has_at_hand_and_has_not_begun_has_its_place_among_those_that_wait(
    ledger: Ledger, queues: Queues
) -> None:
    for job_id in ("runs", "next", "last"):
        await publish(queues, LANES.public, job_id)
    await queues.perform("test", Subscribe(LANES.public, "c", 2))
    runs, namesake = claim("runs"), msgspec.structs.replace(claim("next"), queue="another")
    await ledger.begin(runs, job_id="runs", pool="download", worker="w", attempt=1)
    await ledger.begin(namesake, job_id="next", pool="another", worker="w", attempt=1)

    async def before(job_id: str) -> int | None:
        count = partial(places.exactly_before, queues=LANES, job_id=job_id)
        return await ledger.read(count)

    assert await ledger.read(partial(messages.depth, queue=LANES.public)) == 1
    assert [await before(job_id) for job_id in ("next", "last")] == [0, 1]


async def test_the_message_of_a_job_that_is_called_off_is_gone_in_the_same_commit(
    ledger: Ledger, queues: Queues
) -> None:
    await enter(ledger, new_job("a"), state=JobState.WAITING)
    await publish(queues, LANES.public, "a")
    await publish(queues, LANES.public, "b")

    await call_off(ledger, "a", JobState.CANCELLED)

    assert await ledger.read(partial(messages.depth, queue=LANES.public)) == 1


async def test_the_older_message_of_a_job_is_gone_when_its_next_copy_is_entered(
    ledger: Ledger, queues: Queues
) -> None:
    await enter(ledger, new_job("a"), state=JobState.WAITING)
    await publish(queues, LANES.public, "a")
    now = ledger.clock.utcnow()

    copy = partial(next_copies.again, queue=QUEUE, job_id="a", copy=Again(), now=now)
    assert await ledger.write(copy) == 1

    assert await ledger.read(partial(messages.depth, queue=LANES.public)) == 0
