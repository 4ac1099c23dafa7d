"""Dead letters too large to record are moved aside, or stay in hand: the others flow."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from consumers import jobs, oversized
from consumers.broker.port import Message
from consumers.dead_letters import PREFETCH, DeadLetterConsumer
from consumers.errors import BrokerError, ForbiddenError, UnreachableError
from consumers.kept import AFTER, Kept
from consumers.topology import oversized as aside
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.desks import FakeDesk
from tests.support.sessions import QUEUES, BrokerInMemory, SessionInMemory, a_message

LIMIT = 100
ASIDE = aside(QUEUES.dead)


class Session(SessionInMemory):
    """A session that ends when it is asked to publish what the broker finds too large."""

    too_large: int = 1_000_000
    why: BrokerError = ForbiddenError("message size is larger than configured max size")

    @override
    async def publish(self, queue: str, message: Message, *, delay: float = 0.0) -> None:
        if len(message.body) >= self.too_large:
            self.end(self.why)
            raise self.why
        await super().publish(queue, message, delay=delay)


@dataclass
class Graveyard:
    """A dead-letter consumer with a low limit, on an open session."""

    broker: BrokerInMemory
    session: Session
    desk: FakeDesk
    consumer: DeadLetterConsumer
    clock: FakeClock

    async def put(self, *messages: Message) -> None:
        for message in messages:
            self.broker.put(QUEUES.dead, message)
        await settle()

    async def reconnect(self) -> None:
        self.consumer.lost()
        earlier = self.session
        self.session = Session(self.broker, earlier.generation + 1)
        self.session.too_large = earlier.too_large
        await self.consumer.open(self.session)
        await settle()

    @property
    def moved(self) -> list[bytes]:
        return [one.message.body for one in self.broker.published if one.queue == ASIDE]

    @property
    def recorded(self) -> list[bytes]:
        return [letter.body for letter in self.desk.letters]


@pytest.fixture
async def graveyard() -> AsyncIterator[Graveyard]:
    diary: list[str] = []
    broker = BrokerInMemory(diary)
    session, desk, clock = Session(broker, 1), FakeDesk(diary), FakeClock()
    consumer = DeadLetterConsumer(QUEUES, desk, Kept(clock), limit=LIMIT)
    await consumer.open(session)
    diary.clear()
    yield Graveyard(broker, session, desk, consumer, clock)
    await consumer.abandon()
    consumer.lost()


def large(more: int = 1, **properties: object) -> Message:
    return a_message(b"x" * (LIMIT + more), **properties)


SMALL = a_message(b"x" * LIMIT)


@pytest.mark.invariant(2)
async def test_a_letter_too_large_is_acked_only_when_its_copy_is_stored(
    graveyard: Graveyard,
) -> None:
    graveyard.session.open.clear()
    await graveyard.put(large())
    assert len(graveyard.session.in_hand) == 1

    graveyard.session.open.set()
    await settle()

    assert graveyard.broker.diary == [f"declared {ASIDE}", f"published to {ASIDE}", "acked"]
    assert graveyard.recorded == []


@pytest.mark.invariant(8)
async def test_a_letter_moved_aside_is_the_same_and_never_expires(graveyard: Graveyard) -> None:
    await graveyard.put(large(message_id="7", expiration=5.0, headers={jobs.ERROR: "too large"}))

    (copy,) = graveyard.broker.published
    assert (copy.message.body, copy.message.properties.message_id) == (large().body, "7")
    assert copy.message.properties.expiration is None
    assert copy.message.properties.headers[jobs.ERROR] == "too large"


async def test_each_letter_moved_is_said_to_be_with_queue_and_sizes(graveyard: Graveyard) -> None:
    with capture_logs() as lines:
        await graveyard.put(large(message_id="7"))

    (line,) = lines
    assert line["log_level"] == "error"
    assert (line["into"], line["queue"], line["job"]) == (ASIDE, QUEUES.dead, "7")
    assert (line["bytes"], line["limit"]) == (101, 100)


async def test_where_nothing_is_taken_letters_stay_and_the_small_ones_flow(
    graveyard: Graveyard,
) -> None:
    graveyard.broker.refusing.add(ASIDE)

    await graveyard.put(*(large() for _ in range(3 * PREFETCH)), SMALL)

    assert graveyard.recorded == [SMALL.body]
    assert len(graveyard.session.in_hand) == 3 * PREFETCH
    assert graveyard.consumer.staying == 3 * PREFETCH
    assert len(graveyard.broker.consumers) == 1


async def test_letters_that_stay_come_again_in_time_and_are_tried_again(
    graveyard: Graveyard,
) -> None:
    graveyard.broker.refusing.add(ASIDE)
    await graveyard.put(large())
    assert len(graveyard.session.in_hand) == 1
    graveyard.broker.refusing.clear()

    await graveyard.clock.move(AFTER)

    assert graveyard.moved == [large().body]
    assert graveyard.session.in_hand == {}


async def test_a_letter_over_the_brokers_own_limit_costs_one_session_and_no_second(
    graveyard: Graveyard,
) -> None:
    graveyard.session.too_large = 150
    await graveyard.put(large(60))

    await graveyard.reconnect()
    await graveyard.put(large(70), large(1), SMALL)
    await graveyard.clock.move(2 * AFTER)

    assert graveyard.session.generation == 2
    assert graveyard.moved == [large(1).body]
    assert graveyard.recorded == [SMALL.body]
    assert len(graveyard.session.in_hand) == 2


async def test_a_letter_that_met_a_broken_line_is_tried_again_later(graveyard: Graveyard) -> None:
    graveyard.session.too_large, graveyard.session.why = 150, UnreachableError("reset")
    await graveyard.put(large(60))
    graveyard.session.too_large = 1000

    await graveyard.reconnect()
    assert graveyard.moved == []
    await graveyard.clock.move(AFTER)

    assert graveyard.moved == [large(60).body]


async def test_a_drain_does_not_wait_for_a_broker_that_takes_nothing(
    graveyard: Graveyard,
) -> None:
    graveyard.session.open.clear()
    await graveyard.put(large())

    await asyncio.wait_for(graveyard.consumer.drain(), WITHIN)

    assert len(graveyard.session.in_hand) == 1
    await graveyard.clock.move(AFTER)
    assert graveyard.broker.bodies(QUEUES.dead) == [large().body]


async def test_a_letter_that_stays_is_spoken_of_once_however_often_it_comes_again(
    graveyard: Graveyard,
) -> None:
    graveyard.broker.refusing.add(ASIDE)
    with capture_logs() as lines:
        await graveyard.put(large(message_id="a"), large(2, message_id="a"), large())
        for _ in range(9):
            await graveyard.clock.move(AFTER)

    said = [line for line in lines if line["log_level"] == "error"]
    assert [line.get("job") for line in said] == ["a", "a", None]


async def test_only_so_many_letters_that_were_spoken_of_are_remembered(
    graveyard: Graveyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oversized, "REMEMBERED", 2)
    graveyard.broker.refusing.add(ASIDE)
    with capture_logs() as lines:
        for more in (1, 2, 3, 3, 1):
            await graveyard.put(large(more))

    said = [line["bytes"] for line in lines if line["log_level"] == "error"]
    assert said == [101, 102, 103, 101]


def test_the_warnings_say_how_many_which_limit_where_and_what_to_do() -> None:
    moved, stuck = oversized.warnings("a_dlq", aside=1, staying=1200)

    where = "not recorded, kept in"
    assert moved == (
        f"1 dead letter over 16 MB, {where} supervisor.oversized.a_dlq: {oversized.REMEDY}"
    )
    assert stuck == f"1,200 dead letters over 16 MB, {where} a_dlq: {oversized.STUCK}"
    assert oversized.warnings("a_dlq", aside=0, staying=0) == ()
