"""Jobs that one coordinator is asked to cancel and another one runs, on one PostgreSQL ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from consumers.desk import Drop
from supervisor.book import Key
from supervisor.bulletin import Bulletin
from supervisor.cancellations import BETWEEN_LOOKS, Cancellations
from supervisor.clerk import Clerk, Telling
from supervisor.core.cancellations import Wished
from supervisor.core.records import JobRecord, JobState
from supervisor.ledger import cancellations, next_copies
from supervisor.ledger.cancellations import KNOCK
from supervisor.ledger.listening import listen
from supervisor.ledger.next_copies import Again
from supervisor.ledger.store import Ledger
from supervisor.ledger.succession import Succession
from supervisor.notify.english import TEXTS
from supervisor.ports import WrongStateError
from tests.contract.test_ledger_nodes import a_pilot, begin, ours, stay_away, theirs
from tests.support.chains import complete
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.ledgers import QUEUE, claim
from tests.support.offices import CARD, FIRST, Listener

__all__ = ["ours", "theirs"]

pytestmark = pytest.mark.postgres

KEY = (QUEUE, "a")


async def ask(ledger: Ledger, job_id: str = "a") -> bool:
    """Have a job cancelled by whoever runs it, if another one does."""
    wish = partial(cancellations.ask, queue=QUEUE, job_id=job_id)
    return await ledger.write(partial(wish, now=ledger.clock.utcnow()))


async def wishes(ledger: Ledger) -> tuple[Wished, ...]:
    return await ledger.read(cancellations.ours)


async def state(ledger: Ledger, job_id: str = "a") -> JobState:
    record = await ledger.show(job_id)
    assert record is not None
    return record.state


def a_room(
    ledger: Ledger, *, gate: asyncio.Event | None = None, bulletin: Bulletin | None = None
) -> tuple[Cancellations, list[Key]]:
    """Who does what others were asked to, on one machine; and the jobs that it was told to stop."""
    stopped: list[Key] = []

    async def stop(key: Key) -> JobRecord:
        stopped.append(key)
        if gate is not None:
            await gate.wait()
        await ledger.cancel(*key)
        record = await ledger.show(key[1])
        assert record is not None
        return record

    return Cancellations(ledger, stop, bulletin or Bulletin(), ledger.clock), stopped


async def until(is_so: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(WITHIN):
        while not await is_so():
            await settle()


async def told(asking: "asyncio.Future[JobRecord]", clock: FakeClock) -> JobRecord:
    """Let time pass for whoever waits for the end of a job."""
    async with asyncio.timeout(WITHIN):
        while not asking.done():
            clock.advance(BETWEEN_LOOKS)
            await settle()
    return await asking


@pytest.mark.invariant(15)
async def test_a_job_is_cancelled_by_the_machine_that_runs_it_and_whoever_asked_hears_the_end(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    await begin(theirs, "a")
    room, stopped = a_room(theirs)

    asking = asyncio.ensure_future(a_pilot(ours, clock).cancel("a"))
    await until(lambda: wishes(theirs))
    await room.look()
    await until(partial(_has_none, theirs))
    record = await told(asking, clock)

    assert record.state is JobState.CANCELLED
    assert stopped == [KEY]


async def test_what_is_asked_twice_is_done_once(ours: Ledger, theirs: Ledger) -> None:
    await begin(theirs, "a")
    gate = asyncio.Event()
    room, stopped = a_room(theirs, gate=gate)

    assert [await ask(ours), await ask(ours)] == [True, True]
    await room.look()
    await room.look()
    gate.set()
    await until(partial(_has_none, theirs))

    assert stopped == [KEY]
    assert await ask(ours) is False  # nobody runs it any more


async def test_a_job_that_ends_by_itself_first_is_not_cancelled_and_that_is_said(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    await begin(theirs, "a")
    room, stopped = a_room(theirs)
    asking = asyncio.ensure_future(a_pilot(ours, clock).cancel("a"))
    await until(lambda: wishes(theirs))

    await theirs.complete(QUEUE, "a", worker="d-1", result={}, duration=1)
    await room.look()

    with pytest.raises(WrongStateError, match="completed before it could be cancelled"):
        await told(asking, clock)
    assert (stopped, await wishes(theirs)) == ([], ())


@pytest.mark.invariant(15)
async def test_a_job_whose_machine_dies_is_cancelled_by_the_heir_and_does_not_run_again(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    await complete(theirs, "film", "a")
    await begin(theirs, "a")
    assert await ask(ours)
    await theirs.close()

    await stay_away(Succession(ours, ["download"], clock, lambda: None), clock)

    assert await state(ours) is JobState.CANCELLED
    clerk = Clerk(ours, [CARD], Telling([], TEXTS, lambda: None), Bulletin(), clock)
    assert isinstance(await clerk.claim(FIRST, claim("a")), Drop)
    bulletin = Listener()
    room, stopped = a_room(ours, bulletin=bulletin)
    for _ in range(2):
        await room.look()
    told = [(event.name, event.id, event.root) for event in bulletin.events]
    assert told == [("cancelled", "a", "film")]
    assert (stopped, await wishes(ours)) == ([], ())


@pytest.mark.invariant(15)
async def test_a_job_whose_machine_comes_back_is_cancelled_before_anything_is_delivered(
    ours: Ledger, theirs: Ledger, postgres_url: str, clock: FakeClock
) -> None:
    await begin(theirs, "a")
    assert await ask(ours)
    await theirs.close()

    back = await Ledger.open(postgres_url, clock=clock, node="theirs")

    assert await state(back) is JobState.CANCELLED
    assert [wished.is_done for wished in await wishes(back)] == [True]
    await back.close()


@pytest.mark.invariant(15)
async def test_a_job_that_its_machine_gives_back_unheard_begins_on_no_other_one(
    ours: Ledger, theirs: Ledger, clock: FakeClock
) -> None:
    await begin(theirs, "a")
    assert await ask(ours)
    await theirs.release(QUEUE, ["a"])

    clerk = Clerk(ours, [CARD], Telling([], TEXTS, lambda: None), Bulletin(), clock)
    began = await ours.begin(claim("a"), job_id="a", pool="download", worker="d-1", attempt=1)

    assert began is False
    assert await state(ours) is JobState.CANCELLED
    assert isinstance(await clerk.claim(FIRST, claim("a")), Drop)


async def test_a_wish_is_for_one_life_of_a_job(ours: Ledger, theirs: Ledger) -> None:
    await begin(theirs, "a")
    assert await ask(ours)
    await theirs.cancel(QUEUE, "a")
    again = partial(next_copies.again, queue=QUEUE, job_id="a", copy=Again())
    assert await ours.write(partial(again, now=ours.clock.utcnow())) == 1

    copy = claim("a", seq=1)
    began = await theirs.begin(copy, job_id="a", pool="download", worker="d-1", attempt=1)

    assert began is True
    room, stopped = a_room(theirs)
    await room.look()
    assert (stopped, await wishes(theirs)) == ([], ())
    assert await state(theirs) is JobState.ACTIVE


async def test_what_runs_here_or_has_ended_is_nobody_elses_to_cancel(
    ours: Ledger, theirs: Ledger
) -> None:
    await begin(ours, "a")
    await begin(theirs, "b")
    await theirs.complete(QUEUE, "b", worker="d-1", result={}, duration=1)

    assert [await ask(ours, job) for job in ("a", "b", "unheard of")] == [False] * 3


async def test_a_wish_is_heard_at_once(
    ours: Ledger, theirs: Ledger, postgres_url: str, clock: FakeClock
) -> None:
    await begin(theirs, "a")
    heard = asyncio.Event()
    listening = asyncio.ensure_future(listen(postgres_url, {KNOCK: heard.set}, clock=clock))
    async with asyncio.timeout(WITHIN):
        await heard.wait()  # it listens from now on
        heard.clear()

        assert await ask(ours)
        await heard.wait()

    listening.cancel()
    await asyncio.wait({listening})


async def _has_none(ledger: Ledger) -> bool:
    return not await wishes(ledger)
