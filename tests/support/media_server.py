"""A web server on loopback that misbehaves on request, in a thread of the test."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from typing_extensions import override

PORTIONS = 20  # of a body that takes its time


@dataclass(frozen=True)
class Answer:
    """What to send, and in which of the ways that servers misbehave."""

    body: bytes = b""
    status: int = 200
    kind: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None  # close the connection after that many bytes of the body
    held: bool = False  # send half of the body, then nothing until the server stops
    sized: bool = True  # say how many bytes there are
    chunked: bool = False  # send it in chunks, which says the end without the size
    ranges: bool = False  # send the rest of a file to those who ask for it
    polite: bool = True  # heed If-Range as well
    endless: bool = False  # send the body again and again
    drip: str = ""  # "head" or "body": send that, one byte at a time, for ever
    takes: float = 0.0  # seconds that the whole body takes, sent at an even pace


@dataclass
class MediaServer:
    """The server, as a test sees it: answers by path, and what was asked."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    later: dict[str, list[Answer]] = field(default_factory=dict)  # what follows them
    asked: list[tuple[str, str]] = field(default_factory=list)  # method and path
    heard: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)  # path and headers
    bodies: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    halfway: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, answer: Answer, *later: Answer) -> str:
        """Answer requests for a path, one answer after the other, and return its link."""
        self.answers[path] = answer
        self.later[path] = list(later)
        return self.url + path

    def next(self, path: str) -> Answer:
        """Return the answer whose turn it is; the last one stays."""
        answer = self.answers.get(path, Answer(b"nothing here", 404))
        if self.later.get(path):
            self.answers[path] = self.later[path].pop(0)
        return answer

    def count(self, method: str, path: str) -> int:
        return self.asked.count((method, path))

    def spans(self, path: str) -> list[str]:
        """Return the ranges that were asked for; empty for the whole."""
        return [headers.get("Range", "") for asked, headers in self.heard if asked == path]


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    board: MediaServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(self._send_body)

    def do_HEAD(self) -> None:
        self._answer(lambda _answer, _begin: None)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self._board().bodies.append((dict(self.headers), self.rfile.read(length)))
        self._answer(self._send_body)

    @override
    def log_message(self, *_args: object) -> None:
        """Keep the test output clean."""

    def _board(self) -> MediaServer:
        return cast("_Server", self.server).board

    def _answer(self, send: Callable[[Answer, int], None]) -> None:
        board = self._board()
        board.asked.append((self.command, self.path))
        board.heard.append((self.path, dict(self.headers)))
        answer = board.next(self.path)
        self.close_connection = True
        try:
            send(answer, self._send_head(answer))
        except OSError:  # the client left: some tests are about that
            return

    def _send_head(self, answer: Answer) -> int:
        """Send status and headers; return at which byte the body begins."""
        if (stretch := self._stretch(answer)) is not None:
            return self._send_head_of(answer, *stretch)
        begin = self._begin(answer)
        if answer.drip == "head":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Filler: ")
        self.send_response(206 if begin else answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Connection", "close")
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif answer.sized:
            self.send_header("Content-Length", str(len(answer.body) - begin))
        if begin:
            size = len(answer.body)
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        return begin

    def _stretch(self, answer: Answer) -> tuple[int, int] | None:
        """Return the first and the last byte that were asked for, where both were."""
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not (answer.ranges and first.isdigit() and last.isdigit()):
            return None
        return int(first), min(int(last), len(answer.body) - 1)

    def _send_head_of(self, answer: Answer, first: int, last: int) -> int:
        """Send all of an answer to who asked for a stretch; nothing is left to send."""
        self.send_response(206)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(answer.body)}")
        self.end_headers()
        self.wfile.write(answer.body[first : last + 1])
        return len(answer.body)

    def _begin(self, answer: Answer) -> int:
        span = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        wanted = self.headers.get("If-Range")
        is_same = wanted is None or wanted in answer.headers.values() or not answer.polite
        begin = int(span) if answer.ranges and is_same and span.isdigit() else 0
        return begin if begin < len(answer.body) else 0

    def _send_body(self, answer: Answer, begin: int) -> None:
        if answer.drip:
            self._drip(answer.body)
        elif answer.held:
            self.wfile.write(answer.body[begin : len(answer.body) // 2])
            self._board().halfway.set()
            self._board().stopping.wait(30.0)
        elif answer.chunked:
            for part in (answer.body[begin : answer.cut_at], b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        elif answer.takes:
            self._pace(answer, begin)
        else:
            end = None if answer.cut_at is None else begin + answer.cut_at
            self.wfile.write(answer.body[begin:end])
        while answer.endless and not self._board().stopping.is_set():
            self.wfile.write(answer.body)

    def _pace(self, answer: Answer, begin: int) -> None:
        step = len(answer.body) // PORTIONS + 1
        for at in range(begin, len(answer.body), step):
            self.wfile.write(answer.body[at : at + step])
            self._board().stopping.wait(answer.takes / PORTIONS)

    def _drip(self, data: bytes) -> None:
        for at in itertools.count():
            if self._board().stopping.wait(0.05):
                return
            self.wfile.write(data[at : at + 1] or b"x")


@contextmanager
def media_server(host: str = "127.0.0.1") -> Iterator[MediaServer]:
    """Run a server until the block is left."""
    server = _Server((host, 0), _Handler)
    board = server.board = MediaServer(f"http://{host}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield board
    finally:
        board.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
