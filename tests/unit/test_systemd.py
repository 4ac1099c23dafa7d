"""What systemd told us is taken out of the environment; what we tell it arrives as we said it."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.systemd import LONGEST_STATUS, Notifier, directly, take, through
from tests.support.service_manager import ServiceManager

OURS = {100, 101}


def _environment(**told: str) -> dict[str, str]:
    return {"PATH": "/bin", "NOTIFY_SOCKET": "/run/none", **told}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def notifier(said: list[str]) -> Notifier:
    return Notifier(lambda words: said.append(words.decode()))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A guard's end of a line, and its coordinator's."""
    guard, line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with guard, line:
        yield guard, line


@pytest.mark.parametrize("address", ["path", "abstract"])
def test_a_message_reaches_the_socket_it_is_for(address: str, tmp_path: Path) -> None:
    name = f"@unit-{os.urandom(6).hex()}" if address == "abstract" else str(tmp_path / "notify")
    with ServiceManager(name) as manager:
        take({"NOTIFY_SOCKET": name}, ours=OURS).ready("4 workers")

        said = manager.wait_for("READY", within=5)

    assert said.pid == os.getpid()
    assert said.words == {"READY": "1", "STATUS": "4 workers"}


def test_nothing_of_it_stays_in_the_environment() -> None:
    environ = _environment(WATCHDOG_USEC="30000000", WATCHDOG_PID="100")

    notifier = take(environ, ours=OURS)

    assert environ == {"PATH": "/bin"}
    assert notifier.is_heard
    assert notifier.watchdog == 30.0


@pytest.mark.parametrize(
    "told",
    [
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "999"},  # another process is meant
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "me"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {},
    ],
)
def test_a_watchdog_that_is_not_ours_is_none(told: dict[str, str]) -> None:
    environ = _environment(**told)

    assert take(environ, ours=OURS).watchdog is None
    assert environ == {"PATH": "/bin"}


def test_a_watchdog_may_be_meant_for_our_guard() -> None:
    environ = _environment(WATCHDOG_USEC="2000000", WATCHDOG_PID="101")

    assert take(environ, ours=OURS).watchdog == 2.0


@pytest.mark.parametrize("address", ["", "@", "vsock:2:1234", "relative/path"])
def test_without_a_socket_on_this_machine_nobody_listens(address: str) -> None:
    notifier = take({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"}, ours=OURS)

    notifier.ready()

    assert not notifier.is_heard
    assert notifier.watchdog is None


def test_telling_a_socket_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    take({"NOTIFY_SOCKET": str(tmp_path / "none")}, ours=OURS).alive()


def test_a_patient_teller_waits_for_room_and_another_does_not(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as busy:
        busy.bind(address)
        hasty, patient = directly(address), directly(address, patiently=True)
        for _ in range(5000):
            hasty(b"STATUS=much")  # more than there is room for
        told = threading.Thread(target=patient, args=(b"READY=1",), daemon=True)
        told.start()
        busy.settimeout(5)
        while (words := busy.recv(100)) != b"READY=1":
            assert words == b"STATUS=much"
        told.join(5)

    assert not told.is_alive()


def test_through_the_guard_words_keep_their_boundaries(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    guard, line = pair
    notifier = take(_environment(), ours=OURS, line=line)

    notifier.alive()
    notifier.stopping("bye")

    assert [guard.recv(100), guard.recv(100)] == [b"WATCHDOG=1", b"STOPPING=1\nSTATUS=bye"]


def test_a_guard_that_does_not_listen_holds_nobody_up(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    tell = through(pair[1])

    for _ in range(5000):
        tell(b"STATUS=much")
    pair[0].close()
    tell(b"STATUS=more")


def test_no_status_can_become_a_line_of_its_own(notifier: Notifier, said: list[str]) -> None:
    notifier.status("broken\nMAINPID=1\r\0end")

    assert said == ["STATUS=broken MAINPID=1  end"]


def test_a_status_is_not_endless(notifier: Notifier, said: list[str]) -> None:
    notifier.status("x" * 10_000)

    assert len(said[0]) == LONGEST_STATUS + len("STATUS=")


def test_times_are_microseconds(notifier: Notifier, said: list[str]) -> None:
    notifier.reloading(12.5)
    notifier.extend(1.5)

    assert said == ["RELOADING=1\nMONOTONIC_USEC=12500000", "EXTEND_TIMEOUT_USEC=1500000"]
