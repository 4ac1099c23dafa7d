"""A switchboard with one worker on the line: what its tests share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from consumers.broker.operations import Answer, Delivered, Operation
from supervisor.core.events import Event
from supervisor.inbox import Inbox
from supervisor.switchboard import Switchboard
from tests.support.clocks import WITHIN
from tests.support.offices import FIRST, Office
from workers import messages
from workers.messages import ToWorker
from workers.pipe import FrameTooLargeError


@dataclass
class Line:
    """The way back to a worker: what it was told."""

    said: list[ToWorker] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    is_paused: bool = False

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def send(self, message: ToWorker) -> None:
        if isinstance(message, messages.Drain) and len(message.reason) > 1000:
            raise FrameTooLargeError("Drain", len(message.reason))
        self.said.append(message)
        self.told.set()

    async def next(self) -> ToWorker:
        """Return the next message that comes."""
        async with asyncio.timeout(WITHIN):
            while not self.said:
                self.told.clear()
                await self.told.wait()
        return self.said.pop(0)


@dataclass
class Queues:
    """Embedded queues that remember who came and went."""

    clients: dict[str, Callable[[Delivered], None]] = field(default_factory=dict)
    asked: list[tuple[str, Operation]] = field(default_factory=list)
    mistake: Exception | None = None  # what nobody thought of

    def attach(self, client: str, receive: Callable[[Delivered], None]) -> None:
        self.clients[client] = receive

    async def detach(self, client: str) -> None:
        del self.clients[client]

    async def perform(self, client: str, operation: Operation) -> Answer:
        if self.mistake is not None:
            raise self.mistake
        self.asked.append((client, operation))
        return Answer(number=7)


@dataclass
class Exchange:
    """A switchboard with one worker on the line."""

    board: Switchboard
    inbox: Inbox
    line: Line
    queues: Queues

    async def ask(self, message: messages.FromWorker) -> ToWorker:
        self.board.hear(FIRST, message)
        return await self.line.next()

    async def event(self) -> Event:
        return await self.inbox.take(within=WITHIN)


@pytest.fixture(name="exchange")
def exchange_of_one(office: Office) -> Exchange:
    inbox, line, queues = Inbox(), Line(), Queues()
    board = Switchboard(inbox, office.clerk, queues, office.clock)
    board.connect(FIRST, line, told={})
    return Exchange(board, inbox, line, queues)
