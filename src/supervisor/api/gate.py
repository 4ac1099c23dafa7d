"""The gate before the API: who comes in, by which door, how often, and with how much."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from supervisor.api.admission import (
    PROBES,
    Head,
    Refusal,
    account,
    foreign,
    misshapen,
    routed,
    unfit,
    unknown,
)
from supervisor.api.exchange import Exchange, Message, Receive, Send
from supervisor.api.meter import Meter
from supervisor.api.reach import CALLER
from supervisor.core.callers import ANYBODY, OWNER, Caller
from supervisor.core.rates import Pace

_TOKEN = b"authorization"
STREAMS = "/events"  # how paths end that answer for as long as somebody listens

Application = Callable[[Any, Receive, Send], Awaitable[None]]
LookUp = Callable[[str], Caller | None]  # whom a token lets in


@dataclass(frozen=True, slots=True)
class Rules:
    """What one door asks of those who come in."""

    look_up: LookUp | None = None  # None: no token is asked for
    is_private: bool = True  # the control socket: only its owner gets here at all
    body_limit: int = 8_000_000  # bytes
    request_timeout: float = 30.0  # seconds until a request has arrived, its body included
    pace: Pace | None = None  # how often each caller may ask
    max_streams: int = 1500  # event streams at a time; idle ones cost next to nothing


class Gate:
    """An ASGI application in front of the application."""

    def __init__(self, app: Application, rules: Rules) -> None:
        self._app = app
        self._rules = rules
        self._meter = None if rules.pace is None else Meter(rules.pace)
        self.streams = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] != "http":
            return
        head = _head(scope)
        rules = self._rules
        exchange = Exchange(head, receive, send, limit=rules.body_limit, wait=rules.request_timeout)
        match self._admitted(head):
            case Refusal() as refusal:
                await exchange.refuse(refusal)
            case caller:
                # Nothing behind the gate needs the token, so nothing can tell it.
                headers = [each for each in scope["headers"] if each[0].lower() != _TOKEN]
                inner = scope | {CALLER: caller, "path": routed(head.path), "headers": headers}
                inner["method"] = "GET" if head.method == "HEAD" else head.method
                await self._serve(inner, exchange)

    async def _serve(self, scope: Any, exchange: Exchange) -> None:
        if not scope["path"].rstrip("/").endswith(STREAMS):
            await self._app(scope, exchange.receive, exchange.send)
            return
        if self.streams >= self._rules.max_streams:
            await exchange.refuse(_no_more_streams(self._rules.max_streams))
            return
        self.streams += 1
        try:
            await self._app(scope, exchange.receive, exchange.send)
            await exchange.close()
        finally:
            self.streams -= 1

    def _admitted(self, head: Head) -> Caller | Refusal:
        """Return who is let in, or why nobody is."""
        if refusal := misshapen(head):
            return refusal
        asks_nobody = not self._rules.is_private and self._rules.look_up is None
        if asks_nobody and (refusal := foreign(head)):
            return refusal
        caller = self._caller(head)
        if refusal := self._too_often(head, caller):
            return refusal
        if caller is None:
            return unknown(presented=head.token is not None)
        return unfit(head, self._rules.body_limit) or caller

    def _caller(self, head: Head) -> Caller | None:
        if self._rules.look_up is None:
            return OWNER
        found = None if head.token is None else self._rules.look_up(head.token)
        return ANYBODY if found is None and _is_probe(head) else found

    def _too_often(self, head: Head, caller: Caller | None) -> Refusal | None:
        if self._meter is None or _is_probe(head):
            return None  # who is busy is not dead
        whose = caller.name if caller is not None and caller.name else account(head.client)
        seconds = self._meter.take(whose, asyncio.get_running_loop().time())
        if not seconds:
            return None
        detail = f"too many requests, the next is taken in {seconds:.2g} s"
        after = (("Retry-After", str(math.ceil(seconds))),)
        return Refusal(HTTPStatus.TOO_MANY_REQUESTS, detail, after)


def _head(scope: Message) -> Head:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    client = scope.get("client")
    path = scope.get("raw_path") or scope["path"].encode()
    return Head(
        scope["method"],
        path.partition(b"?")[0],
        scope["query_string"],
        headers,
        client[0] if client else "",
    )


def _is_probe(head: Head) -> bool:
    return head.path.decode("latin-1").rstrip("/") in PROBES


def _no_more_streams(most: int) -> Refusal:
    detail = f"{most} event streams are open, there are no more; try again later"
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, (("Retry-After", "30"),))
