"""A door to the street in front of a fake house: opened on a free port, with tokens and limits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from supervisor.api.gate import Rules
from supervisor.api.patience import Patience
from supervisor.api.server import Address, ApiServer
from supervisor.core.callers import Caller, Key, Role, caller_of, digest
from tests.support.control import FakeControl

ADMIN = "the-token-of-an-administrator"
PUBLISHER = "the-token-of-a-publisher"
OTHER = "the-token-of-another-one"
RUNNER = "the-secret-of-a-cron-line"
KEYS = (
    Key(Caller("ops", frozenset({Role.ADMIN})), digest(ADMIN)),
    Key(Caller("shop", frozenset({Role.SUBMIT})), digest(PUBLISHER)),
    Key(Caller("blog", frozenset({Role.SUBMIT})), digest(OTHER)),
    Key(Caller("cron", frozenset({Role.RUN})), digest(RUNNER)),
)
GUARDED = Rules(look_up=lambda token: caller_of(token, KEYS), is_private=False)
USUAL = Patience()
OPEN = Rules(is_private=False)  # a loopback address without tokens


@dataclass(frozen=True, slots=True)
class Street:
    """The address of an open door, and who is behind it."""

    port: int
    control: FakeControl
    server: ApiServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def caller(self, token: str = "", **headers: str) -> httpx.AsyncClient:
        """Return somebody who calls with this token, or none."""
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            base_url=self.url, headers=shown | headers, timeout=10, trust_env=False
        )

    async def say(self, sent: bytes, *, within: float = 5.0) -> bytes:
        """Send bytes as they are and return all that is answered until the line is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            return await asyncio.wait_for(reader.read(), within)
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def street(
    folder: Path, rules: Rules = GUARDED, patience: Patience = USUAL
) -> AsyncIterator[Street]:
    """Yield an open door; it is closed at the end."""
    control = FakeControl()
    server = ApiServer(control, folder / "s.sock", Address("127.0.0.1", 0, rules, patience))
    await server.start()
    try:
        yield Street(server.port, control, server)
    finally:
        await server.stop()


def problem_of(answer: httpx.Response) -> Mapping[str, object]:
    """Return the problem that an answer is; fails if it is none."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: Mapping[str, object] = msgspec.json.decode(answer.content)
    assert problem["status"] == answer.status_code
    return problem
