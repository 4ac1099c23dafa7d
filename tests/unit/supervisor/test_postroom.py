"""The coordinator's own session: what it publishes and counts, and whose dead letters it minds."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from consumers.errors import ForbiddenError, UnreachableError
from consumers.oversized import LIMIT
from consumers.topology import oversized, pool_queues
from supervisor.postroom import NOT_CONNECTED, Postroom
from tests.support.clocks import WITHIN, settle
from tests.support.desks import FakeDesk
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory, a_message

CUTTER = pool_queues("cutter_queue")


@dataclass
class House:
    """A postroom for two pools and a broker for its sessions."""

    broker: BrokerInMemory
    desk: FakeDesk
    postroom: Postroom

    async def open(self) -> SessionInMemory:
        session = await self.broker.connect()
        await self.postroom.open(session)
        self.postroom.opened(session.peer)
        await settle()
        return session

    async def lose(self, session: SessionInMemory) -> None:
        session.end()
        self.postroom.lost()
        self.postroom.troubled(UnreachableError("connection refused"), 1, 0.5)
        await settle()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    broker, desk = BrokerInMemory(), FakeDesk()
    postroom = Postroom("amqp://broker", {"download": QUEUES, "cutter": CUTTER}, desk)
    yield House(broker, desk, postroom)
    desk.open.set()
    await postroom.close()


async def test_every_pool_is_declared(house: House) -> None:
    session = await house.open()

    assert session.declared == [QUEUES, CUTTER]


async def test_the_view_says_whether_the_broker_is_there_and_if_not_why(house: House) -> None:
    assert (house.postroom.view.connected, house.postroom.view.why) == (False, NOT_CONNECTED)
    session = await house.open()
    assert (house.postroom.view.connected, house.postroom.view.why) == (True, "")

    await house.lose(session)

    assert house.postroom.view.why == "connection refused"
    assert house.postroom.view.address == "amqp://broker"


async def test_nothing_is_published_without_a_session(house: House) -> None:
    with pytest.raises(UnreachableError, match=NOT_CONNECTED):
        await house.postroom.publish(QUEUES.public, a_message(), delay=0.0)


async def test_a_depth_counts_both_lanes_and_is_unknown_without_a_session(house: House) -> None:
    assert await house.postroom.depth("download") is None
    session = await house.open()
    house.broker.put(QUEUES.public, a_message())
    house.broker.put(QUEUES.priority, a_message())
    house.broker.put(QUEUES.dead, a_message())
    assert await house.postroom.depth("download") == 2

    session.end()

    assert await house.postroom.depth("download") is None


async def test_letters_too_large_are_counted_apart_and_unknown_without_a_session(
    house: House,
) -> None:
    assert await house.postroom.oversized("cutter") is None
    session = await house.open()
    assert set(house.broker.ready) >= {oversized(QUEUES.dead), oversized(CUTTER.dead)}
    house.broker.put(oversized(CUTTER.dead), a_message())

    counted = [await house.postroom.oversized(pool) for pool in ("download", "cutter")]
    assert counted == [0, 1]

    session.end()
    assert await house.postroom.oversized("cutter") is None


async def test_a_letter_too_large_that_we_cannot_move_is_known_to_stay(house: House) -> None:
    house.broker.refusing.add(oversized(CUTTER.dead))
    await house.open()
    house.postroom.attend({"cutter"})

    house.broker.put(CUTTER.dead, a_message(b"x" * (LIMIT + 1)))
    await settle()

    assert [house.postroom.staying(pool) for pool in ("download", "cutter")] == [0, 1]


async def test_only_the_letters_of_pools_without_a_worker_are_minded(house: House) -> None:
    await house.open()

    house.postroom.attend({"cutter"})
    house.broker.put(QUEUES.dead, a_message())
    house.broker.put(CUTTER.dead, a_message())
    await settle()

    assert [letter.queue for letter in house.desk.letters] == ["cutter_queue"]


async def test_a_pool_that_has_a_worker_again_minds_its_own_letters(house: House) -> None:
    await house.open()
    house.postroom.attend({"cutter"})
    await settle()

    house.postroom.attend(set())
    await settle()

    assert house.broker.prefetches() == {}


async def test_letters_are_minded_again_on_the_next_session(house: House) -> None:
    session = await house.open()
    house.postroom.attend({"cutter"})
    await settle()
    await house.lose(session)

    await house.open()

    assert list(house.broker.prefetches()) == [CUTTER.dead]


async def test_who_is_without_a_worker_before_the_broker_is_there_is_minded_after(
    house: House,
) -> None:
    house.postroom.attend({"cutter", "download"})
    await settle()

    await house.open()

    assert set(house.broker.prefetches()) == {CUTTER.dead, QUEUES.dead}


async def test_closing_waits_for_the_letters_in_hand(house: House) -> None:
    await house.open()
    house.postroom.attend({"download"})
    await settle()
    house.desk.open.clear()
    house.broker.put(QUEUES.dead, a_message())
    await settle()
    closing = asyncio.ensure_future(house.postroom.close())
    await settle()
    assert not closing.done()

    house.desk.open.set()

    await asyncio.wait_for(closing, WITHIN)
    assert house.broker.diary[-1] == "acked"


async def test_an_outage_is_called_out_once_and_again_only_if_somebody_must_act(
    house: House,
) -> None:
    lost = UnreachableError("connection lost", hint="nothing")
    refused = UnreachableError("connection refused", hint="start it")
    forbidden = ForbiddenError("NOT_ALLOWED - vhost v not found", hint="add_vhost v")
    with capture_logs() as lines:
        for failed, error in enumerate((lost, refused, refused, forbidden, forbidden), start=1):
            house.postroom.troubled(error, failed, 1.0)

    assert [line["log_level"] for line in lines] == ["warning", "info", "info", "warning", "info"]
    assert [line.get("why") for line in lines] == [
        "connection lost",
        "connection refused",
        None,
        "NOT_ALLOWED - vhost v not found",
        None,
    ]
    assert [line.get("hint") for line in lines] == [
        "nothing",
        "start it",
        None,
        "add_vhost v",
        None,
    ]


async def test_during_an_alarm_a_publish_is_refused_at_once_with_what_to_do(house: House) -> None:
    await house.open()
    house.postroom.alarmed(UnreachableError("the broker has an alarm", hint="free memory"))

    with pytest.raises(UnreachableError, match=r"an alarm \(free memory\)"):
        await house.postroom.publish(QUEUES.public, a_message(), delay=0.0)

    house.postroom.alarmed(None)
    await house.postroom.publish(QUEUES.public, a_message(), delay=0.0)
