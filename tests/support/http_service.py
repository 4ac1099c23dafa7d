"""An HTTP service on loopback for the example processors: answers by path, keeps what it is asked.

``/busy`` answers 429 with ``Retry-After: 1`` the first time, ``/broken`` 500, ``/never`` 404.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override

PICTURE = b"\x89PNG\r\n\x1a\n a picture"
PAGE = b"""<html><head><title>A page</title><script>hidden()</script></head>
<body><p>Words to read</p><a href="/next">on</a></body></html>"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    key: str
    token: str
    body: object


@dataclass
class Service:
    """What was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def of(self, path: str) -> list[Asked]:
        return [one for one in self.asked if one.path == path]


@contextmanager
def http_service() -> Iterator[Service]:
    """Yield a running service."""
    kept = Service()

    class Handler(_Answering):
        service = kept

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_port}/v1/"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answering(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.removeprefix("/v1")
        key = self.headers.get("Idempotency-Key", "")
        token = self.headers.get("Authorization", "")
        self.service.asked.append(Asked(method, path, key, token, body))
        if path == "/busy" and len(self.service.of("/busy")) == 1:
            self._say(429, b"{}", {"Retry-After": "1"})
        elif path in {"/broken", "/never"}:
            self._say(500 if path == "/broken" else 404, b"{}")
        elif path == "/page":
            self._say(200, PAGE, {"Content-Type": "text/html"})
        else:
            self._say(200, json.dumps(self._found(path)).encode())

    def _found(self, path: str) -> object:
        match path:
            case "/chat/completions":
                return {"choices": [{"message": {"content": "a text"}}], "usage": {"tokens": 3}}
            case "/images/generations":
                return {"data": [{"b64_json": base64.b64encode(PICTURE).decode()}]}
            case "/posts":
                return {"id": "post-1"}
            case _:
                return {"at": path}

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
