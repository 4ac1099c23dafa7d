"""The embedded adapter when the way to the queues is gone, slow, or late."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from consumers.broker import embedded
from consumers.broker.embedded import EmbeddedBroker
from consumers.broker.operations import (
    Ack,
    Answer,
    Delivered,
    Operation,
    Requeue,
    Subscribe,
    Unsubscribe,
)
from consumers.broker.port import Message
from consumers.errors import BrokerError, UnreachableError, UnroutableError
from consumers.jobs import Properties
from tests.support.inbox import Inbox


@dataclass
class FakeExchange:
    """Answers everything, unless it is told to refuse, to be gone, or to be slow."""

    asked: list[Operation] = field(default_factory=list)
    refuses: str = ""
    is_gone: bool = False
    is_slow: bool = False

    async def perform(self, operation: Operation) -> Answer:
        if self.is_gone:
            raise UnreachableError("the coordinator is gone")
        self.asked.append(operation)
        if self.is_slow:
            await asyncio.Event().wait()
        return Answer(error=self.refuses)

    def attach(self, receive: Callable[[Delivered], None]) -> None:
        self.hand_over = receive

    def deliver(self, consumer: str, tag: int) -> None:
        self.hand_over(Delivered(consumer, "clips", tag, b"{}", Properties()))


async def consuming(exchange: FakeExchange) -> tuple[embedded.EmbeddedSession, Inbox, str]:
    session, inbox = await EmbeddedBroker(exchange).connect(), Inbox()
    return session, inbox, await session.consume("clips", prefetch=5, receive=inbox.receive)


async def test_a_session_ends_when_the_way_is_gone_and_says_why() -> None:
    exchange = FakeExchange()
    session, _, _ = await consuming(exchange)
    exchange.is_gone = True

    with pytest.raises(UnreachableError):
        await session.depth("clips")

    assert str(await session.ended()) == "the coordinator is gone"
    await session.close()


async def test_a_session_ends_when_no_answer_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PATIENCE", 0.01)
    exchange = FakeExchange()
    session, _, _ = await consuming(exchange)
    exchange.is_slow = True

    with pytest.raises(UnreachableError, match=r"did not answer depth in 0\.01 s"):
        await session.depth("clips")

    assert isinstance(await session.ended(), UnreachableError)
    exchange.is_slow = False
    await session.close()


async def test_a_refused_publish_is_stored_nowhere_and_the_session_goes_on() -> None:
    exchange = FakeExchange(refuses="clips: there is no such queue")
    session = await EmbeddedBroker(exchange).connect()

    with pytest.raises(UnroutableError, match="no such queue"):
        await session.publish("clips", Message(b"{}", Properties()))

    exchange.refuses = ""
    assert await session.depth("clips") == 0


async def test_a_refused_consumer_gets_no_deliveries() -> None:
    exchange = FakeExchange(refuses="clips: there is no such queue")

    with pytest.raises(BrokerError, match="no such queue"):
        await consuming(exchange)

    exchange.refuses = ""
    subscribed = exchange.asked[-1]
    assert isinstance(subscribed, Subscribe)
    exchange.deliver(subscribed.consumer, 7)
    await asyncio.sleep(0)
    assert exchange.asked[-1] == Requeue(7)


async def test_what_is_in_hand_is_given_back_on_close() -> None:
    exchange = FakeExchange()
    session, inbox, consumer = await consuming(exchange)
    for tag in (1, 2, 3):
        exchange.deliver(consumer, tag)
    await session.ack((await inbox.take_several(3))[1])

    await session.close()

    assert exchange.asked[1:] == [Ack(2), Unsubscribe(consumer), Requeue(1), Requeue(3)]


async def test_a_delivery_that_comes_after_the_close_is_given_back() -> None:
    exchange = FakeExchange()
    session, inbox, consumer = await consuming(exchange)
    await session.close()

    exchange.deliver(consumer, 9)
    await asyncio.sleep(0)

    assert exchange.asked[-1] == Requeue(9)
    assert len(inbox) == 0
