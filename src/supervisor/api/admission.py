"""Whether a request is let in, judged by its head alone. Pure: values in, a refusal or None out."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote_to_bytes, urlsplit

LONGEST_ADDRESS = 32_000  # bytes of path and query
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
PROBES = frozenset({"/livez", "/readyz", "/healthz", "/health"})
SLASH = "\ue02f"  # stands for an encoded slash while a path is taken apart; no id has it

_JSON = re.compile(r"application/(?:json|[\w.-]+\+json|x-ndjson|ndjson)\s*(?:;.*)?", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a request before its body; header names are in lower case."""

    method: str
    path: bytes  # as it was sent
    query: bytes
    headers: Mapping[str, str]
    client: str  # the address it comes from; empty on the control socket

    @property
    def has_body(self) -> bool:
        """Answer whether a body follows."""
        return "transfer-encoding" in self.headers or self.size > 0

    @property
    def size(self) -> int:
        """How long the body says it is."""
        length = self.headers.get("content-length", "0")
        return int(length) if length.isdecimal() else 0

    @property
    def token(self) -> str | None:
        """The bearer token it shows, if any."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in."""

    status: HTTPStatus
    detail: str
    headers: tuple[tuple[str, str], ...] = ()


def misshapen(head: Head) -> Refusal | None:
    """Return what is wrong with the address: too long, no path of ours, or a trick."""
    if len(head.path) + len(head.query) > LONGEST_ADDRESS:
        detail = f"the address is longer than {LONGEST_ADDRESS:,} bytes"
        return Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, detail)
    if not head.path.startswith(b"/") or _BROKEN_ESCAPE.search(head.path + head.query):
        return Refusal(HTTPStatus.BAD_REQUEST, "the address is no path, or has a broken %")
    if "transfer-encoding" in head.headers and "content-length" in head.headers:
        # Two lengths: a proxy before us may believe the other one.
        return Refusal(HTTPStatus.BAD_REQUEST, "the body has two lengths")
    parts = head.path.removesuffix(b"/").split(b"/")[1:]
    return next((refusal for part in parts if (refusal := _tricky(part))), None)


def routed(path: bytes) -> str:
    """Return a path as routes are matched: decoded, but for slashes that are part of a name."""
    parts = (unquote_to_bytes(part).decode().replace("/", SLASH) for part in path.split(b"/"))
    return "/".join(parts)


def foreign(head: Head) -> Refusal | None:
    """Return why a browser's page is kept out where no token is asked for.

    A page of any site may send requests to this machine, and may have its own name resolve to it.
    """
    host = head.headers.get("host", "")
    if not _is_local(host):
        detail = "without tokens only this machine may ask, by localhost or its loopback address"
        return Refusal(HTTPStatus.FORBIDDEN, detail)
    origin = head.headers.get("origin")
    is_crossing = head.headers.get("sec-fetch-site", "same-origin") == "cross-site"
    if is_crossing or (origin is not None and urlsplit(origin).netloc != host):
        return Refusal(HTTPStatus.FORBIDDEN, "pages of other sites may not ask")
    return None


def unfit(head: Head, limit: int) -> Refusal | None:
    """Return why a body is not even read: it is too long, or not JSON."""
    if head.size > limit:
        detail = f"the body has {head.size:,} bytes, {limit:,} are allowed"
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    kind = head.headers.get("content-type", "")
    # A browser may send other kinds to anybody without asking first.
    if head.has_body and head.method in CHANGING and not _JSON.fullmatch(kind):
        detail = f"the body must be application/json, is {kind[:80] or 'of no kind'}"
        return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    coding = head.headers.get("content-encoding", "identity").strip().lower()
    if head.has_body and coding != "identity":
        detail = f"the body must not be compressed, is {coding[:80]}"
        return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    return None


def unknown(*, presented: bool) -> Refusal:
    """Return what a caller hears whose token is missing or opens nothing."""
    if not presented:
        challenge = 'Bearer realm="supervisor"'
        detail = "a token is needed: Authorization: Bearer TOKEN"
    else:
        challenge = 'Bearer realm="supervisor", error="invalid_token"'
        detail = "this token is not known here"
    return Refusal(HTTPStatus.UNAUTHORIZED, detail, (("WWW-Authenticate", challenge),))


def account(client: str) -> str:
    """Return on whose account a nameless request goes: an address, or a whole IPv6 network."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if address.version == 4:
        return client
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def _tricky(part: bytes) -> Refusal | None:
    try:
        name = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return Refusal(HTTPStatus.BAD_REQUEST, "the address is not UTF-8")
    if any(ord(letter) < 32 or letter in {"\x7f", SLASH} for letter in name):
        return Refusal(HTTPStatus.BAD_REQUEST, "the address holds a control character")
    if name in {"", ".", ".."}:
        return Refusal(HTTPStatus.NOT_FOUND, "the address has a part that leads nowhere")
    return None


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
