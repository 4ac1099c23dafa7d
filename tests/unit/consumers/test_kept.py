"""Deliveries that nobody may settle come again from time to time, and cost nobody the session."""

from typing_extensions import override

from consumers.broker.port import Delivery
from consumers.jobs import DELIVERY_COUNT
from consumers.kept import Kept
from tests.support.clocks import FakeClock, settle
from tests.support.sessions import BrokerInMemory, SessionInMemory, a_message


async def test_each_is_given_back_when_its_time_has_come() -> None:
    clock = FakeClock()
    session = await BrokerInMemory().connect()
    kept = Kept(clock, after=600)
    first, second = session.hand(a_message(b"1")), session.hand(a_message(b"2"))

    kept.keep(session, first.delivery)
    await clock.move(100)
    kept.keep(session, second.delivery)
    await clock.move(500)
    assert session.broker.bodies(first.delivery.queue) == [b"1"]
    await clock.move(100)

    assert len(session.broker.bodies(first.delivery.queue)) == 2
    assert session.in_hand == {}


async def test_what_was_kept_of_an_ended_session_is_forgotten() -> None:
    clock = FakeClock()
    session = await BrokerInMemory().connect()
    kept = Kept(clock, after=600)
    kept.keep(session, session.hand(a_message()).delivery)

    session.end()
    kept.lost()
    await clock.move(1000)

    assert "given back" not in session.broker.diary


async def test_where_returns_are_counted_it_is_published_anew() -> None:
    clock = FakeClock()
    session = await BrokerInMemory().connect()
    kept = Kept(clock, after=600)
    hand = session.hand(a_message(headers={DELIVERY_COUNT: 1}))

    kept.keep(session, hand.delivery)
    await clock.move(600)
    await settle()

    assert session.broker.diary == [f"published to {hand.delivery.queue}", "acked"]


class Listening(SessionInMemory):
    """A session that remembers with what a delivery was given back."""

    heard: bytes | None = None

    @override
    async def requeue(self, delivery: Delivery) -> None:
        self.heard = delivery.message.body
        await super().requeue(delivery)


async def test_what_is_only_given_back_is_kept_without_its_bytes() -> None:
    clock, session = FakeClock(), Listening(BrokerInMemory(), 1)
    kept = Kept(clock, after=600)

    kept.keep(session, session.hand(a_message(b"large")).delivery)
    assert kept.count == 1
    await clock.move(600)

    assert (session.heard, kept.count) == (b"", 0)
