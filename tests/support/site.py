"""A web site on loopback with one video: at once, held in the middle, shaky or gone.

``/clip.mp4`` comes at once; ``/held.mp4`` stops half-way until ``release`` is set; ``/gone.mp4``
is a 404; ``/shaky.mp4`` answers 503 to the first ``shaky_answers`` requests, ``/limited.mp4`` 429
to the first ``limited_answers``, with a time to stay away.
"""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from typing_extensions import override


class Site:
    """The site, and what was asked of it."""

    def __init__(self, clip: bytes) -> None:
        self.clip = clip
        self.release = threading.Event()
        self.halfway = threading.Semaphore(0)  # one for each visitor who is held
        self.shaky_answers = 2
        self.limited_answers = 2
        self.stay_away = 2  # seconds
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _visitor(self))
        self._server.daemon_threads = True

    def link(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}.mp4"

    @contextlib.contextmanager
    def open(self) -> Iterator[Self]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.release.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _visitor(site: Site) -> type["Visitor"]:
    return type("VisitorOfThisSite", (Visitor,), {"site": site})


class Visitor(BaseHTTPRequestHandler):
    """Answers one request, also for the rest of a file, as a resumed download asks for it."""

    site: Site

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].strip("/").removesuffix(".mp4")
        self.site.asked.append(name)
        status, begin = self._status(name), 0
        if status == 200 and (begin := self._begin()):
            status = 206 if begin < len(self.site.clip) else 416  # there is no rest to send
        body = self.site.clip[begin:] if status in {200, 206} else b""
        self.send_response(status)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", str(self.site.stay_away))
        if begin:
            size = len(self.site.clip)
            span = f"{begin}-{size - 1}" if body else "*"
            self.send_header("Content-Range", f"bytes {span}/{size}")
        self.end_headers()
        with contextlib.suppress(OSError):  # a visitor who was killed
            self._send(name, body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _status(self, name: str) -> int:
        if name == "shaky" and self.site.shaky_answers > 0:
            self.site.shaky_answers -= 1
            return 503
        if name == "limited" and self.site.limited_answers > 0:
            self.site.limited_answers -= 1
            return 429
        return 200 if name in {"clip", "held", "shaky", "limited"} else 404

    def _begin(self) -> int:
        span = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        return int(span) if span.isdigit() else 0

    def _send(self, name: str, body: bytes) -> None:
        half = len(body) // 2 if name == "held" else len(body)
        self.wfile.write(body[:half])
        self.wfile.flush()
        if name == "held":
            self.site.halfway.release()
            self.site.release.wait(60)
            self.wfile.write(body[half:])
