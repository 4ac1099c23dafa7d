"""A web server on loopback that misbehaves on request, in a thread of the test."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from typing_extensions import override


@dataclass(frozen=True)
class Answer:
    """What to send; ``cut_at`` closes the connection after that many bytes of the body."""

    body: bytes = b""
    status: int = 200
    kind: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    held: bool = False  # send half of the body, then nothing until the server stops


@dataclass
class MediaServer:
    """The server, as a test sees it: answers by path, and what was asked."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path
    bodies: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    halfway: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, answer: Answer) -> str:
        """Answer requests for a path, and return its link."""
        self.answers[path] = answer
        return self.url + path

    def count(self, method: str, path: str) -> int:
        return self.asked.count((method, path))


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    board: MediaServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(self._send_body)

    def do_HEAD(self) -> None:
        self._answer(lambda _answer: None)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self._board().bodies.append((dict(self.headers), self.rfile.read(length)))
        self._answer(self._send_body)

    @override
    def log_message(self, *_args: object) -> None:
        """Keep the test output clean."""

    def _board(self) -> MediaServer:
        return cast("_Server", self.server).board

    def _answer(self, send: Callable[[Answer], None]) -> None:
        board = self._board()
        board.asked.append((self.command, self.path))
        answer = board.answers.get(self.path, Answer(b"nothing here", 404))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        try:
            send(answer)
        except OSError:  # the client left: some tests are about that
            return

    def _send_body(self, answer: Answer) -> None:
        if answer.held:
            self.wfile.write(answer.body[: len(answer.body) // 2])
            self._board().halfway.set()
            self._board().stopping.wait(30.0)
            return
        self.wfile.write(answer.body[: answer.cut_at])


@contextmanager
def media_server() -> Iterator[MediaServer]:
    """Run a server until the block is left."""
    server = _Server(("127.0.0.1", 0), _Handler)
    board = server.board = MediaServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield board
    finally:
        board.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
