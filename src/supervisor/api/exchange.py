"""One request and its answer: bodies within their limits and in time, headers on every answer."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.exceptions import HTTPException

from supervisor.api.admission import Head, Refusal
from supervisor.api.wire import EVENT_STREAM, PROBLEM_JSON, Problem, title_of

Message = MutableMapping[str, Any]  # as ASGI has it
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]

DRAIN = 1.0  # seconds that a body nobody wants is read all the same, so that the answer arrives
_SAFETY: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_STORE = (b"cache-control", b"no-store")
_CLOSE = (b"connection", b"close")


class Exchange:
    """Stands between the server and the application for one request."""

    def __init__(
        self, head: Head, receive: Receive, send: Send, *, limit: int, wait: float
    ) -> None:
        self._head = head
        self._receive = receive
        self._send = send
        self._limit = limit
        self._until = asyncio.get_running_loop().time() + wait
        self._taken = 0
        self._is_read = not head.has_body
        self._is_answered = False
        self._is_over = False

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            HTTPException: the body is too long, or does not come.
        """
        if self._is_answered and self._head.method == "HEAD":
            return {"type": "http.disconnect"}  # nobody wants the rest of a stream
        if self._is_read:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(
                status_code=HTTPStatus.REQUEST_TIMEOUT, detail="the body did not come in time"
            ) from error
        self._taken += len(message.get("body", b""))
        self._is_read = not message.get("more_body", False)
        if self._taken > self._limit:
            self._is_read = False
            detail = f"the body is longer than {self._limit:,} bytes"
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise HTTPException(status_code=status, detail=detail)
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on; what is left of an unread body ends the connection."""
        if message["type"] == "http.response.start":
            self._is_answered = True
            message["headers"] = self._headers(list(message.get("headers", [])))
            await self._send(message)
            return
        is_last = not message.get("more_body", False)
        self._is_over = is_last
        if is_last and not self._is_read:
            await self._send({**message, "more_body": True})
            await self._drain()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._send(message)

    async def close(self) -> None:
        """End an answer of which only the head was asked for, if it has not ended itself."""
        if self._head.method == "HEAD" and self._is_answered and not self._is_over:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, refusal: Refusal) -> None:
        """Answer a request that is not let in."""
        status = refusal.status
        instance = self._head.path.decode("ascii", "replace")[:500]
        problem = Problem(title_of(status), status, refusal.detail, instance=instance)
        body = msgspec.json.encode(problem)
        headers = [
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in refusal.headers),
        ]
        start = {"type": "http.response.start", "status": int(status), "headers": headers}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def _headers(self, headers: RawHeaders) -> RawHeaders:
        names = {name.lower() for name, _ in headers}
        kind = dict(headers).get(b"content-type", b"")
        found = headers + _SAFETY
        if b"cache-control" not in names:
            found.append(_NO_STORE)
        if not self._is_read or kind.startswith(EVENT_STREAM.encode()):
            found.append(_CLOSE)
        return found

    async def _drain(self) -> None:
        """Read what is still coming, for a moment: a socket closed before loses the answer."""
        if "expect" in self._head.headers:
            return  # it was not sent
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                while (await self._receive()).get("more_body", False):
                    pass
