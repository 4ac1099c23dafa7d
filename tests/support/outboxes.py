"""The sending side of a pipe that remembers, for tests of whoever speaks into it."""

import asyncio
from typing import TypeVar

import msgspec

from workers.messages import FromWorker, ToWorker
from workers.pipe import FrameTooLargeError

M = TypeVar("M")


class FakeOutbox:
    """Implements the outbox; ``congest`` makes the coordinator slow until ``flow``."""

    def __init__(self) -> None:
        self.sent: list[FromWorker] = []
        self.refused_frames = 0
        self.limit: int | None = None  # bytes of a message, as the pipe has one
        self.latest: dict[str, FromWorker] = {}
        self.said = asyncio.Event()  # set by every message
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def is_congested(self) -> bool:
        return not self._flowing.is_set()

    async def flushed(self) -> None:
        await self._flowing.wait()

    def congest(self) -> None:
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def send(self, message: FromWorker) -> None:
        size = len(msgspec.json.encode(message))
        if self.limit is not None and size > self.limit:
            self.refused_frames += 1
            raise FrameTooLargeError(type(message).__name__, size)
        self.sent.append(message)
        self.said.set()

    def send_latest(self, kind: str, message: FromWorker) -> None:
        self.latest[kind] = message
        self.send(message)

    def of(self, kind: type[M]) -> list[M]:
        """Return the messages of one type, in order."""
        return [message for message in self.sent if isinstance(message, kind)]


class FakeLine:
    """The coordinator's sending side of a pipe."""

    def __init__(self) -> None:
        self.said: list[ToWorker] = []
        self.is_paused = False

    def send(self, message: ToWorker) -> None:
        self.said.append(message)

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False
