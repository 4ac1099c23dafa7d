"""Bodies that are larger than is good, and such as are too large."""

import pytest

from consumers.broker.port import Message
from consumers.consumer import Consumer, Lanes
from consumers.executor import Executor
from consumers.jobs import Properties
from consumers.retry import RetryPolicy
from tests.support.clocks import FakeClock, settle
from tests.support.desks import FakeDesk
from tests.support.sessions import QUEUES, BrokerInMemory
from tests.unit.consumers.conftest import Work

LARGE, TOO_LARGE = 100, 1000  # bytes


async def test_a_large_body_is_remarked_upon_and_done_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    diary: list[str] = []
    broker, clock, work = BrokerInMemory(diary), FakeClock(), Work(is_instant=True)
    executor = Executor(QUEUES, RetryPolicy(), FakeDesk(diary), work.run, clock)
    lanes = Lanes(QUEUES, 1, TOO_LARGE, lambda _: None, body_warning=LARGE)
    consumer = Consumer(lanes, executor, clock)
    await consumer.open(await broker.connect())

    for name, size in (("small", LARGE - 50), ("large", LARGE + 1), ("vast", TOO_LARGE + 1)):
        body = b'{"text": "' + b"x" * size + b'"}'
        broker.put(QUEUES.public, Message(body, Properties(message_id=name)))
        await settle()

    said = [line for line in capsys.readouterr().out.splitlines() if "large message" in line]
    assert work.started == ["small", "large"]
    assert len(said) == 1
    await consumer.abandon()
