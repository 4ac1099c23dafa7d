"""A supervisor that is none: the real HTTP API on a socket, a coordinator that only remembers."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from supervisor.api.server import ApiServer
from tests.support.control import FakeControl

_PATIENCE = 10.0  # seconds


@contextmanager
def running(control: FakeControl, path: Path) -> Iterator[None]:
    """Serve a fake coordinator from a thread, for clients that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="house", daemon=True)
    thread.start()

    async def opened() -> ApiServer:
        server = ApiServer(control, path)
        await server.start()
        return server

    server = asyncio.run_coroutine_threadsafe(opened(), loop).result(_PATIENCE)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
