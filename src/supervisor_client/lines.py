"""httpx in our words: the lines to a supervisor's HTTP API, plain and async."""

import asyncio
import contextlib
import random
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from supervisor_client.answers import HELLO, EventReader, read, refusal
from supervisor_client.calls import Call
from supervisor_client.errors import ClientError, UnreachableError
from supervisor_client.patience import pause_before_next
from supervisor_client.places import HttpPlace
from supervisor_client.shapes import Event

if TYPE_CHECKING:  # it takes a while to load: only when the first request is made
    import httpx

T = TypeVar("T")

_STREAM = 60.0  # seconds of silence; a stream says every 15 that it is still there


@dataclass(frozen=True, slots=True)
class Manners:
    """How a supervisor is asked; ``timeout`` is seconds for one answer."""

    token: str
    timeout: float
    tries: int

    def __post_init__(self) -> None:
        """Refuse what no header can hold, without showing it."""
        if not (self.token.isascii() and self.token.isprintable()):
            message = "the token must be printable ASCII; was it read with the end of its line?"
            raise ClientError(message)


class Line:
    """The plain line."""

    def __init__(self, place: HttpPlace, manners: Manners) -> None:
        self._place = place
        self._manners = manners
        self._opened: httpx.Client | None = None
        self._opening = threading.Lock()

    def ask(self, call: Call[T]) -> T:
        """Return the answer; asks again where that can do no harm."""
        tried = 0
        while True:
            try:
                with _told(self._place):
                    answer = self._http().request(**_request(call))
                return read(call, answer.status_code, answer.headers, answer.content)
            except ClientError as error:
                tried += 1
                if (pause := _pause(error, call, tried, self._manners)) is None:
                    raise
                time.sleep(pause)

    @contextlib.contextmanager
    def follow(self, call: Call[Event], after: str) -> Iterator[Iterator[Event]]:
        """Open a stream of events: what happens from here on is on it."""
        with (
            _told(self._place),
            self._http().stream(**_request(call, after), timeout=_STREAM) as answer,
        ):
            if not answer.is_success:
                raise refusal(answer.status_code, answer.headers, answer.read())
            lines = _lines(answer)
            for line in lines:
                if line == HELLO:
                    break
            yield _events(lines)

    def close(self) -> None:
        """Close the connections; may be called twice."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _http(self) -> "httpx.Client":
        with self._opening:
            if self._opened is None:
                import httpx

                socket = self._place.socket
                settings = _settings(self._place, self._manners)
                verify = settings["verify"]
                transport = httpx.HTTPTransport(uds=socket, verify=verify) if socket else None
                self._opened = httpx.Client(transport=transport, **settings)
            return self._opened


class AsyncLine:
    """The async line."""

    def __init__(self, place: HttpPlace, manners: Manners) -> None:
        self._place = place
        self._manners = manners
        self._opened: httpx.AsyncClient | None = None

    async def ask(self, call: Call[T]) -> T:
        """Return the answer; asks again where that can do no harm."""
        tried = 0
        while True:
            try:
                with _told(self._place):
                    answer = await self._http().request(**_request(call))
                return read(call, answer.status_code, answer.headers, answer.content)
            except ClientError as error:
                tried += 1
                if (pause := _pause(error, call, tried, self._manners)) is None:
                    raise
                await asyncio.sleep(pause)

    @contextlib.asynccontextmanager
    async def follow(self, call: Call[Event], after: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Open a stream of events: what happens from here on is on it."""
        with _told(self._place):
            async with self._http().stream(**_request(call, after), timeout=_STREAM) as answer:
                if not answer.is_success:
                    raise refusal(answer.status_code, answer.headers, await answer.aread())
                lines = _async_lines(answer)
                async for line in lines:
                    if line == HELLO:
                        break
                yield _async_events(lines)

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        if self._opened is not None:
            await self._opened.aclose()
            self._opened = None

    def _http(self) -> "httpx.AsyncClient":
        if self._opened is None:
            import httpx

            socket = self._place.socket
            settings = _settings(self._place, self._manners)
            verify = settings["verify"]
            transport = httpx.AsyncHTTPTransport(uds=socket, verify=verify) if socket else None
            self._opened = httpx.AsyncClient(transport=transport, **settings)
        return self._opened


def _settings(place: HttpPlace, manners: Manners) -> dict[str, Any]:
    """Return what both clients are made with; no proxy and no password out of the environment."""
    headers = {"Authorization": f"Bearer {manners.token}"} if manners.token else {}
    is_safe = place.url.startswith("https")
    # The system's authorities are read only where they are asked: it takes 20 ms.
    nobody = ssl.PROTOCOL_TLS_CLIENT
    verify = ssl.create_default_context() if is_safe else ssl.SSLContext(nobody)
    return {
        "base_url": place.url,
        "timeout": manners.timeout,
        "headers": headers,
        "verify": verify,
        "trust_env": False,
    }


def _request(call: Call[Any], after: str = "") -> dict[str, Any]:
    headers = {"Last-Event-ID": after} if after else {}
    content = None
    if call.body is not None:
        content = msgspec.json.encode(call.body)
        headers["Content-Type"] = "application/json"
    query = {name: value for name, value in call.query.items() if value not in (None, [], "")}
    return {
        "method": call.method,
        "url": call.path,
        "params": query,
        "content": content,
        "headers": headers,
    }


def _pause(error: ClientError, call: Call[Any], tried: int, manners: Manners) -> float | None:
    roll = random.random()  # noqa: S311 - jitter, not cryptography
    return pause_before_next(
        error, tried=tried, tries=manners.tries, is_repeatable=call.is_repeatable, roll=roll
    )


@contextlib.contextmanager
def _told(place: HttpPlace) -> Iterator[None]:
    """Give what the library says our names."""
    import httpx

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        start = "start it" if place.socket else "is http.listen: set there?"
        message = f"no supervisor answers at {place.shown}: {error}; {start}"
        raise UnreachableError(message) from error
    except httpx.TimeoutException as error:
        message = f"the supervisor at {place.shown} did not answer in time; look at its log"
        raise ClientError(message) from error
    except httpx.HTTPError as error:
        message = f"the supervisor at {place.shown} hung up: {error}; is it stopping?"
        raise UnreachableError(message, was_sent=True) from error


def _lines(answer: "httpx.Response") -> Iterator[str]:
    """Yield the lines of a stream; the library would break them at marks inside of texts too."""
    rest = b""
    for chunk in answer.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in whole)


async def _async_lines(answer: "httpx.Response") -> AsyncIterator[str]:
    rest = b""
    async for chunk in answer.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode()


def _events(lines: Iterator[str]) -> Iterator[Event]:
    reader = EventReader()
    for line in lines:
        if (event := reader.read(line)) is not None:
            yield event


async def _async_events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    reader = EventReader()
    async for line in lines:
        if (event := reader.read(line)) is not None:
            yield event
