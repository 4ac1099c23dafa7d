"""A channel for what nobody has to take: written in one go, never asked after, its own to lose.

The broker closes a channel to say no: that an exchange is missing, or that we may not write. Here
that ends this channel alone, and the next one is opened when there is something to write.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiormq.abc import AbstractChannel, ChannelFrame

from consumers import logs
from consumers.broker.amqp_errors import broker_error, words
from consumers.broker.amqp_faults import speaking
from consumers.broker.amqp_frames import packed
from consumers.broker.port import Note
from consumers.errors import BrokerError

FRAME = 131_072  # bytes, where the broker names no limit

log = logs.get(__name__)


class Announcer:
    """One such channel."""

    def __init__(self, channel: AbstractChannel) -> None:
        # The library's own publish prepares every message on its own, and that takes too long.
        self._channel: Any = channel
        self._end: BrokerError | None = None
        channel.closing.add_done_callback(self._closed)

    async def write(self, notes: Sequence[Note]) -> None:
        """Write notes, as far as AMQP can say them; returns when the line has taken them.

        Raises:
            BrokerError: the channel is closed; why, in the broker's words.
        """
        if self._end is not None:  # since the last ones were written
            raise self._end
        limit = self._channel.connection.connection_tune.frame_max or FRAME
        payload = b"".join(self._packed(note, limit) for note in notes)
        async with speaking("announce"):
            taken = asyncio.get_running_loop().create_future()
            frame = ChannelFrame(payload=payload, should_close=False, drain_future=taken)
            if self._is_closing():
                await asyncio.wait((self._channel.closing,))
            else:
                self._put(frame)
                await taken
        if self._end is not None:
            raise self._end

    def _is_closing(self) -> bool:
        """Answer whether the library has agreed to a close: what came after that costs the line.

        It does so in one breath with setting this, and we ask in one breath with writing.
        """
        return self._end is not None or bool(self._channel._Channel__close_event.is_set())  # noqa: SLF001

    def _put(self, frame: ChannelFrame) -> None:
        try:
            self._channel.write_queue.put_nowait(frame)
        except asyncio.QueueFull as error:
            raise BrokerError("announce: the line has too much to write") from error

    def _packed(self, note: Note, limit: int) -> bytes:
        try:
            return packed(note, channel=self._channel.number, frame_max=limit)
        except ValueError as error:
            log.warning("not announced", exchange=note.exchange, key=note.key, why=str(error))
            return b""

    def _closed(self, closing: "asyncio.Future[object]") -> None:
        error = None if closing.cancelled() else closing.exception()
        self._end = broker_error(words(error.args if error else ()), doing="announce")
