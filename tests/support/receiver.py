"""A webhook receiver: a real HTTP server in a thread that answers as it was told to."""

import queue
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from typing_extensions import override

from tests.support.ports import free_port


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer; ``silent`` answers nothing until the receiver is closed."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    silent: bool = False


class Receiver:
    """Listens on loopback; answers 204 when it has no other answers left."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: queue.Queue[Received] = queue.Queue()
        self._answers = deque(answers)
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), self._handler())
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hooks/path-secret"

    def received(self) -> list[Received]:
        """All requests so far, and none of them again."""
        found = []
        while not self.requests.empty():
            found.append(self.requests.get())
        return found

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # whoever sent it was killed over it
                headers = {key.lower(): value for key, value in self.headers.items()}
                receiver.requests.put(Received(headers, body))
                answer = receiver._next()
                if answer.silent:
                    receiver._closing.wait(20)
                    return
                self.send_response(answer.status)
                for key, value in answer.headers:
                    self.send_header(key, value)
                self.end_headers()

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler

    def _next(self) -> Answer:
        return self._answers.popleft() if self._answers else Answer()
