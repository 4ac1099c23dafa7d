"""Where a supervisor or a broker is: the address somebody wrote, understood."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from supervisor_client.errors import ClientError


@dataclass(frozen=True, slots=True)
class HttpPlace:
    """An HTTP address; with ``socket`` it is behind a Unix socket on this machine."""

    url: str
    socket: str = ""

    @property
    def shown(self) -> str:
        """How people write it."""
        return self.socket or self.url


@dataclass(frozen=True, slots=True)
class AmqpPlace:
    """A broker; the address holds a password, what is shown does not."""

    url: str
    shown: str


def place_of(address: str | Path) -> HttpPlace | AmqpPlace:
    """Return where an address leads: http(s), amqp(s), or the path of a socket.

    Raises:
        ClientError: it is none of these.
    """
    text = str(address or "")  # None, if a variable that is not set was asked for it
    parts = urlsplit(text)
    _check_port(parts)
    match parts.scheme:
        case "http" | "https" if parts.hostname and not parts.username:
            return HttpPlace(text.rstrip("/"))
        case "amqp" | "amqps" if parts.hostname:
            return AmqpPlace(text, f"{parts.scheme}://{parts.hostname}:{parts.port or 5672}")
        case "unix":
            return HttpPlace("http://supervisor", unquote(parts.path))
        case "" if text:
            return HttpPlace("http://supervisor", text)
        case _:
            message = (
                "the address must be like http://host:port, amqp://user:password@host/vhost, "
                "or the path of a control socket; a user has no place in an http address"
            )
            raise ClientError(message)


def _check_port(parts: SplitResult) -> None:
    try:
        _ = parts.port
    except ValueError as error:
        message = f"the address has a port that is none: {error}"
        raise ClientError(message) from error
