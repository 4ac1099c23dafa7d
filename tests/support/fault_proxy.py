"""A TCP proxy that breaks connections on request: between the program under test and its broker.

It lives in a thread with a loop of its own; every method may be called from any thread, returns
when the fault is in force, and never waits longer than a few seconds.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Literal, Self

from tests.support.ports import free_port

HOST = "127.0.0.1"
CHUNK = 65536  # bytes read at once
TICKS = 20  # pieces per second of a slow line
PROMPT = 5.0  # seconds for the loop to do what it was asked
BACKLOG = 128
_NO_LINGER = struct.pack("ii", 1, 0)  # close() then sends RST instead of FIN

Side = Literal["client", "server"]
_OTHER: dict[Side, Side] = {"client": "server", "server": "client"}


@dataclass(slots=True, eq=False)
class _Link:
    """One connection of a client and, unless it was accepted into a black hole, of the server."""

    sockets: dict[Side, socket.socket]
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    is_damaged: bool = False  # bytes were swallowed: it cannot be made whole again


class FaultProxy:
    """Forwards ``port`` to ``target_port`` on 127.0.0.1, as badly as it is told to.

    >>> with FaultProxy(rabbit.port) as proxy:
    ...     connect_to(proxy.port)
    ...     proxy.freeze()
    ...     proxy.heal()
    """

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._links: set[_Link] = set()
        self._listener: socket.socket | None = None
        self._flowing = asyncio.Event()  # cleared: nothing is read any more
        self._flowing.set()
        self._turn = asyncio.Lock()
        self._is_hole = False
        self._rate: float | None = None  # bytes per second

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._refuse(on=False))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- faults -----------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many connections of clients are open now."""
        return len(self._links)

    def reset(self) -> None:
        """Reset (RST) every connection, on both sides; new ones are welcome."""
        self._do(self._reset(set(self._links)))

    def refuse(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as a switch
        """Stop (or start again) to listen; connections that are open stay open."""
        self._do(self._refuse(on=on))

    def black_hole(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as a switch
        """Accept and read, forward nothing, close nothing; what it swallowed is lost.

        When it ends, connections that lost bytes are reset.
        """
        self._do(self._black_hole(on=on))

    def freeze(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as a switch
        """Read nothing: no FIN, no RST, kernel buffers fill; nothing is lost when it ends."""
        self._do(self._freeze(on=on))

    def half_open(self, closed: Side = "server") -> None:
        """Close one side of every connection and keep the other open, in silence."""
        self._do(self._half_open(closed))

    def slow(self, bytes_per_second: float | None) -> None:
        """Let so many bytes pass per second, connection and direction; None: as fast as can be."""
        self._do(self._slow(bytes_per_second))

    def heal(self) -> None:
        """Be a good proxy again; connections that cannot be made whole are reset."""
        self._do(self._heal())

    def close(self) -> None:
        """End everything; may be called twice."""
        if self._thread.is_alive():
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PROMPT)
            self._loop.close()

    # --- in the loop ------------------------------------------------------------------------

    def _do(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(self._in_turn(work), self._loop).result(PROMPT)

    async def _in_turn(self, work: Coroutine[None, None, None]) -> None:
        async with self._turn:
            await work

    async def _end(self) -> None:
        await self._refuse(on=True)
        await self._reset(set(self._links))

    async def _heal(self) -> None:
        self._rate = None
        await self._refuse(on=False)
        await self._black_hole(on=False)
        await self._reset({link for link in self._links if link.is_damaged})
        await self._freeze(on=False)

    async def _refuse(self, *, on: bool) -> None:
        if on and self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        elif not on and self._listener is None:
            self._listener = _listening(self.port)
            self._loop.add_reader(self._listener, self._accept, self._listener)

    async def _black_hole(self, *, on: bool) -> None:
        self._is_hole = on
        if not on:
            await self._reset({link for link in self._links if link.is_damaged})

    async def _freeze(self, *, on: bool) -> None:
        if on:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def _slow(self, rate: float | None) -> None:
        self._rate = rate

    async def _half_open(self, closed: Side) -> None:
        for link in tuple(self._links):
            await _stopped(link)
            link.is_damaged = True
            if (gone := link.sockets.pop(closed, None)) is not None:
                gone.close()
            self._run(link)

    async def _reset(self, links: set[_Link]) -> None:
        for link in links:
            await _stopped(link)
            for one in link.sockets.values():
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._close(link)

    # --- connections ------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            client.settimeout(0)
            link = _Link({"client": client})
            self._links.add(link)
            link.tasks = [self._loop.create_task(self._welcome(link))]

    async def _welcome(self, link: _Link) -> None:
        await self._flowing.wait()
        async with self._turn:  # no fault finds a connection that is half made
            link.tasks = []
            if self._is_hole:
                link.is_damaged = True
            elif not await self._reach_server(link):
                await self._reset({link})
            self._run(link)

    async def _reach_server(self, link: _Link) -> bool:
        server = socket.socket()
        server.settimeout(0)
        try:
            await self._loop.sock_connect(server, (HOST, self._target_port))
        except OSError:
            server.close()
            return False
        link.sockets["server"] = server
        return True

    def _run(self, link: _Link) -> None:
        """Forward both directions; where one side is missing, swallow what the other says."""
        link.tasks = [self._loop.create_task(self._pump(link, side)) for side in link.sockets]

    async def _pump(self, link: _Link, source: Side) -> None:
        """Carry bytes from one side to the other until one of them ends."""
        with contextlib.suppress(OSError):
            while chunk := await self._loop.sock_recv(link.sockets[source], CHUNK):
                await self._forward(link, _OTHER[source], chunk)
        await self._flowing.wait()
        if self._is_hole:
            link.is_damaged = True  # that it ended is swallowed, too
        else:
            self._close(link)

    async def _forward(self, link: _Link, to: Side, chunk: bytes) -> None:
        while chunk:
            await self._flowing.wait()
            if self._is_hole or to not in link.sockets:
                link.is_damaged = True
                return
            piece = len(chunk) if self._rate is None else max(1, int(self._rate / TICKS))
            await self._loop.sock_sendall(link.sockets[to], chunk[:piece])
            chunk = chunk[piece:]
            if self._rate is not None:
                await asyncio.sleep(piece / self._rate)

    def _close(self, link: _Link) -> None:
        self._links.discard(link)
        for task in link.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for one in link.sockets.values():
            self._loop.remove_reader(one)
            self._loop.remove_writer(one)
            one.close()
        link.sockets.clear()


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(BACKLOG)
    listener.settimeout(0)
    return listener


async def _stopped(link: _Link) -> None:
    for task in link.tasks:
        await _cancelled(task)
    link.tasks = []


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
