"""Copies the broker does not take: what is said, what is held, and how often it is tried."""

import asyncio
from dataclasses import dataclass, field

import pytest

from consumers.errors import BrokerError, ForbiddenError, UnreachableError, UnroutableError
from consumers.refusals import HOLD, LONGEST_PAUSE, PAUSE, Errand, Refusals
from tests.support.clocks import FakeClock, settle

QUEUE = "clips_dlq"
FULL = UnroutableError(f"publish to {QUEUE}: refused by the broker, is the queue full?")


@dataclass
class Place:
    """A queue that refuses as long as the test wants; the gate that is held for it."""

    refusing: BrokerError | None = None
    is_missing: bool = False  # until it is mended
    tries: int = 0
    stored: int = 0
    held: list[str] = field(default_factory=list)  # the words
    holds: list[str] = field(default_factory=list)  # the names
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def store(self) -> None:
        self.tries += 1
        if self.refusing is not None:
            raise self.refusing
        if self.is_missing:
            raise UnroutableError("returned by the broker: NO_ROUTE")
        self.stored += 1

    async def mend(self) -> None:
        self.is_missing = False

    async def hold(self, name: str, why: str) -> None:
        self.held.append(why)
        self.holds.append(name)

    async def release(self, name: str) -> None:
        self.holds.remove(name)

    def errand(self) -> Errand:
        return Errand(QUEUE, self.store, self.mend, ended=self.over.wait)


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def refusals(place: Place, clock: FakeClock) -> Refusals:
    made = Refusals(clock)
    made.gate = place
    return made


async def test_a_copy_that_is_taken_holds_nothing(place: Place, refusals: Refusals) -> None:
    await refusals.see_to(place.errand())

    assert (place.stored, place.held) == (1, [])


async def test_a_missing_queue_is_made_again_at_once(place: Place, refusals: Refusals) -> None:
    place.is_missing = True

    await refusals.see_to(place.errand())

    assert (place.stored, place.held) == (1, [])


@pytest.mark.invariant(1)
async def test_a_full_queue_holds_the_gate_with_the_brokers_words_until_it_takes(
    place: Place, refusals: Refusals, clock: FakeClock
) -> None:
    place.refusing = FULL
    task = asyncio.ensure_future(refusals.see_to(place.errand()))
    await clock.until_asleep()

    assert place.holds == [HOLD]
    assert place.held == [
        f"{QUEUE} takes nothing (refused by the broker, is the queue full?); "
        "make room or delete its limit"
    ]

    place.refusing = None
    await clock.move(PAUSE)
    await task
    assert (place.stored, place.holds) == (1, [])


@pytest.mark.invariant(1)
async def test_a_way_that_the_broker_forbids_holds_the_gate_with_what_to_do_about_it(
    place: Place, refusals: Refusals, clock: FakeClock
) -> None:
    """The session lives, so the original would neither be settled nor come again."""
    place.refusing = ForbiddenError("build the delay ladder: it differs", hint="delete it")
    task = asyncio.ensure_future(refusals.see_to(place.errand()))
    await clock.until_asleep()

    assert place.held == [f"{QUEUE} takes nothing (build the delay ladder: it differs); delete it"]

    place.refusing = None
    await clock.move(PAUSE)
    await task
    assert (place.stored, place.holds) == (1, [])


async def test_the_tries_become_rarer_up_to_one_a_minute(
    place: Place, refusals: Refusals, clock: FakeClock
) -> None:
    place.refusing = FULL
    task = asyncio.ensure_future(refusals.see_to(place.errand()))
    for _ in range(7):
        await clock.move(LONGEST_PAUSE)

    assert clock.slept[:6] == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    task.cancel()


async def test_one_error_is_logged_and_one_word_of_the_end(
    place: Place, refusals: Refusals, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    place.refusing = FULL
    both = [asyncio.ensure_future(refusals.see_to(place.errand())) for _ in range(2)]
    for _ in range(3):
        await clock.move(LONGEST_PAUSE)
    place.refusing = None
    await clock.move(LONGEST_PAUSE)
    await asyncio.gather(*both)

    said = capsys.readouterr().out
    assert said.count("copy refused") == 1
    assert said.count("copies are taken again") == 1


async def test_the_gate_stays_held_while_another_copy_is_refused(
    place: Place, refusals: Refusals, clock: FakeClock
) -> None:
    other = Place(refusing=FULL)
    place.refusing = FULL
    tasks = [asyncio.ensure_future(refusals.see_to(one.errand())) for one in (place, other)]
    await clock.until_asleep(2)

    place.refusing = None
    await clock.move(PAUSE)

    assert place.stored == 1
    assert HOLD in place.holds
    other.refusing = None
    await clock.move(LONGEST_PAUSE)
    await asyncio.gather(*tasks)
    assert HOLD not in place.holds[2:]


async def test_the_end_of_the_session_ends_the_tries_and_the_hold(
    place: Place, refusals: Refusals, clock: FakeClock
) -> None:
    place.refusing = FULL
    task = asyncio.ensure_future(refusals.see_to(place.errand()))
    await clock.until_asleep()

    place.refusing = UnreachableError("the session is over")
    place.over.set()
    await settle()

    with pytest.raises(UnreachableError):
        await task
    assert place.holds == []
