"""What systemd is told of us, and what it told us: sd_notify(3) in a few lines, no library.

Whoever starts us names a socket and wants to hear there that we are ready, what we are doing, that
we stop, and, if it has a watchdog, again and again that all is well. Telling never raises and
never waits. Imports little, because the guard lives on it.
"""

import contextlib
import socket
from collections.abc import Callable, Container, MutableMapping

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"
LONGEST = 4096  # bytes of one message; systemd refuses longer ones
LONGEST_STATUS = 500  # characters
MICRO = 1_000_000

Tell = Callable[[bytes], None]


def take(
    environ: MutableMapping[str, str], *, ours: Container[int], line: socket.socket | None = None
) -> "Notifier":
    """Return the way to whoever started us, and leave no trace of it in the environment.

    What we start shall not be able to speak for us, ffmpeg with a hostile video least of all.

    Args:
        environ: the environment of this process.
        ours: the pids that may be meant when a watchdog is wanted of one: ours, our guard's.
        line: the line to our guard, which passes on what it hears; None: we speak directly.
    """
    address = environ.pop(SOCKET, "")
    period, pid = environ.pop(WATCHDOG, ""), environ.pop(WATCHDOG_PID, "")
    if not is_address(address):
        return NOBODY
    is_meant = not pid or (_is_number(pid) and int(pid) in ours)
    has_watchdog = is_meant and _is_number(period) and int(period) > 0
    tell = directly(address) if line is None else through(line)
    return Notifier(tell, int(period) / MICRO if has_watchdog else None)


def is_address(address: str) -> bool:
    """Answer whether this names a socket on this machine: a path, or ``@`` and a name."""
    return len(address) > 1 and address[0] in "/@"


def directly(address: str, *, patiently: bool = False) -> Tell:
    """Return a way to tell a service manager that listens at ``address``.

    ``patiently``: wait until it has room for the words; otherwise they are lost when it has none.
    """
    flags = 0 if patiently else socket.MSG_DONTWAIT
    # @ stands for the zero byte with which the kernel marks names that are no files.
    where = f"\0{address[1:]}" if address.startswith("@") else address

    def tell(words: bytes) -> None:
        # Closed on exec, as all of Python's sockets are (SOCK_CLOEXEC).
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        ):
            manager.sendto(words, flags, where)

    return tell


def through(line: socket.socket) -> Tell:
    """Return a way to tell it through our guard, who is at the other end of ``line``."""

    def tell(words: bytes) -> None:
        with contextlib.suppress(OSError):
            line.send(words, socket.MSG_DONTWAIT)

    return tell


class Notifier:
    """Says where we are, in the words of sd_notify(3)."""

    def __init__(self, tell: Tell | None, watchdog: float | None = None) -> None:
        """Prepare to speak.

        Args:
            tell: passes one message on; None when nobody listens.
            watchdog: seconds within which ``alive`` must be heard again and again, if any.
        """
        self._tell = tell
        self.watchdog = watchdog

    @property
    def is_heard(self) -> bool:
        """Answer whether anybody listens."""
        return self._tell is not None

    def ready(self, status: str = "") -> None:
        """Say that we are up, or again up after a reload."""
        self._say(f"READY=1{_status(status)}")

    def status(self, status: str) -> None:
        """Say in one line what we are doing."""
        self._say(_status(status).lstrip("\n"))

    def reloading(self, now: float) -> None:
        """Say that something is being read again; ``ready`` follows. ``now``: monotonic seconds."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={int(now * MICRO)}")

    def stopping(self, status: str = "") -> None:
        """Say that we have begun to stop."""
        self._say(f"STOPPING=1{_status(status)}")

    def extend(self, seconds: float) -> None:
        """Ask for so much time from now on, for what we are doing (starting, stopping)."""
        self._say(f"EXTEND_TIMEOUT_USEC={int(seconds * MICRO)}")

    def alive(self) -> None:
        """Say that all is well."""
        self._say("WATCHDOG=1")

    def _say(self, words: str) -> None:
        if self._tell is not None:
            self._tell(words.encode(errors="replace"))


NOBODY = Notifier(None)


def _status(status: str) -> str:
    """Return the line for a status; nothing in it can become a line of its own."""
    words = "".join(each if each.isprintable() else " " for each in status)
    return f"\nSTATUS={words[:LONGEST_STATUS]}" if words else ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
