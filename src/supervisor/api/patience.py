"""HTTP connections that end when the other side is too slow, and are not too many.

uvicorn waits for the head of a request, and for a reader, as long as it takes. The one place that
extends its protocol: there is no other way to see a connection before its first request.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import h11
import msgspec
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from supervisor.api.wire import PROBLEM_JSON, Problem, title_of

SLACK = 2.0  # seconds more than the application has: its answer is the better one


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds, and how many may be connected."""

    request: float = 30.0  # until a request has arrived
    stall: float = 30.0  # for a reader that takes nothing
    connections: int = 2000


class PatientProtocol(H11Protocol):
    """One connection."""

    def __init__(self, patience: Patience, **theirs: Any) -> None:
        super().__init__(**theirs)
        self._patience = patience
        self._arriving: asyncio.TimerHandle | None = None
        self._stalling: asyncio.TimerHandle | None = None

    @property
    def is_stalled(self) -> bool:
        """Answer whether the other side does not read what it asked for."""
        return self._stalling is not None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > self._patience.connections:
            self._refuse(503, "too many connections, try again later")
            return
        self._await_request()

    @override
    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._await_request()

    @override
    def on_response_complete(self) -> None:
        """Go on with what follows of the old request, or with the next one."""
        super().on_response_complete()
        if self.conn.their_state is not h11.IDLE:
            self._await_request()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all waiting."""
        self._arrived()
        self.resume_writing()
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        """Begin to wait for the reader."""
        super().pause_writing()
        if self._stalling is None:
            self._stalling = self.loop.call_later(self._patience.stall, self.transport.abort)

    @override
    def resume_writing(self) -> None:
        """Go on: the reader takes again."""
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None
        if self.flow is not None:
            super().resume_writing()

    @override
    def send_400_response(self, msg: str) -> None:
        """Answer what is no request as a problem, too."""
        self._refuse(400, "this is no HTTP request, or its head is too long")

    def _await_request(self) -> None:
        """Begin to wait for the rest of a request, or stop: it is here."""
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._arrived()
        elif self._arriving is None and self.timeout_keep_alive_task is None:
            longest = self._patience.request + SLACK
            self._arriving = self.loop.call_later(longest, self._too_slow)

    def _arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _too_slow(self) -> None:
        self._arriving = None
        if self.conn.their_state is h11.IDLE:
            self._refuse(408, "the request did not come in time")
        else:
            self.transport.abort()

    def _refuse(self, status: int, why: str) -> None:
        """Answer below the application, and hang up."""
        body = msgspec.json.encode(Problem(title_of(status), status, why))
        head = (
            f"HTTP/1.1 {status} {title_of(status)}\r\ncontent-type: {PROBLEM_JSON}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
