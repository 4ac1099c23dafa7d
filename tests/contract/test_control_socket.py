"""The control socket itself: whose it is, and what stands where it should be."""

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from supervisor.api.server import ApiServer
from supervisor.api.socket import SocketError, bind
from tests.support.control import FakeControl


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "s.sock"


@asynccontextmanager
async def served(path: Path, control: FakeControl) -> AsyncIterator[None]:
    server = ApiServer(control, path)
    await server.start()
    yield
    await server.stop()


async def test_the_socket_is_for_its_owner_alone(path: Path, control: FakeControl) -> None:
    async with served(path, control):
        assert _mode(path) == 0o600
        assert _mode(path.parent) == 0o700


async def test_a_second_supervisor_does_not_take_the_socket(
    path: Path, control: FakeControl
) -> None:
    async with served(path, control), httpx.AsyncClient(transport=_to(path)) as http:
        with pytest.raises(SocketError, match="another supervisor answers here; stop it"):
            await ApiServer(control, path).start()

        assert (await http.get("http://s/livez")).status_code == 200


async def test_a_socket_nobody_answers_is_replaced(path: Path, control: FakeControl) -> None:
    bind(path).close()
    assert _is_there(path)
    async with served(path, control):
        pass

    assert not _is_there(path)


def test_a_file_in_the_way_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.write_text("mine")

    with pytest.raises(SocketError, match="in the way and no socket"):
        bind(path)
    assert path.read_text() == "mine"


def test_a_path_too_long_for_a_socket_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SocketError, match="too long for a socket"):
        bind(tmp_path / ("x" * 120))


def _to(path: Path) -> httpx.AsyncHTTPTransport:
    return httpx.AsyncHTTPTransport(uds=str(path))


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _is_there(path: Path) -> bool:
    return path.exists()
