"""The line to a supervisor: its socket on this machine, or its address on the network."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

_KNOCK = 5.0  # seconds for somebody to be there


class NoSupervisorError(Exception):
    """Nobody answers where the supervisor should be; the message says how to change that."""


class AddressError(ValueError):
    """Text that is no address of a supervisor; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class SocketLine:
    """The control socket of a supervisor on this machine."""

    path: Path

    @property
    def place(self) -> str:
        """Where it leads, as people write it."""
        return str(self.path)

    def open(self, patience: float) -> httpx.Client:
        """Return the way to ask; nobody is asked yet."""
        transport = httpx.HTTPTransport(uds=str(self.path), verify=_authorities("http"))
        return httpx.Client(
            transport=transport, base_url="http://supervisor", timeout=patience, trust_env=False
        )

    def knock(self) -> None:
        """Raise what keeps us from the socket; the HTTP library would blur the reason."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(_KNOCK)
            try:
                door.connect(str(self.path))
            except PermissionError as error:
                message = f"the supervisor's socket {self.path} belongs to another user; "
                raise NoSupervisorError(message + "ask as that user") from error
            except OSError as error:
                message = (
                    f"no supervisor is running here ({self.path} does not answer); "
                    "start one with: python -m supervisor -c supervisor.yaml"
                )
                raise NoSupervisorError(message) from error

    def unreached(self, error: httpx.HTTPError) -> str:
        """Return what it means that a request got no answer."""
        return f"the supervisor at {self.place} hung up: {error}; is it stopping?"

    def unknown(self) -> str:
        """Return what it means that we are not let in; the socket lets its owner in."""
        return f"the supervisor at {self.place} does not let us in"


@dataclass(frozen=True, slots=True)
class AddressLine:
    """The HTTP address of a supervisor anywhere, and the token that opens it."""

    url: str
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        message = "the address must be like http://host:port or https://host, without a user"
        try:
            parts, _ = urlsplit(self.url), httpx.URL(self.url)
            is_sound = parts.port != 0 and bool(parts.hostname) and not parts.username
        except (ValueError, httpx.InvalidURL) as error:
            raise AddressError(message) from error
        if parts.scheme not in {"http", "https"} or not is_sound:
            raise AddressError(message)

    @property
    def place(self) -> str:
        """Where it leads, as people write it."""
        return self.url.rstrip("/")

    def open(self, patience: float) -> httpx.Client:
        """Return the way to ask; nobody is asked yet."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(
            base_url=self.url,
            timeout=patience,
            headers=headers,
            trust_env=False,  # no proxy out of the environment
            verify=_authorities(self.url),
        )

    def knock(self) -> None:
        """Do nothing: the request itself tells why nobody is there."""

    def unreached(self, error: httpx.HTTPError) -> str:
        """Return what it means that a request got no answer."""
        told = [str(each) for each in _causes(error)]
        if any(isinstance(each, ssl.SSLError) or "[SSL" in str(each) for each in _causes(error)):
            return f"no safe line to {self.place}: {told[0]}; is it http, or its certificate ours?"
        if isinstance(error, httpx.ConnectError):
            return f"no supervisor answers at {self.place}: {told[0]}; is http.listen: set there?"
        if isinstance(error, httpx.ProtocolError):
            return f"{self.place} speaks no HTTP: {told[0]}; is it https, or another program?"
        return f"the supervisor at {self.place} hung up: {told[0]}; is it stopping?"

    def unknown(self) -> str:
        """Return what it means that we are not let in."""
        if not self.token:
            return (
                f"the supervisor at {self.place} wants a token: name its file with --token-file, "
                "or set SUPERVISOR_TOKEN"
            )
        return f"the supervisor at {self.place} does not know this token (nothing of it is shown)"


Line = SocketLine | AddressLine


def _authorities(url: str) -> ssl.SSLContext:
    """Return whom a line trusts: the system's authorities and SSL_CERT_FILE, if it has to.

    To read them takes 20 ms, half of what a question costs otherwise.
    """
    if url.startswith("https"):
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # of nobody


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
