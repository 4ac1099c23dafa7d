"""The HTTP API at its doors: the control socket, and an address if one is configured.

uvicorn, started and stopped by us.
"""

import asyncio
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from consumers import logs
from supervisor.api.gate import Rules
from supervisor.api.patience import Patience, PatientProtocol
from supervisor.api.routes import build
from supervisor.api.socket import SocketError, bind, listen, release
from supervisor.ports import Control

_LAST_ANSWERS = 3  # seconds that requests in hand may take when we stop
_LAST_READS = 1.0  # seconds that a client may take then to read what is written
_LONGEST_HEAD = 49_152  # bytes of a request's first line and headers

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API can be reached from elsewhere, and what it asks of callers there."""

    host: str
    port: int
    rules: Rules
    patience: Patience
    keep_alive: float = 15.0  # seconds that a connection may rest between two requests


class ApiServer:
    """The doors of one coordinator."""

    def __init__(self, control: Control, path: Path, address: Address | None = None) -> None:
        self._control = control
        self._path = path
        self._address = address
        self._closing = asyncio.Event()
        self._inode = 0
        self._private: _Service | None = None
        self._public: _Service | None = None
        self.port = 0  # of the address, once it is open

    async def start(self) -> None:
        """Open the doors and return when requests are answered.

        Raises:
            SocketError: one cannot be opened; the message says why.
        """
        opened = bind(self._path)
        self._inode = self._path.stat().st_ino
        config = _configured(build(self._control, self._closing), Patience(), keep_alive=5.0)
        self._private = _Service(config, opened)
        await self._private.start()
        if self._address is not None:
            try:
                await self._open(self._address)
            except SocketError:
                await self.stop()
                raise

    async def stop(self) -> None:
        """End event streams, answer what is in hand, close and remove the socket.

        May be called twice, and on a server that never started.
        """
        self._closing.set()
        for service in (self._public, self._private):
            if service is not None:
                service.leave()
        (public, self._public), (private, self._private) = (
            (self._public, None),
            (self._private, None),
        )
        if public is not None:
            await public.stop()
        if private is not None:
            await private.drain()
            release(self._path, self._inode)
            await private.stop()

    @property
    def connections(self) -> int:
        """How many are connected to the address."""
        return 0 if self._public is None else self._public.connections

    async def _open(self, address: Address) -> None:
        opened = listen(address.host, address.port)
        self.port = int(opened.getsockname()[1])
        app = build(self._control, self._closing, rules=address.rules)
        config = _configured(app, address.patience, keep_alive=address.keep_alive)
        self._public = _Service(config, opened)
        await self._public.start()
        log.info("http listens", host=address.host, port=self.port)


class _Service:
    """One server on one socket.

    uvicorn's steps are taken one by one: its own ``serve`` would take our signals.
    """

    def __init__(self, config: uvicorn.Config, opened: socket.socket) -> None:
        self._config = config
        self._server = uvicorn.Server(config)
        self._socket = opened
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[self._socket])
        self._ticking = asyncio.create_task(self._server.main_loop(), name="api")

    def leave(self) -> None:
        self._server.should_exit = True

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    async def drain(self) -> None:
        """Wait until nothing new is taken."""
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            await ticking

    async def stop(self) -> None:
        await self.drain()
        asyncio.get_running_loop().call_later(_LAST_READS, self._drop_the_slow)
        await self._server.shutdown(sockets=[self._socket])

    def _drop_the_slow(self) -> None:
        """Hang up on clients that do not read what they asked for: their streams never end."""
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, PatientProtocol) and connection.is_stalled:
                connection.transport.abort()


def _configured(app: object, patience: Patience, *, keep_alive: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application, as ours are typed
        # Called like the class it stands for.
        http=partial(PatientProtocol, patience),  # type: ignore[arg-type]
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_keep_alive=max(1, round(keep_alive)),
        timeout_graceful_shutdown=_LAST_ANSWERS,
        server_header=False,
        proxy_headers=False,  # anybody could write them
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
    )
