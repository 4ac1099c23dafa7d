"""Reading ``http``: where the API listens besides its socket, and what it asks of callers."""

import ipaddress
import re

from consumers.limits import Rate
from supervisor.config.section import Section
from supervisor.config.settings import Http, Listen
from supervisor.config.values import above_zero, between, duration, folder, rate, size, whole

OFF = "off"
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.%]+)\]|(?P<four>[^:\[\]]+)):(?P<port>\d{1,5})")
_SECRET = re.compile(r"[!-~]{16,}")
_HOW = "must be an address of this machine with a port, like 127.0.0.1:8080 or [::1]:8080"
_largest_body = between(size, 1_000, 100_000_000, unit=" bytes")


def read_http(http: Section) -> Http:
    """Return what ``http`` says; absent, only the control socket answers."""
    default = Http()
    found = Http(
        listen=http.value("listen", listen_or_off, None),
        tokens=http.value("tokens", folder, None),
        worker_secret=http.value("worker_secret", secret_or_none, None),
        body_limit=http.value("body_limit", _largest_body, default.body_limit),
        request_timeout=http.value(
            "request_timeout", above_zero(duration), default.request_timeout
        ),
        keep_alive=http.value("keep_alive", above_zero(duration), default.keep_alive),
        rate_limit=http.value("rate_limit", rate_or_off, default.rate_limit),
        max_streams=http.value("max_streams", between(whole, 1, 10_000), default.max_streams),
        max_connections=http.value(
            "max_connections", between(whole, 1, 50_000), default.max_connections
        ),
    )
    http.finish()
    return found


def listen_or_off(value: str) -> Listen | None:
    """Return an address with its port; ``off`` is none."""
    if value == OFF or not value:
        return None
    match = _ADDRESS.fullmatch(value)
    if match is None:
        message = f"{_HOW}, is '{value}'"
        raise ValueError(message)
    host = match["six"] or match["four"]
    host = "127.0.0.1" if host == "localhost" else host
    try:
        family = ipaddress.ip_address(host).version
    except ValueError:
        message = f"{_HOW} (all of them: 0.0.0.0:8080), is '{value}'; names are not looked up"
        raise ValueError(message) from None
    if (family == 6) != bool(match["six"]) or int(match["port"]) > 65_535:
        message = f"{_HOW}, is '{value}'"
        raise ValueError(message)
    return Listen(host, int(match["port"]))


def secret_or_none(value: str) -> str | None:
    """Return a secret that opens the API, as long as any token; an empty one is none."""
    if value and not _SECRET.fullmatch(value):
        message = (
            "must be 16 or more printable characters without spaces; make one with: "
            "openssl rand -hex 32"
        )
        raise ValueError(message)
    return value or None


def rate_or_off(value: str) -> Rate | None:
    """Return a rate like ``100/s``; ``off`` is none."""
    return None if value == OFF else rate(value)
