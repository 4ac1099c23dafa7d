"""The fault proxy itself: each fault looks to both sides as it would on a real network."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.fault_proxy import FaultProxy, Side
from tests.support.ports import free_port
from tests.support.waiting import wait_until

SHORT = 0.3  # seconds in which nothing may come
PROMPT = 5.0  # seconds


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server that the test plays itself."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        listener.settimeout(PROMPT)
        yield listener


@pytest.fixture
def proxy(server: socket.socket) -> Iterator[FaultProxy]:
    with FaultProxy(server.getsockname()[1]) as running:
        yield running


@pytest.fixture
def ends(proxy: FaultProxy, server: socket.socket) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of one connection through the proxy."""
    with _client(proxy) as client:
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(PROMPT)
            yield client, accepted


Ends = tuple[socket.socket, socket.socket]


def test_bytes_pass_both_ways_until_one_side_closes(proxy: FaultProxy, ends: Ends) -> None:
    client, server = ends
    client.sendall(b"question")
    server.sendall(b"answer")

    assert (server.recv(99), client.recv(99)) == (b"question", b"answer")
    assert proxy.connections == 1
    client.close()
    assert server.recv(99) == b""
    wait_until(lambda: proxy.connections == 0, within=PROMPT, what="the connection to be gone")


def test_a_reset_reaches_both_sides_and_new_connections_are_welcome(
    proxy: FaultProxy, ends: Ends, server: socket.socket
) -> None:
    proxy.reset()

    for end in ends:
        with pytest.raises(ConnectionResetError):
            end.recv(99)
    with _client(proxy) as client:
        client.sendall(b"again")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(99) == b"again"


def test_a_refused_connection_is_refused_until_it_listens_again(
    proxy: FaultProxy, ends: Ends
) -> None:
    proxy.refuse()

    with pytest.raises(ConnectionRefusedError):
        _client(proxy)
    ends[0].sendall(b"open ones stay")
    assert ends[1].recv(99) == b"open ones stay"
    proxy.heal()
    _client(proxy).close()


def test_a_black_hole_takes_everything_and_says_nothing(proxy: FaultProxy, ends: Ends) -> None:
    proxy.black_hole()
    ends[0].sendall(b"x" * 1_000_000)
    ends[1].sendall(b"x" * 1_000_000)

    with _client(proxy) as late:
        late.sendall(b"hello")
        assert all(_is_silent(end) for end in (*ends, late))
        proxy.heal()
        for end in (*ends, late):
            with pytest.raises(ConnectionResetError):
                end.recv(99)


def test_a_frozen_line_loses_nothing_and_goes_on(proxy: FaultProxy, ends: Ends) -> None:
    proxy.freeze()
    ends[0].sendall(b"question")

    assert _is_silent(ends[1])
    proxy.heal()
    assert ends[1].recv(99) == b"question"


def test_a_frozen_line_fills_up(proxy: FaultProxy, ends: Ends) -> None:
    proxy.freeze()
    ends[0].settimeout(SHORT)

    with pytest.raises(TimeoutError):
        ends[0].sendall(b"x" * 100_000_000)


@pytest.mark.parametrize("closed", ["client", "server"])
def test_half_of_a_connection_stays_open(proxy: FaultProxy, ends: Ends, closed: Side) -> None:
    left, gone = ends if closed == "server" else ends[::-1]
    proxy.half_open(closed)
    left.sendall(b"is anybody there?")

    assert gone.recv(99) == b""
    assert _is_silent(left)
    proxy.heal()
    with pytest.raises(ConnectionResetError):
        left.recv(99)


def test_a_slow_line_is_slow_until_it_is_healed(proxy: FaultProxy, ends: Ends) -> None:
    proxy.slow(1000)
    began = time.monotonic()
    ends[0].sendall(b"x" * 300)
    _receive(ends[1], 300)
    took = time.monotonic() - began

    proxy.heal()
    ends[0].sendall(b"x" * 1_000_000)
    _receive(ends[1], 1_000_000)

    assert 0.2 < took < 2


def test_a_server_that_is_gone_is_a_reset(proxy: FaultProxy, server: socket.socket) -> None:
    server.close()

    with pytest.raises(ConnectionResetError), _client(proxy) as client:
        client.recv(99)


def _client(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), PROMPT)


def _receive(end: socket.socket, count: int) -> None:
    while count > 0:
        count -= len(end.recv(count))


def _is_silent(end: socket.socket) -> bool:
    """Tell whether nothing comes: no byte, no end."""
    end.settimeout(SHORT)
    try:
        end.recv(99)
    except TimeoutError:
        return True
    else:
        return False
    finally:
        end.settimeout(PROMPT)
