"""What a broker's URL says: where it is, who we are there, and the form to connect with."""

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

HEARTBEAT = 15  # seconds; a peer that fell silent is given up after 3 x (15 + 1)
_PORTS = {"amqp": 5672, "amqps": 5671}


@dataclass(frozen=True, slots=True)
class Place:
    """A broker and vhost; only ``url`` may hold a password."""

    url: str
    address: str  # for people: scheme, host, port and vhost
    user: str
    heartbeat: int = HEARTBEAT  # seconds


def place(url: str) -> Place:
    """Return what an ``amqp://`` or ``amqps://`` URL says; without a path it means the vhost /.

    Raises:
        ValueError: it is no such URL. The text does not repeat it.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("the broker's URL must look like amqp://user:password@host:5672/vhost")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port or _PORTS[parts.scheme]
    vhost = unquote(parts.path[1:]) or "/"
    address = f"{parts.scheme}://{host}:{port}/{'' if vhost == '/' else vhost}"
    user = unquote(parts.username or "guest")
    return Place(_beating(parts), address, user, _heartbeat(parts))


def _heartbeat(parts: SplitResult) -> int:
    """Return the heartbeat that the URL asks for; what is no number is refused when we connect."""
    told = parse_qs(parts.query).get("heartbeat", [""])[0]
    return int(told) if told.isdecimal() else HEARTBEAT


def _beating(parts: SplitResult) -> str:
    """Return the URL with our heartbeat, unless it names one."""
    if "heartbeat" in parse_qs(parts.query):
        return parts.geturl()
    query = f"{parts.query}&heartbeat={HEARTBEAT}".lstrip("&")
    return parts._replace(query=query, path=parts.path or "/").geturl()
