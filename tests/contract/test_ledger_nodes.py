"""Several coordinators on one PostgreSQL ledger: each has its own in hand, and heirs."""

from collections.abc import AsyncIterator

import pytest

from supervisor.core.records import JobFilter, JobState
from supervisor.ledger.claims import Redelivery
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.recovery import gone
from supervisor.ledger.rooms import room_of
from supervisor.ledger.store import Ledger
from supervisor.ledger.succession import GRACE, Succession
from tests.support.clocks import FakeClock
from tests.support.ledgers import (
    QUEUE,
    claim,
    downgrade,
    enter,
    new_job,
    notice,
    to_publish,
)
from tests.support.postgresql import PASSWORD

pytestmark = pytest.mark.postgres


@pytest.fixture
async def ours(postgres_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(postgres_url, clock=clock, node="ours")
    yield opened
    await opened.close()


@pytest.fixture
async def theirs(postgres_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(postgres_url, clock=clock, node="theirs")
    yield opened
    await opened.close()


async def begin(ledger: Ledger, job_id: str, *, named: bool = True) -> None:
    taken = claim(job_id if named else None)
    assert await ledger.begin(taken, job_id=job_id, pool="download", worker="d-1", attempt=1)


async def complete(ledger: Ledger, job_id: str) -> None:
    assert await ledger.complete(
        QUEUE, job_id, worker="d-1", result={}, duration=1, notices=[notice(job_id)]
    )


async def states(ledger: Ledger) -> dict[JobState, int]:
    return dict((await ledger.counts()).get(QUEUE, {}))


async def elsewhere(ledger: Ledger, job_id: str) -> str:
    known = await ledger.known(QUEUE, job_id)
    assert known is not None
    return known.elsewhere


async def is_open(ledger: Ledger, job_id: str) -> bool:
    record = await ledger.show(job_id)
    assert record is not None
    return record.history[0].finished_at is None


async def told(ledger: Ledger) -> list[str]:
    return [each.job_id for each in await ledger.due(ledger.clock.utcnow(), limit=10)]


async def test_a_second_coordinator_of_a_node_is_refused(
    ours: Ledger, postgres_url: str, clock: FakeClock
) -> None:
    with pytest.raises(LedgerError, match=r"node id \(ours\) is at work .* node\.id") as refused:
        await Ledger.open(postgres_url, clock=clock, node="ours")

    assert PASSWORD not in str(refused.value)
    assert await ours.counts() == {}


async def test_a_node_takes_up_at_its_start_what_was_its_own(
    ours: Ledger, theirs: Ledger, postgres_url: str, clock: FakeClock
) -> None:
    await begin(ours, "a")
    await begin(theirs, "b")
    await theirs.close()

    again = await Ledger.open(postgres_url, clock=clock, node="theirs")

    assert [job.id for job in await again.find(JobFilter(state=JobState.WAITING))] == ["b"]
    assert [job.id for job in await again.find(JobFilter(state=JobState.ACTIVE))] == ["a"]
    assert [await is_open(again, job) for job in "ab"] == [True, False]
    await again.close()


async def test_a_job_that_runs_on_another_machine_is_elsewhere_as_long_as_that_is_there(
    ours: Ledger, theirs: Ledger
) -> None:
    await begin(theirs, "a")

    assert await elsewhere(theirs, "a") == ""
    assert await elsewhere(ours, "a") == "theirs"
    await theirs.close()
    assert await elsewhere(ours, "a") == ""
    await begin(ours, "a")
    assert await elsewhere(ours, "a") == ""


async def test_each_node_publishes_and_tells_its_own(ours: Ledger, theirs: Ledger) -> None:
    for ledger, job in ((ours, "a"), (theirs, "b")):
        await begin(ledger, job)
        await complete(ledger, job)
        await enter(ledger, new_job(f"next-{job}"))

    assert await told(ours) == ["a"]
    assert await told(theirs) == ["b"]
    assert [posting.id for posting in await to_publish(ours)] == ["next-a"]
    assert await theirs.next_due() is not None


async def test_a_node_that_stays_away_is_succeeded_and_one_that_comes_back_is_not(
    ours: Ledger, theirs: Ledger, postgres_url: str, clock: FakeClock
) -> None:
    pokes: list[None] = []
    succession = Succession(ours, clock, lambda: pokes.append(None))
    await begin(theirs, "done")
    await complete(theirs, "done")
    await begin(theirs, "running")
    await enter(theirs, new_job("to-publish"))
    await theirs.close()
    await succession.look()
    await clock.move(GRACE / 2)
    back = await Ledger.open(postgres_url, clock=clock, node="theirs")
    await begin(back, "running")
    await succession.look()
    await clock.move(GRACE)
    await succession.look()
    assert (pokes, await told(ours)) == ([], [])

    await back.close()
    await succession.look()
    await clock.move(GRACE)
    await succession.look()

    assert len(pokes) == 1
    assert await told(ours) == ["done"]
    assert [posting.id for posting in await to_publish(ours)] == ["to-publish"]
    assert (await states(ours))[JobState.WAITING] == 1
    assert await ours.read(gone) == frozenset()


async def test_a_message_of_a_node_that_is_gone_is_recognised_at_once(
    ours: Ledger, theirs: Ledger
) -> None:
    await begin(theirs, "nameless", named=False)
    redelivery = Redelivery(QUEUE, claim(None).fingerprint)
    assert await ours.recognise(redelivery) is None
    await theirs.close()

    known = await ours.recognise(redelivery)

    assert known is not None
    assert (known.id, known.state) == ("nameless", JobState.WAITING)


async def test_what_another_node_has_finished_is_not_taken_for_a_message_of_the_same_words(
    ours: Ledger, theirs: Ledger
) -> None:
    await begin(theirs, "nameless", named=False)
    await complete(theirs, "nameless")
    redelivery = Redelivery(QUEUE, claim(None).fingerprint)

    assert await ours.recognise(redelivery) is None
    assert await theirs.recognise(redelivery) is not None


async def test_counts_are_true_whoever_changed_what(ours: Ledger, theirs: Ledger) -> None:
    for job in ("a", "b", "c"):
        await begin(ours, job)
    await complete(theirs, "a")
    await theirs.cancel(QUEUE, "b")

    expected = {JobState.ACTIVE: 1, JobState.COMPLETED: 1, JobState.CANCELLED: 1}
    assert await states(ours) == expected


async def test_tables_are_not_changed_under_another_supervisor(
    postgres_url: str, clock: FakeClock
) -> None:
    downgrade(postgres_url, "0005")
    older = room_of(postgres_url, "older")
    older.take()

    with pytest.raises(LedgerError, match="supervisors of another one are at work on it; stop"):
        await Ledger.open(postgres_url, clock=clock, node="ours")
    older.release()

    await (await Ledger.open(postgres_url, clock=clock, node="ours")).close()
