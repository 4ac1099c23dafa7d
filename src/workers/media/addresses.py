"""Which addresses a download may reach: the public ones, and those an operator allowed.

Pure. What counts is the address that a connection is made to, never a name: names are answered
by whoever owns them, differently each time if they like.
"""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from typing_extensions import override

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_-]+)*\.?", re.IGNORECASE
)
_PORTS = range(1, 65536)
_PROXY_PORTS = {"http": 80, "https": 443}
_SOCKS_PORT = 1080

# Public by their number, and yet doors of the machine or of its network.
_NOT_FOR_US = (
    IPv4Network("168.63.129.16/32"),  # the host below a virtual machine in Azure
    IPv4Network("192.0.0.0/24"),  # protocol assignments; a cloud's metadata among them
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, long retired
)
_UNICAST = IPv6Network("2000::/3")  # all that was ever given out; what lies outside has a purpose
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One port of one host, by address or by name."""

    host: Address | str
    port: int

    @override
    def __str__(self) -> str:
        """Return it as it is written."""
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be reached although it is not public."""

    networks: tuple[Network, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()

    def names(self, port: int) -> tuple[str, ...]:
        """Return the hosts that are allowed by name at a port: where they are is to be asked."""
        named = (one.host for one in self.endpoints if one.port == port)
        return tuple(host for host in named if isinstance(host, str))


def read(entries: Iterable[str]) -> Allowed:
    """Return what a list of addresses, networks and host:port pairs allows.

    Raises:
        ValueError: naming the entry that is none of these.
    """
    read_entries = [_entry(entry.strip()) for entry in entries]
    endpoints = tuple(one for one in read_entries if isinstance(one, Endpoint))
    networks = tuple(one for one in read_entries if not isinstance(one, Endpoint))
    return Allowed(networks, endpoints)


def proxy_at(link: str) -> Endpoint | None:
    """Return where a proxy listens; None if there is none.

    Raises:
        ValueError: its link cannot be read; it is not repeated, there may be a password in it.
    """
    if not link:
        return None
    scheme, host, port = _parts(link if "://" in link else f"http://{link}")
    if not host:
        message = "proxy: no link to a proxy, such as http://proxy:3128"
        raise ValueError(message)
    return Endpoint(numeric(host) or host, port or _PROXY_PORTS.get(scheme, _SOCKS_PORT))


def may_reach(address: Address, port: int, allowed: Allowed) -> bool:
    """Answer whether a connection may be made."""
    return is_public(address) or is_allowed(address, port, allowed)


def is_allowed(address: Address, port: int, allowed: Allowed) -> bool:
    """Answer whether an address, or the one wrapped in it, is allowed by its number."""
    return any(_allows(allowed, one, port) for one in (address, unwrap(address)))


def is_public(address: Address) -> bool:
    """Answer whether an address, and the one wrapped in it, is of the open internet."""
    inner = unwrap(address)
    if inner.is_multicast or inner.is_reserved or not inner.is_global:
        return False
    if isinstance(inner, IPv6Address):
        return inner in _UNICAST
    return not any(inner in network for network in _NOT_FOR_US)


def unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def numeric(host: str) -> Address | None:
    """Return the address that a text is, None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _parts(link: str) -> tuple[str, str, int | None]:
    with contextlib.suppress(ValueError):
        parts = urlsplit(link)
        return parts.scheme, parts.hostname or "", parts.port
    return "", "", None


def _allows(allowed: Allowed, address: Address, port: int) -> bool:
    if any(address in network for network in allowed.networks):
        return True
    return any(one.host == address and one.port == port for one in allowed.endpoints)


def _entry(entry: str) -> Network | Endpoint:
    host, colon, port = entry.rpartition(":")
    is_pair = bool(colon) and (":" not in host or host.startswith("[")) and "/" not in entry
    if not is_pair:
        try:
            return ip_network(entry)
        except ValueError as error:
            message = f"{entry!r} is no address, network or host:port ({error})"
            raise ValueError(message) from error
    if not (port.isascii() and port.isdigit() and int(port) in _PORTS):
        message = f"{entry!r} has no port from 1 to 65535 after its last colon"
        raise ValueError(message)
    return Endpoint(_host(host.removeprefix("[").removesuffix("]"), entry), int(port))


def _host(host: str, entry: str) -> Address | str:
    address = numeric(host)
    if address is not None:
        return address
    # What ends in a number is read as an address by some and as a name by others.
    if not _HOST.fullmatch(host) or host.rstrip(".").rpartition(".")[2].isdigit():
        message = f"{entry!r} names no host before its port"
        raise ValueError(message)
    return host.lower()
