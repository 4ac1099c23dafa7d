"""The HTTP API on its Unix socket: uvicorn, started and stopped by us. Only this file knows it."""

import asyncio
import socket
from pathlib import Path

import uvicorn

from supervisor.api.routes import build
from supervisor.api.socket import bind, release
from supervisor.ports import Control

_LAST_ANSWERS = 3  # seconds that requests in hand may take when we stop


class ApiServer:
    """The control socket of one coordinator.

    uvicorn's steps are taken one by one: its own ``serve`` would take our signals.
    """

    def __init__(self, control: Control, path: Path) -> None:
        self._path = path
        self._closing = asyncio.Event()
        self._config = uvicorn.Config(
            build(control, self._closing),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=_LAST_ANSWERS,
        )
        self._server = uvicorn.Server(self._config)
        self._socket: socket.socket | None = None
        self._inode = 0
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the socket and return when requests are answered.

        Raises:
            SocketError: it cannot be opened; the message says why.
        """
        self._socket = bind(self._path)
        self._inode = self._path.stat().st_ino
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[self._socket])
        self._ticking = asyncio.create_task(self._server.main_loop(), name="api")

    async def stop(self) -> None:
        """End event streams, answer what is in hand, close and remove the socket.

        May be called twice, and on a server that never started.
        """
        self._closing.set()
        self._server.should_exit = True
        ticking, self._ticking = self._ticking, None
        if ticking is None or self._socket is None:
            return
        await ticking
        release(self._path, self._inode)
        await self._server.shutdown(sockets=[self._socket])
