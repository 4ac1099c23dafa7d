"""Pending jobs: what is to be published is on the disk, in order, and is marked once."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import msgspec
import pytest
from sqlalchemy import Connection, event

from consumers.jobs import Priority
from supervisor.core.records import JobRecord, JobState, NewJob
from supervisor.ledger import next_copies, pending, publishing
from supervisor.ledger.next_copies import Again
from supervisor.ledger.publishing import Posting
from supervisor.ledger.store import Ledger
from tests.support.clocks import START, FakeClock
from tests.support.ledgers import QUEUE, claim, enter, letter, new_job, to_publish


async def show(ledger: Ledger, job_id: str = "job-1") -> JobRecord:
    record = await ledger.show(job_id)
    assert record is not None
    return record


async def again(ledger: Ledger, copy: Again, job_id: str = "job-1") -> int:
    now = ledger.clock.utcnow()
    return await ledger.write(
        partial(next_copies.again, queue=QUEUE, job_id=job_id, copy=copy, now=now)
    )


async def mark(ledger: Ledger, postings: tuple[Posting, ...]) -> None:
    now = ledger.clock.utcnow()
    await ledger.write(partial(publishing.stored, postings=postings, now=now))


async def begin(ledger: Ledger, job_id: str = "job-1", *, seq: int = 0) -> bool:
    mine = claim(job_id, seq=seq)
    return await ledger.begin(mine, job_id=job_id, pool="download", worker="w-1", attempt=1)


def ids(postings: tuple[Posting, ...]) -> list[str]:
    return [posting.id for posting in postings]


async def test_jobs_are_to_be_published_in_the_order_they_were_entered(
    ledger: Ledger, clock: FakeClock
) -> None:
    for job in ("b", "a", "c"):
        await enter(ledger, new_job(job))
        clock.advance(1)

    assert ids(await to_publish(ledger)) == ["b", "a", "c"]
    assert ids(await to_publish(ledger, "another-pool")) == []


async def test_what_should_be_in_its_queue_and_is_not_is_counted(
    ledger: Ledger, clock: FakeClock
) -> None:
    soon = timedelta(seconds=15)
    later = clock.utcnow() + soon
    many = {"due": "", "refused": "chain", "ordered": "", "later": "chain"}
    moments = {"refused": later, "ordered": later, "later": later + soon}
    for name, origin in many.items():
        job = new_job(name)
        job = msgspec.structs.replace(job, origin=origin, post_at=moments.get(name))
        await enter(ledger, job)
    count = partial(publishing.unposted, now=clock.utcnow(), soon=soon)

    assert await ledger.read(partial(count, pools=("download",))) == 2
    assert await ledger.read(partial(count, pools=("another-pool",))) == 0


async def test_many_jobs_are_entered_by_few_statements_and_those_that_were_new_are_counted(
    ledger: Ledger, clock: FakeClock
) -> None:
    """What is known already is left as it is, in whichever of the slices it comes."""
    names = [f"j{number:04d}" for number in range(2 * pending.AT_ONCE + 1)]
    for known in (names[0], names[pending.AT_ONCE], names[-1]):
        await enter(ledger, msgspec.structs.replace(new_job(known), sender="before"))
    statements: list[str] = []

    def enter_all(connection: Connection, many: Sequence[NewJob]) -> int:
        event.listen(connection, "before_cursor_execute", lambda *said: statements.append(said[2]))
        return pending.enter_all(connection, many, now=clock.utcnow())

    many = [new_job(name) for name in names]
    new = [await ledger.write(partial(enter_all, many=some)) for some in (many, many, [])]

    assert new == [len(names) - 3, 0, 0]
    assert len([said for said in statements if said.startswith("INSERT INTO jobs")]) == 6
    assert (await show(ledger, names[0])).sender == "before"
    entered = ids(await to_publish(ledger))
    assert entered[3:] == [name for name in names if name not in entered[:3]][: len(entered) - 3]


async def test_what_is_published_is_waiting_or_delayed_and_is_not_published_again(
    ledger: Ledger,
) -> None:
    await enter(ledger, new_job("now"))
    await enter(ledger, new_job("later", delay=60))

    await mark(ledger, await to_publish(ledger))

    assert (await show(ledger, "now")).state is JobState.WAITING
    assert (await show(ledger, "later")).state is JobState.DELAYED
    assert await to_publish(ledger) == ()


async def test_a_job_that_was_met_before_it_was_marked_stays_what_it_is(ledger: Ledger) -> None:
    await enter(ledger, new_job())
    postings = await to_publish(ledger)
    await begin(ledger)

    await mark(ledger, postings)

    assert (await show(ledger)).state is JobState.ACTIVE


async def test_a_job_is_not_published_before_its_moment(ledger: Ledger, clock: FakeClock) -> None:
    later = msgspec.structs.replace(new_job(), post_at=START + timedelta(seconds=9))
    await enter(ledger, later)

    before = await to_publish(ledger)
    due = await ledger.read(partial(publishing.next_moment, now=START))
    clock.advance(9)

    assert before == ()
    assert due == START + timedelta(seconds=9)
    assert ids(await to_publish(ledger)) == ["job-1"]


async def test_a_refused_copy_is_published_later_behind_the_others(
    ledger: Ledger, clock: FakeClock
) -> None:
    await enter(ledger, new_job("refused"))
    until = START + timedelta(seconds=5)
    refused = await to_publish(ledger)
    await ledger.write(partial(publishing.put_off, postings=refused, until=until))
    await enter(ledger, new_job("next"))

    before = ids(await to_publish(ledger))
    clock.advance(5)

    assert before == ["next"]
    assert ids(await to_publish(ledger)) == ["next", "refused"]


async def test_the_next_copy_of_a_job_has_the_next_number_and_outdates_the_last_one(
    ledger: Ledger,
) -> None:
    await enter(ledger, new_job(), state=JobState.WAITING)

    seq = await again(ledger, Again(priority=Priority.HIGH))
    (posting,) = await to_publish(ledger)

    assert (seq, posting.seq, posting.priority) == (1, 1, Priority.HIGH)
    assert (await show(ledger)).state is JobState.PENDING


async def test_a_delayed_job_keeps_its_moment_if_nothing_else_is_said(
    ledger: Ledger, clock: FakeClock
) -> None:
    await enter(ledger, new_job(delay=60), state=JobState.DELAYED)
    clock.advance(20)

    await again(ledger, Again(delay=None, priority=Priority.LOW))
    (kept,) = await to_publish(ledger)
    await again(ledger, Again())
    (promoted,) = await to_publish(ledger)

    assert kept.due_at == START + timedelta(seconds=60)
    assert promoted.due_at is None


async def test_a_running_job_has_no_next_copy_nor_has_one_that_nobody_knows(
    ledger: Ledger,
) -> None:
    await begin(ledger)

    assert await again(ledger, Again(among=frozenset(JobState))) == 0
    assert await again(ledger, Again(), "unknown") == 0
    assert (await show(ledger)).state is JobState.ACTIVE


@pytest.mark.invariant(1)
@pytest.mark.invariant(15)
async def test_an_older_copy_does_not_begin_that_was_granted_while_the_next_was_entered(
    ledger: Ledger,
) -> None:
    """On another machine perhaps: the next one has other data, or another priority."""
    await enter(ledger, new_job(), state=JobState.WAITING)
    seq = await again(ledger, Again())
    old = await begin(ledger)
    pending_still = (await show(ledger)).state
    await mark(ledger, await to_publish(ledger))
    stale = await begin(ledger)

    assert (old, pending_still, stale) == (False, JobState.PENDING, False)
    assert await begin(ledger, seq=seq)


async def test_a_second_letter_of_an_earlier_life_does_not_bury_a_job_that_was_retried(
    ledger: Ledger,
) -> None:
    await ledger.bury(letter(), job_id="job-1", pool="download")

    await again(ledger, Again())
    is_new = await ledger.bury(letter(), job_id="job-1", pool="download")
    (posting,) = await to_publish(ledger)
    after = await show(ledger)

    assert not is_new
    assert (posting.seq, posting.attempts) == (1, 0)
    assert (after.state, after.attempts, after.error) == (JobState.PENDING, 0, None)


async def test_a_job_that_fails_in_its_next_life_is_buried_again(ledger: Ledger) -> None:
    await ledger.bury(letter(), job_id="job-1", pool="download")
    await again(ledger, Again())
    await mark(ledger, await to_publish(ledger))
    await begin(ledger, seq=1)

    assert await ledger.bury(letter(seq=1), job_id="job-1", pool="download")
    assert (await show(ledger)).state is JobState.FAILED
