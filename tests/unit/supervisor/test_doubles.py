"""One job for a key: who comes second finds the job there is, or gives it new data."""

import asyncio
from functools import partial

import msgspec
import pytest

from consumers.jobs import Properties
from supervisor.core.records import JobFilter, JobState, NewJob
from supervisor.doubles import Doubles
from supervisor.ledger import draining
from supervisor.ledger.deduplications import Entry, Terms
from supervisor.ledger.draining import Scope, Sweep
from tests.support.offices import CARD, FIRST, Office, a_claim, a_result
from tests.support.sessions import QUEUES

DROP = Terms("a-key")
REPLACE = Terms("a-key", ttl=60.0, replaces=True)


def job(job_id: str, link: str = "http://127.0.0.1/1") -> NewJob:
    body = msgspec.json.encode({"link": link, "from": job_id})
    return NewJob(job_id, CARD.name, QUEUES.public, body, Properties(message_id=job_id))


@pytest.fixture
def doubles(office: Office) -> Doubles:
    return Doubles(office.ledger, office.clerk.book, office.clock)


async def run(office: Office, job_id: str) -> None:
    await office.clerk.claim(FIRST, a_claim(job_id))
    await office.written()


async def test_an_order_is_dropped_while_the_job_of_its_key_is_not_finished(
    office: Office, doubles: Doubles
) -> None:
    first = await doubles.enter(job("a"), DROP)
    second = await doubles.enter(job("b"), DROP)
    await run(office, "a")
    third = await doubles.enter(job("c"), DROP)
    await office.clerk.completed(a_result("a"))
    fourth = await doubles.enter(job("d"), DROP)

    assert first == Entry("a", has_changed=True)
    assert second == third == Entry("a", has_changed=False)
    assert fourth == Entry("d", has_changed=True)
    assert await office.ledger.show("b") is None


async def test_with_a_time_the_key_is_in_force_that_long_whatever_its_job_does(
    office: Office, doubles: Doubles
) -> None:
    terms = Terms("a-key", ttl=60.0)
    await doubles.enter(job("a"), terms)
    await run(office, "a")
    await office.clerk.completed(a_result("a"))
    during = await doubles.enter(job("b"), terms)
    office.clock.advance(60.0)

    assert during.job_id == "a"
    assert (await doubles.enter(job("c"), terms)).job_id == "c"


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.REMOVED])
@pytest.mark.invariant(1)
async def test_a_job_that_people_took_back_stands_for_its_key_no_more(
    office: Office, doubles: Doubles, state: JobState
) -> None:
    """Another order would be answered as accepted, and never run."""
    terms = Terms("a-key", ttl=60.0)
    await doubles.enter(job("a"), terms)
    now = office.clock.utcnow()
    if state is JobState.REMOVED:
        drain = partial(draining.sweep, what=Sweep(CARD.name, Scope.WAITING, last=99))
        await office.ledger.write(partial(drain, now=now))
    else:
        await office.ledger.cancel(QUEUES.public, "a")

    assert (await office.record("a")).state is state
    assert await doubles.enter(job("b"), terms) == Entry("b", has_changed=True)


async def test_a_waiting_job_gets_the_new_data_as_its_next_copy(
    office: Office, doubles: Doubles
) -> None:
    await doubles.enter(job("a"), REPLACE)

    entry = await doubles.enter(job("b", link="http://127.0.0.1/2"), REPLACE)
    record = await office.record("a")

    assert entry == Entry("a", has_changed=True)
    assert record.data == {"link": "http://127.0.0.1/2", "from": "b"}
    assert (record.sender, record.seq, record.state) == ("b", 1, JobState.PENDING)


async def test_a_job_that_runs_keeps_its_data_and_the_new_ones_are_another_job(
    office: Office, doubles: Doubles
) -> None:
    await doubles.enter(job("a"), REPLACE)
    await office.clerk.claim(FIRST, a_claim("a"))  # the ledger does not know it yet

    entry = await doubles.enter(job("b"), REPLACE)

    assert entry == Entry("b", has_changed=True)
    assert (await doubles.enter(job("c"), REPLACE)).job_id == "b"


async def test_of_many_at_once_one_makes_the_job(office: Office, doubles: Doubles) -> None:
    entries = await asyncio.gather(*(doubles.enter(job(f"j{n}"), DROP) for n in range(20)))

    assert len({entry.job_id for entry in entries}) == 1
    assert sum(entry.has_changed for entry in entries) == 1
    assert len(await office.ledger.find(JobFilter())) == 1


async def test_the_waiting_job_of_somebody_else_keeps_its_data(
    office: Office, doubles: Doubles
) -> None:
    own = msgspec.structs.replace(job("a"), origin="token:ana")
    await doubles.enter(own, REPLACE)

    foreign = msgspec.structs.replace(job("b"), origin="token:bob")
    entry = await doubles.enter(foreign, REPLACE)
    kept = (await office.record("a")).data
    later = msgspec.structs.replace(job("c"), origin="token:ana")
    again = await doubles.enter(later, REPLACE)

    assert entry == Entry("a", has_changed=False)
    assert kept == msgspec.json.decode(own.body)
    assert again == Entry("a", has_changed=True)
