"""A small web site on loopback: serves the demo's clip, and takes its notices.

``/clip.mp4`` comes at once, ``/slow.mp4`` at a speed that leaves time to kill somebody, and
``/gone.mp4`` is not there.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import override

CHUNK = 64 * 1024  # bytes
PACES = {"/clip.mp4": 0.0, "/slow.mp4": 6.0}  # seconds that each link takes


class Reason(msgspec.Struct, frozen=True):
    """What went wrong, as a notice says it."""

    message: str


class Notice(msgspec.Struct, frozen=True, rename="camel"):
    """What the supervisor posted about one job."""

    event: str
    queue_name: str
    sender: str = msgspec.field(name="from")
    results: tuple[str, ...] = ()
    error: Reason | None = None


class Site:
    """The site, and the notices that were posted to it."""

    def __init__(self, clip: Path) -> None:
        self.notices: list[Notice] = []
        visitor = partial(_Visitor, clip, self.notices)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), visitor)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """Where the site is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextlib.contextmanager
    def open(self) -> Iterator["Site"]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, name="site", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Visitor(BaseHTTPRequestHandler):
    """One request."""

    def __init__(self, clip: Path, posted: list[Notice], *request: Any) -> None:
        """Answer a request: the library's way is to do all of it in here."""
        self._clip = clip
        self._posted = posted
        super().__init__(*request)

    def do_GET(self) -> None:
        """Send the clip, or 404."""
        if self._head():
            with contextlib.suppress(OSError):  # a visitor who was killed
                self._send(PACES[self.path])

    def do_HEAD(self) -> None:
        """Send the clip's head, or 404."""
        self._head()

    def do_POST(self) -> None:
        """Take a notice."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._posted.append(msgspec.json.decode(body, type=Notice))
        self.send_response(204)
        self.end_headers()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the demo has its own screen."""

    def _head(self) -> bool:
        if self.path not in PACES:
            self.send_error(404)
            return False
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(self._clip.stat().st_size))
        self.end_headers()
        return True

    def _send(self, seconds: float) -> None:
        pause = seconds * CHUNK / self._clip.stat().st_size
        with self._clip.open("rb") as file:
            while chunk := file.read(CHUNK):
                self.wfile.write(chunk)
                time.sleep(pause)
