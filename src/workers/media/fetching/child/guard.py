"""The guard of the download child: it lets no connection out that may not be made.

It hangs on the interpreter's audit hook, below every library that speaks to the network in Python,
and looks at the address a socket is really connected to: redirects, segments of a stream, entries
of a page and names that change their answer all end there. Whatever would connect on its own is
kept out: other programs, except ffmpeg on files that are there, and the JavaScript runtimes that
YouTube needs. A hook cannot be removed again, so it belongs in a process of its own.
"""

import errno
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from workers.media.addresses import (
    Address,
    Allowed,
    Endpoint,
    is_allowed,
    is_public,
    numeric,
    proxy_at,
    read,
)

_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})
_SCHEMES = frozenset({"http", "https", "data"})  # data is no address: the bytes are in the link
_PORTS = {"http": 80, "https": 443}
_NOBODYS = {4: "192.0.2.1", 6: "2001:db8::1"}  # addresses for documentation
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# They run the player program of YouTube, which comes from YouTube alone, and nobody else's.
_RUNTIMES = frozenset({"deno", "node", "bun", "qjs"})
_FREEDOM = ("-A", "--allow-")


# None of these is an OSError: what is refused once is refused again, so nobody shall retry it.
class ForbiddenError(Exception):
    """A download was on its way where it may not go."""


class BlockedAddressError(ForbiddenError):
    """It would have connected to an address that is neither public nor allowed."""


class ForeignSchemeError(ForbiddenError):
    """It was led away from http and https."""


class ForeignClientError(ForbiddenError):
    """It would have let another program connect for it."""


class ClosedSiteError(ForbiddenError):
    """It would have visited a site that asked to be left alone."""

    def __init__(self, host: str, after: float) -> None:
        super().__init__(f"{host} asked to be left alone, for {after:.0f} s from now")
        self.host = host
        self.after = after


def _open_to_all(_host: str) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What a download may reach, and which programs it may run."""

    allowed: Allowed
    proxy: Endpoint | None = None  # the only peer, if there is one: it sees where links lead
    programs: frozenset[str] = frozenset()  # ffmpeg and ffprobe, by path
    rest: Callable[[str], float] = _open_to_all  # seconds that a host is to be left alone


def rules(
    *, allow: Sequence[str], proxy: str, ffmpeg: str, rest: Callable[[str], float] = _open_to_all
) -> Rules:
    """Return the rules for one download.

    Raises:
        ValueError: an entry of ``allow``, or the proxy, cannot be read.
    """
    path = Path(ffmpeg)
    ffprobe = path.with_name(path.name.replace("ffmpeg", "ffprobe"))
    return Rules(read(allow), proxy_at(proxy), frozenset({str(path), str(ffprobe)}), rest)


def install(rules: Rules) -> None:
    """Guard this process from now on, for good."""
    sys.addaudithook(_Guard(rules))


def is_offline(command: Sequence[str]) -> bool:
    """Answer whether a run of ffmpeg or ffprobe reads and writes files alone.

    What such a file names in turn is not fetched either: ffmpeg grants that to nothing which it
    has opened as ``file:``.
    """
    inputs = [value for flag, value in pairwise(command) if flag == "-i"]
    addresses = [value for value in command if _ADDRESS.match(value)]
    return not addresses and all(value == "-" or value.startswith("file:") for value in inputs)


def is_sandboxed(command: Sequence[str]) -> bool:
    """Answer whether a JavaScript runtime is given no rights; deno connects only with one."""
    return not any(word.startswith(_FREEDOM) for word in command[1:])


@dataclass(slots=True)
class _Guard:
    """Judges what the interpreter is about to do; raises to prevent it."""

    rules: Rules
    asked: threading.local = field(default_factory=threading.local)
    checks: Mapping[str, Callable[..., None]] = field(init=False)

    def __post_init__(self) -> None:
        self.checks = {
            "socket.getaddrinfo": self._remember,
            "socket.connect": self._connect,
            "socket.sendto": self._send,
            "socket.sendmsg": self._send,
            "urllib.Request": self._request,
            "subprocess.Popen": self._popen,
            **dict.fromkeys(_STARTS, self._start),
        }

    def __call__(self, event: str, facts: tuple[object, ...]) -> None:
        check = self.checks.get(event)
        if check is not None:
            check(*facts)

    def _remember(self, host: object, *_rest: object) -> None:
        """Keep the name that this thread asks about: people know links by names."""
        name = host.decode(errors="replace") if isinstance(host, bytes) else host
        self.asked.host = name
        if name and self.rules.proxy is None and (after := self.rules.rest(str(name))) > 0:
            raise ClosedSiteError(str(name), after)

    def _connect(self, sock: socket.socket, peer: object) -> None:
        if sock.family not in _FAMILIES or not isinstance(peer, tuple):
            message = f"a download may not connect to {peer!r}"
            raise BlockedAddressError(message)
        self._examine(str(peer[0]), int(peer[1]))

    def _examine(self, host: str, port: int) -> None:
        asked = getattr(self.asked, "host", None) or host
        address = numeric(host)
        if address is None:  # it would be looked up behind our back
            message = f"a download may not connect to the name {host!r} unseen"
            raise BlockedAddressError(message)
        if not self._may_reach(address, port):
            raise BlockedAddressError(self._blocked(str(asked), Endpoint(address, port)))

    def _send(self, _sock: socket.socket, peer: object = None, *_rest: object) -> None:
        if peer is not None:
            message = f"a download may not send datagrams, to {peer!r}"
            raise BlockedAddressError(message)

    def _request(self, link: str, *_rest: object) -> None:
        parts = urlsplit(link)
        if parts.scheme.lower() in _SCHEMES and parts.username is None:
            return
        if parts.scheme.lower() != "data":
            for address in _lookup(parts.hostname or "", 0):
                self._examine(address, parts.port or _PORTS.get(parts.scheme.lower(), 21))
        if parts.username is not None:  # a redirect's: a job's own was taken off its link
            message = f"the link leads to {parts.hostname} with a name or password in the address"
            raise ForeignSchemeError(message)
        message = f"the link leads to {parts.scheme}://{parts.hostname}, neither http nor https"
        raise ForeignSchemeError(message)

    def _popen(self, program: object, command: object, *_rest: object) -> None:
        words = [_text(word) for word in command] if isinstance(command, list | tuple) else []
        path = _text(program)
        if path in self.rules.programs:
            if not is_offline(words):
                message = "the link needs ffmpeg to fetch it, which may not connect"
                raise ForeignClientError(message)
        elif Path(path).name not in _RUNTIMES or not is_sandboxed(words):
            self._start(path)

    def _start(self, program: object = "", *_rest: object) -> None:
        """Refuse a program as if it were not installed, so that yt-dlp looks for another way."""
        raise FileNotFoundError(errno.ENOENT, "not to be run by a download", _text(program))

    def _may_reach(self, address: Address, port: int) -> bool:
        if self.rules.proxy is not None:
            return _is_at(Endpoint(address, port), self.rules.proxy)
        if is_allowed(address, port, self.rules.allowed):
            return True
        if is_public(address):
            return not _is_own(address)
        named = (Endpoint(name, port) for name in self.rules.allowed.names(port))
        return any(_is_at(Endpoint(address, port), place) for place in named)

    def _blocked(self, asked: str, peer: Endpoint) -> str:
        where = str(peer) if asked == str(peer.host) else f"{asked} is at {peer}"
        if self.rules.proxy is not None:
            return f"{where}: downloads may connect to their proxy alone"
        return f"{where}, not a public address of others: downloads may not connect there"


_STARTS = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.spawn",
)


def _is_at(peer: Endpoint, place: Endpoint) -> bool:
    """Answer whether a peer is a place that the operator named, wherever that is just now."""
    if peer.port != place.port:
        return False
    if not isinstance(place.host, str):
        return peer.host == place.host
    return str(peer.host) in _lookup(place.host, place.port)


def _is_own(address: Address) -> bool:
    """Answer whether an address is one of this machine's own; nothing is sent for that."""
    # Where a socket can be bound to anything (ip_nonlocal_bind), this cannot be told.
    return _binds(str(address), address.version) and not _binds(
        _NOBODYS[address.version], address.version
    )


def _binds(address: str, version: int) -> bool:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _lookup(host: str, port: int) -> frozenset[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(str(where[0]) for *_, where in found)


def _text(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, str | bytes | os.PathLike) else str(value)
