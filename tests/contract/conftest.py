"""The broker adapters that the contract is tested against, each over clean queues."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from consumers.broker.embedded import EmbeddedBroker
from consumers.broker.port import Broker, Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import SystemClock
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from tests.support.blank_ledgers import lay
from tests.support.chains import told
from tests.support.ledgers import (
    clock,
    ledger,
    ledger_path,
    ledger_url,
    postgres,
    postgres_url,
    pytest_generate_tests,
    queues,
    server_ledger,
    sqlite_url,
)

__all__ = [
    "clock",
    "ledger",
    "ledger_path",
    "ledger_url",
    "postgres",
    "postgres_url",
    "pytest_generate_tests",
    "queues",
    "server_ledger",
    "sqlite_url",
    "told",
]

OpenSession = Callable[[], Awaitable[Session]]


@pytest.fixture
async def embedded_broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """The embedded adapter, straight on the queues in a ledger of its own."""
    ledger = await Ledger.open(lay(tmp_path / "ledger.db"), clock=SystemClock())
    queues = await Queues.open(ledger)
    yield EmbeddedBroker(queues.local("test"))
    await queues.close()
    await ledger.close()


@pytest.fixture(
    params=[
        pytest.param("embedded_broker", id="embedded"),
        pytest.param("vhost_url", marks=pytest.mark.rabbitmq, id="rabbitmq-3.10"),
        pytest.param("vhost4_url", marks=pytest.mark.rabbitmq, id="rabbitmq-4.0"),
    ]
)
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each adapter in turn."""
    lent = request.getfixturevalue(request.param)
    return lent if isinstance(lent, EmbeddedBroker) else RabbitBroker(lent)


@pytest.fixture
async def open_session(broker: Broker) -> AsyncIterator[OpenSession]:
    """Open as many sessions as you like; they are closed after the test."""
    opened: list[Session] = []

    async def connect() -> Session:
        opened.append(await broker.connect())
        return opened[-1]

    yield connect
    for session in opened:
        await session.close()


@pytest.fixture
async def session(open_session: OpenSession) -> Session:
    """One open session."""
    return await open_session()
