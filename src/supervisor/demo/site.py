"""A small web site on loopback: serves the demo's clip, and takes its notices.

``/clip.mp4`` comes at once, ``/slow.mp4`` at a speed that leaves time to kill somebody, and
``/gone.mp4`` is not there.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec

CHUNK = 64 * 1024  # bytes
SLOW = 6.0  # seconds that the slow link takes


class Notice(msgspec.Struct, frozen=True):
    """What the supervisor posted about one job."""

    event: str
    sender: str = msgspec.field(name="from")
    text: str = ""


class Site:
    """The site, and the notices that were posted to it."""

    def __init__(self, clip: Path) -> None:
        self.notices: list[Notice] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _visitor(clip, self.notices))
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


def _visitor(clip: Path, posted: list[Notice]) -> type[BaseHTTPRequestHandler]:
    class Visitor(BaseHTTPRequestHandler):
        """One request."""

        protocol_version = "HTTP/1.0"
        files: ClassVar[dict[str, float]] = {"/clip.mp4": 0.0, "/slow.mp4": SLOW}

        def do_GET(self) -> None:
            """Send the clip, or 404."""
            if self.path not in self.files:
                self.send_error(404)
                return
            self._head()
            with contextlib.suppress(OSError):  # a visitor who was killed
                self._send(self.files[self.path])

        def do_HEAD(self) -> None:
            """Send the clip's head, or 404."""
            if self.path in self.files:
                self._head()
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            """Take a notice."""
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            posted.append(msgspec.json.decode(body, type=Notice))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the demo has its own screen."""

        def _head(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(clip.stat().st_size))
            self.end_headers()

        def _send(self, seconds: float) -> None:
            pause = seconds * CHUNK / clip.stat().st_size
            with clip.open("rb") as file:
                while chunk := file.read(CHUNK):
                    self.wfile.write(chunk)
                    time.sleep(pause)

    return Visitor
