"""Several coordinators on one PostgreSQL ledger: each has its own in hand, and heirs."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from msgspec.structs import replace

from consumers.desk import Drop, Later
from supervisor.book import Book
from supervisor.bulletin import Bulletin
from supervisor.clerk import Clerk, Telling
from supervisor.core.records import JobFilter, JobState
from supervisor.inbox import Inbox
from supervisor.ledger.claims import Redelivery
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.recovery import gone
from supervisor.ledger.rooms import room_of
from supervisor.ledger.store import Ledger
from supervisor.ledger.succession import GRACE, Succession
from supervisor.notify.english import TEXTS
from supervisor.ports import WrongStateError
from supervisor.poster import Poster
from supervisor.postroom import Postroom
from supervisor.recognition import Recognition
from supervisor.standing import Standing, Views
from supervisor.steering import Helm, Pilot
from supervisor.switchboard import Switchboard
from tests.support.clocks import FakeClock
from tests.support.desks import FakeDesk
from tests.support.ledgers import (
    QUEUE,
    claim,
    downgrade,
    enter,
    new_job,
    notice,
    to_publish,
)
from tests.support.offices import CARD, FIRST
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


async def test_a_job_that_runs_on_another_machine_is_elsewhere_until_that_is_succeeded(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    await begin(theirs, "a")

    assert await elsewhere(theirs, "a") == ""
    assert await elsewhere(ours, "a") == "theirs"
    await theirs.close()
    assert await elsewhere(ours, "a") == "theirs"  # its workers need not have stopped
    await stay_away(Succession(ours, ["download"], clock, lambda: None), clock)
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
    succession = Succession(ours, ["download"], clock, lambda: pokes.append(None))
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
    assert await ours.read(partial(gone, pools=["download"])) == frozenset()


async def test_a_delivery_of_a_job_that_runs_elsewhere_leaves_its_slot_and_comes_again(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    clerk = Clerk(ours, [CARD], Telling([], TEXTS, lambda: None), Bulletin(), clock)
    await begin(theirs, "a")

    judging = asyncio.ensure_future(clerk.claim(FIRST, claim("a")))
    for naps in (1, 2):
        await clock.until_asleep(naps)
        assert not judging.done()
        clock.advance(1.0)
    verdict = await judging

    assert isinstance(verdict, Later)
    assert (verdict.delay, verdict.seq) == (30.0, 1)
    assert await elsewhere(ours, "a") == "theirs"  # and it still runs there
    await complete(theirs, "a")
    again = replace(claim("a"), seq=1)
    assert isinstance(await clerk.claim(FIRST, again), Drop)


async def test_what_runs_elsewhere_is_not_removed_before_it_is_cancelled(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    await begin(theirs, "a")

    with pytest.raises(WrongStateError, match="cancel it first"):
        await a_pilot(ours, clock).remove("a")

    assert clock.slept == []  # at once


def a_pilot(ledger: Ledger, clock: FakeClock) -> Pilot:
    """Somebody who steers jobs from a machine without workers."""
    inbox, bulletin = Inbox(), Bulletin()
    clerk = Clerk(ledger, [CARD], Telling([], TEXTS, lambda: None), bulletin, clock)
    postroom = Postroom("amqp://broker", {CARD.name: CARD.queues}, FakeDesk())
    poster = Poster(ledger, postroom, [CARD], bulletin, clock)
    board = Switchboard(inbox, clerk, None, clock)
    views = Views(ledger, postroom, clerk.book, lambda _: 0)
    standing = Standing([CARD], views, clock, is_exact=False)
    return Pilot(Helm(clerk.book, board, inbox, poster, bulletin), ledger, standing, clock)


async def test_jobs_to_be_published_wait_for_a_node_that_has_their_pool(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    await enter(theirs, new_job("to-publish"))
    await theirs.close()

    await stay_away(Succession(ours, ["another"], clock, lambda: None), clock)
    assert await to_publish(ours) == ()
    await stay_away(Succession(ours, ["download"], clock, lambda: None), clock)

    assert [posting.id for posting in await to_publish(ours)] == ["to-publish"]


async def test_a_message_of_a_node_that_is_away_is_told_when_that_is_succeeded(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    recognition = Recognition(ours, Book(), clock)
    await begin(theirs, "nameless", named=False)
    await theirs.close()

    telling = asyncio.ensure_future(
        recognition.recognise(("download-1", 1), replace(claim(None), redelivered=True))
    )
    await clock.until_asleep()
    assert not telling.done()
    await stay_away(Succession(ours, ["download"], clock, lambda: None), clock)
    known = await telling

    assert known is not None
    assert (known.id, known.state) == ("nameless", JobState.WAITING)


async def stay_away(succession: Succession, clock: FakeClock) -> None:
    """Let so much time pass that whoever is away is succeeded."""
    await succession.look()
    clock.advance(GRACE)
    await succession.look()
    clock.advance(GRACE)


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
