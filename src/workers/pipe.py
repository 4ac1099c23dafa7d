"""One end of the pipe between a worker and the coordinator; both ends use this class.

A Unix socket carries JSON objects behind a four-byte big-endian length. Sending never waits and
loses nothing; receiving takes a few frames a turn of the loop, and a turn now and then, so that
one talkative worker cannot starve the others. The socket is read and written here and not by an
asyncio transport, because a transport whose peer died in the middle of *our* write throws away
what the peer had still said. Half a frame at the end is dropped. Not thread-safe: call it on its
loop.
"""

import asyncio
import select
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from workers.messages import FRAME_LIMIT

Message = TypeVar("Message")

HEADER = struct.Struct(">I")
CHUNK = 256 * 1024  # bytes a read
FRAMES_A_TURN = 64
BETWEEN_TURNS = 0.005  # seconds, when more frames wait: no flood may take the whole processor
LONGEST_REASON = 200  # characters of what is wrong with a frame
HIGH_WATER = 64 * 1024  # bytes unsent, on top of what the kernel holds, that mean a slow peer


class FrameTooLargeError(Exception):
    """The message does not fit the pipe; nothing of it was sent."""

    def __init__(self, kind: str, size: int) -> None:
        super().__init__(
            f"a {kind} of {size} bytes does not fit the pipe, which takes {FRAME_LIMIT}: "
            "put large data in a file and send its name"
        )


@dataclass(frozen=True, slots=True)
class Complaint:
    """A frame made no sense; ``is_final`` when nothing after it can make any."""

    why: str
    count: int  # of the unreadable frames so far, this one among them
    is_final: bool = False


def _ignore(_complaint: Complaint) -> None:
    """Take no notice of unreadable frames; they are counted all the same."""


class Pipe(Generic[Message]):
    """Sends any message, receives those of one type.

    ``receive`` gets each message in order; ``ended`` is called once, after the last of them, when
    the peer is gone or the pipe was closed; ``unreadable`` is told of frames that make no sense.
    """

    def __init__(
        self,
        incoming: Any,  # a type or a union of types, for which Python has no type
        receive: Callable[[Message], None],
        ended: Callable[[], None],
        unreadable: Callable[[Complaint], None] = _ignore,
    ) -> None:
        self._decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(incoming)
        self._encoder = msgspec.json.Encoder()
        self._receive, self._ended, self._unreadable = receive, ended, unreadable
        self._heard = bytearray()
        self._unsent = bytearray()
        self._newest: dict[str, bytes] = {}
        self._is_open = self._is_paused = self._is_reading = self._has_heard_all = False
        self._turn: asyncio.Handle | None = None
        self._flushed = asyncio.Event()
        self._flushed.set()
        self.frames = 0  # taken, readable or not
        self.unreadable_frames = 0
        self.refused_frames = 0  # of ours, too large to be sent

    async def connect(self, channel: socket.socket) -> None:
        """Take over one end of a socket pair; from now on messages come and go."""
        self._loop = asyncio.get_running_loop()
        channel.settimeout(0)
        self._channel = channel
        self._is_open = True
        self._arrange()

    # --- sending ----------------------------------------------------------------------------

    @property
    def is_congested(self) -> bool:
        """Answer whether the peer is slow: a worker takes no new job now."""
        return len(self._unsent) > HIGH_WATER

    def send(self, message: msgspec.Struct) -> None:
        """Send a message, at once where the kernel has room; raises FrameTooLargeError.

        What was taken by the kernel reaches the peer even if this process is killed. After the
        peer is gone messages go nowhere; ``ended`` tells.
        """
        self._write(self._frame(message))

    def send_latest(self, kind: str, message: msgspec.Struct) -> None:
        """Send a message that is worth nothing once a newer one of its kind exists."""
        frame = self._frame(message)
        if self.is_congested:
            self._newest[kind] = frame
        else:
            self._write(frame)

    async def flushed(self) -> None:
        """Wait until the kernel has everything; returns as well when the peer is gone."""
        await self._flushed.wait()

    def _frame(self, message: msgspec.Struct) -> bytes:
        body = self._encoder.encode(message)
        if len(body) > FRAME_LIMIT:
            self.refused_frames += 1
            raise FrameTooLargeError(type(message).__name__, len(body))
        return HEADER.pack(len(body)) + body

    def _write(self, frame: bytes) -> None:
        if not self._is_open:
            return
        is_waiting = bool(self._unsent)
        self._unsent += frame
        if not is_waiting:
            self._flush()

    def _flush(self) -> None:
        try:
            sent = self._channel.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            # The peer is gone. What it said before is still to be read, so this is not the end.
            self._newest.clear()
            sent = len(self._unsent)
        del self._unsent[:sent]
        self._take_newest()
        if self._unsent and self._flushed.is_set():
            self._flushed.clear()
            self._loop.add_writer(self._channel, self._flush)
        elif not self._unsent and not self._flushed.is_set():
            self._loop.remove_writer(self._channel)
            self._flushed.set()

    def _take_newest(self) -> None:
        if self._newest and not self.is_congested:
            self._unsent += b"".join(self._newest.values())
            self._newest.clear()

    # --- receiving --------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop receiving; the peer's messages wait in the kernel and then with the peer."""
        self._is_paused = True
        self._arrange()

    def resume(self) -> None:
        """Receive again."""
        self._is_paused = False
        self._arrange()

    @property
    def has_waiting(self) -> bool:
        """Answer whether words of the peer wait to be taken that should be: not while paused."""
        if not self._is_open or self._is_paused:
            return False
        return self._next_size() is not None or (not self._has_heard_all and self._is_readable())

    def _is_readable(self) -> bool:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        return bool(poll.poll(0))

    def _read(self) -> None:
        try:
            heard = self._channel.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            heard = b""  # reset: the peer died with words of ours unread
        self._heard += heard
        self._has_heard_all = not heard
        self._deliver()

    def _deliver(self) -> None:
        self._turn = None
        try:
            for _ in range(FRAMES_A_TURN):
                if self._is_paused or (size := self._next_size()) is None:
                    break
                self._take(size)
        finally:
            self._arrange()

    def _next_size(self) -> int | None:
        """Return the length of the whole frame that is there, if one is."""
        if not self._is_open or len(self._heard) < HEADER.size:
            return None
        size: int = HEADER.unpack_from(self._heard)[0]
        if size > FRAME_LIMIT:
            why = f"a frame of {size:,} bytes is over the limit of {FRAME_LIMIT:,}"
            self._heard.clear()
            self._complain(why, is_final=True)
            self.abort()
            return None
        return size if len(self._heard) >= HEADER.size + size else None

    def _take(self, size: int) -> None:
        end = HEADER.size + size
        body = bytes(self._heard[HEADER.size : end])
        del self._heard[:end]
        self.frames += 1
        try:
            message = self._decoder.decode(body)
        except msgspec.DecodeError as error:
            # Not the words themselves: nobody knows what they are, and this goes into the log.
            self._complain(f"{str(error)[:LONGEST_REASON]} (in {len(body):,} bytes)")
        else:
            self._receive(message)

    def _complain(self, why: str, *, is_final: bool = False) -> None:
        self.unreadable_frames += 1
        self._unreadable(Complaint(why, self.unreadable_frames, is_final))

    def _arrange(self) -> None:
        """Decide what comes next: another turn, more to read, nothing for now, or the end."""
        has_frame = not self._is_paused and self._next_size() is not None
        if not self._is_open:
            return
        self._listen(on=not (has_frame or self._is_paused or self._has_heard_all))
        if has_frame and self._turn is None:
            self._turn = self._loop.call_later(BETWEEN_TURNS, self._deliver)
        elif self._has_heard_all and not has_frame and not self._is_paused:
            self.abort()

    def _listen(self, *, on: bool) -> None:
        if on and not self._is_reading:
            self._loop.add_reader(self._channel, self._read)
        elif self._is_reading and not on:
            self._loop.remove_reader(self._channel)
        self._is_reading = on

    # --- ending -----------------------------------------------------------------------------

    async def close(self) -> None:
        """Let everything sent reach the kernel, then end; bound it with a deadline."""
        try:
            await self.flushed()
        finally:
            self.abort()

    def abort(self) -> None:
        """End the pipe now; the second time does nothing."""
        if not self._is_open:
            return
        self._is_open = False
        self._listen(on=False)
        self._loop.remove_writer(self._channel)
        self._unsent.clear()
        self._flushed.set()
        self._channel.close()
        self._ended()
