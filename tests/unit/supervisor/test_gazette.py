"""The gazette: what happens goes to the exchange, and nothing that goes wrong there matters."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from consumers.errors import ForbiddenError, UnreachableError
from consumers.topology import Exchange
from supervisor import gazette
from supervisor.bulletin import Bulletin
from supervisor.desks.events import EVERYTHING, Wanted
from supervisor.gazette import AGAIN, PACE, Gazette
from supervisor.ports import Event
from tests.support.clocks import START, WITHIN, FakeClock, settle
from tests.support.sessions import BrokerInMemory, SessionInMemory


@dataclass
class Press:
    gazette: Gazette
    bulletin: Bulletin
    broker: BrokerInMemory
    session: SessionInMemory
    clock: FakeClock

    @property
    def keys(self) -> list[str]:
        return [note.key for note in self.broker.announced]

    def tell(self, name: str, job: str = "1") -> None:
        self.bulletin.publish(Event(name, START, queue="q", id=job))

    async def turn(self, seconds: float = PACE) -> None:
        """Have everything that is gathered written, if it can be."""
        self.bulletin.hand_out()
        for _ in range(3):
            await settle()
            await self.clock.move(seconds)
        await settle()


async def a_press(wanted: Wanted = EVERYTHING) -> AsyncIterator[Press]:
    clock, bulletin, broker = FakeClock(), Bulletin(), BrokerInMemory()
    session = await broker.connect()
    printing = Gazette(bulletin, "events", wanted, clock)
    running = asyncio.ensure_future(printing.run())
    yield Press(printing, bulletin, broker, session, clock)
    running.cancel()
    await asyncio.wait({running})


@pytest.fixture
async def press() -> AsyncIterator[Press]:
    async for one in a_press():
        yield one


async def test_events_go_to_the_exchange_by_queue_and_name(press: Press) -> None:
    await press.gazette.open(press.session)

    press.tell("active")
    press.tell("completed")
    await press.turn()

    assert press.broker.laid[0].exchanges == (Exchange("events", kind="topic"),)
    assert press.keys == ["q.active", "q.completed"]
    note = press.broker.announced[1]
    assert (note.exchange, note.message.properties.type) == ("events", "completed")
    assert note.message.properties.timestamp == START
    assert b'"id":"1"' in note.message.body
    assert press.gazette.view.published == 2


async def test_what_happens_while_the_broker_is_away_is_published_later(press: Press) -> None:
    press.tell("active")
    await press.turn()
    assert press.keys == []

    await press.gazette.open(press.session)
    await press.turn()

    assert press.keys == ["q.active"]


async def test_of_too_much_the_newest_is_kept_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gazette, "BUFFER", 2)
    async for press in a_press():
        for number in range(5):
            press.tell("completed", str(number))
        press.bulletin.hand_out()

        await press.gazette.open(press.session)
        await press.turn()

        assert [
            b'"id":"%d"' % n in note.message.body
            for n, note in zip((3, 4), press.broker.announced, strict=True)
        ] == [True, True]
        assert press.gazette.view.missed == 3


async def test_a_broker_that_says_no_is_asked_again_and_nothing_is_lost(press: Press) -> None:
    press.session.refusing_notes = ForbiddenError("no such exchange", hint="make it")
    await press.gazette.open(press.session)
    press.tell("active")
    await press.turn()
    assert press.gazette.view.why == "no such exchange"

    press.session.refusing_notes = None
    press.tell("completed")
    await press.turn(AGAIN)

    assert press.keys == ["q.active", "q.completed"]
    assert press.gazette.view.why == ""
    assert len(press.broker.laid) == 2  # it may have been deleted


async def test_what_a_lost_session_did_not_take_goes_by_the_next(press: Press) -> None:
    press.session.refusing_notes = UnreachableError("connection reset")
    await press.gazette.open(press.session)
    press.tell("active")
    await press.turn()
    press.gazette.lost()

    await press.gazette.open(await press.broker.connect())
    await press.turn(AGAIN)

    assert press.keys == ["q.active"]


async def test_of_the_progress_of_one_job_not_everything_is_told(press: Press) -> None:
    await press.gazette.open(press.session)

    for _ in range(5):
        press.tell("progress", "1")
    press.tell("progress", "2")
    await press.turn()
    assert press.keys == ["q.progress"] * 2

    await press.clock.move(gazette.THIN)
    press.tell("progress", "1")
    await press.turn()

    assert press.keys == ["q.progress"] * 3


async def test_only_what_is_wanted_is_published() -> None:
    async for press in a_press(Wanted(names=frozenset({"failed"}))):
        await press.gazette.open(press.session)
        press.tell("completed")
        press.tell("failed")
        await press.turn()

        assert press.keys == ["q.failed"]


async def test_what_is_left_is_published_at_the_end(press: Press) -> None:
    await press.gazette.open(press.session)
    press.tell("worker.stopped")

    closing = asyncio.ensure_future(press.gazette.close())
    await press.turn()
    await asyncio.wait_for(closing, WITHIN)

    assert press.keys == ["q.worker.stopped"]


async def test_without_a_session_the_end_is_not_waited_for(press: Press) -> None:
    press.tell("worker.stopped")

    await asyncio.wait_for(press.gazette.close(), WITHIN)
