"""How much, how long and how strangely the door to the street may be asked; nothing leaks."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from supervisor.api.admission import Head, misshapen
from supervisor.api.patience import Patience
from tests.support.doors import ADMIN, GUARDED, PUBLISHER, Street, problem_of, street

SMALL = 10_000  # bytes that a body may have here
RULES = replace(GUARDED, body_limit=SMALL, request_timeout=0.4, max_streams=3)
SHORT = Patience(request=0.4, stall=0.5, connections=40)
HEAD = f"Host: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\n".encode()
LAST = HEAD + b"Connection: close\r\n"
POST = b"POST /api/jobs HTTP/1.1\r\n" + HEAD


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Street]:
    async with street(tmp_path, RULES, SHORT) as door:
        yield door


async def test_a_body_that_says_it_is_too_long_is_refused_unread(door: Street) -> None:
    async with door.caller(ADMIN) as admin:
        answer = await admin.post(
            "/api/jobs", content=b"x" * (SMALL + 1), headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == 413
    assert "10,001 bytes, 10,000 are allowed" in str(problem_of(answer)["detail"])


async def test_a_body_without_a_length_is_refused_while_it_comes(door: Street) -> None:
    async def long() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 1000

    async with door.caller(ADMIN) as admin:
        answer = await admin.post(
            "/api/jobs", content=long(), headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    problem_of(answer)


async def test_a_compressed_body_is_refused_by_that_name(door: Street) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with door.caller(PUBLISHER) as shop:
        answer = await shop.post("/api/jobs", content=gzip.compress(b"{}"), headers=headers)

    assert answer.status_code == 415
    assert problem_of(answer)["detail"] == "the body must not be compressed, is gzip"


async def test_a_body_that_fits_is_taken_in_pieces(door: Street) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"pool": "download", '
        yield b'"data": {}}'

    async with door.caller(ADMIN) as admin:
        answer = await admin.post(
            "/api/jobs", content=pieces(), headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Content-Length: 100\r\n\r\n{", b"408"),  # the rest of the body does not come
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"408"),  # nor that of the head
        (b"", b"408"),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET /livez HTTP/1.1\r\n\r\n", b"400"),  # without a host
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000, b"400"),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"GET http://evil.example/api/status HTTP/1.1\r\n" + LAST + b"\r\n", b"400"),
        (b"GET /" + b"a" * 33_000 + b" HTTP/1.1\r\n" + LAST + b"\r\n", b"414"),
    ],
)
async def test_what_is_slow_or_no_request_is_answered_and_hung_up_on(
    door: Street, sent: bytes, status: bytes
) -> None:
    answer = await door.say(sent, within=8.0)

    assert answer.split(b" ", 2)[1] == status, answer
    assert b"application/problem+json" in answer
    assert ADMIN.encode() not in answer


async def test_a_reader_that_takes_nothing_is_let_go(door: Street) -> None:
    # Requests in a row for something large, and not a byte of the answers is read.
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=1024)
    asked = b"GET /schema/openapi.json HTTP/1.1\r\n" + HEAD + b"\r\n"
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            while True:  # until there is nobody any more
                writer.write(asked)
                await writer.drain()
                await asyncio.sleep(0.01)
    writer.close()
    assert reader.exception() is None or isinstance(reader.exception(), ConnectionError)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/../api/status", 404),
        ("/api/%2e%2e/api/status", 404),
        ("/api//status", 404),
        ("/api/%2e/status", 404),
        ("/api/jobs/a%00b", 400),
        ("/api/jobs/a%0d%0ab", 400),
        ("/api/jobs/%ff%fe", 400),
        ("/api/jobs/%zz", 400),
        ("/api/jobs/..%2f..%2fetc%2fpasswd", 404),  # an id like any other, and unknown
        ("/api/status?limit=1", 400),
        ("/api/jobs?limit=1&colour=red", 400),
    ],
)
async def test_tricks_with_paths_lead_nowhere(door: Street, path: str, status: int) -> None:
    request = f"GET {path} HTTP/1.1\r\n".encode() + HEAD + b"Connection: close\r\n\r\n"

    answer = await door.say(request)

    assert int(answer.split(b" ", 2)[1]) == status, answer
    assert b"application/problem+json" in answer


def test_an_address_may_be_as_long_as_a_list_needs() -> None:
    head = Head("GET", b"/api/jobs", b"a" * 7_000, {}, "")

    assert misshapen(head) is None


async def test_a_parameter_that_nobody_knows_is_named(door: Street) -> None:
    async with door.caller(ADMIN) as admin:
        answer = await admin.get("/api/jobs", params={"stat": "failed"})

    assert answer.status_code == 400
    assert str(problem_of(answer)["detail"]).startswith("stat: is no parameter here; known are ")


async def test_beyond_the_last_stream_others_are_put_off_and_a_place_is_free_again(
    door: Street,
) -> None:
    async with door.caller(ADMIN) as admin, contextlib.AsyncExitStack() as held:
        for _ in range(3):
            stream = await held.enter_async_context(admin.stream("GET", "/api/events"))
            assert stream.status_code == 200
        refused = await admin.get("/api/events/")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        problem_of(refused)
        await held.aclose()

        async def is_free() -> bool:
            async with admin.stream("GET", "/api/events") as stream:
                return stream.status_code == 200

        async with asyncio.timeout(5):
            while not await is_free():  # noqa: ASYNC110 - asked, it is another's event
                await asyncio.sleep(0.05)


@pytest.mark.timeout(60)
async def test_a_thousand_idle_listeners_are_bounded_and_leave_nothing(tmp_path: Path) -> None:
    rules = replace(GUARDED, max_streams=50)
    asked = b"GET /api/events HTTP/1.1\r\n" + HEAD + b"\r\n"
    async with street(tmp_path, rules, Patience(connections=300)) as door:
        lines = []
        statuses: list[bytes] = []
        for _ in range(10):  # in hundreds: the queue of those who knock is not endless either
            some = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(100)]
            for _, writer in some:
                writer.write(asked)
            for reader, _ in some:
                with contextlib.suppress(ConnectionError):
                    statuses.append((await reader.readline())[9:12])
            lines += some

        assert statuses.count(b"200") == 50
        assert set(statuses) <= {b"200", b"503", b""}
        async with door.caller(ADMIN) as admin:
            # The socket of this machine is not concerned.
            transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "s.sock"))
            async with httpx.AsyncClient(transport=transport, base_url="http://s") as owner:
                assert (await owner.get("/livez")).status_code == 200
            for _, writer in lines:
                writer.transport.abort()
            await _until_open(admin)
        public = door.server.connections

        assert public <= 2


async def _until_open(admin: httpx.AsyncClient) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await admin.get("/api/workers")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
