"""Properties and headers between AMQP's types and ours, which JSON can say.

The way in never fails: bytes, decimals, moments and what is not a finite number become text.
"""

import math
import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from consumers.jobs import BROKER_HEADERS, Properties
from consumers.nesting import at_level

USER_ID = "x-job-user-id"  # keeps a foreign user's id: the broker refuses it as our own
UNREADABLE = "x-job-unreadable"  # names the properties of a message that nobody can decode
PERSISTENT = 2  # delivery mode

# Tables and lists in each other. They are read and written level by level on the stack: more would
# end the connection at each delivery.
_DEEPEST = 50
_LARGEST = 2**63 - 1  # of the whole numbers that AMQP can carry
_LARGEST_FRACTION = 2.0**127  # of those written with 32 bits, and a little less than that


class WireProperties(Protocol):
    """The properties of a message as they came; what it did not have is None."""

    message_id: str | None
    correlation_id: str | None
    reply_to: str | None
    content_type: str | None
    content_encoding: str | None
    message_type: str | None
    app_id: str | None
    user_id: str | None
    expiration: str | None
    priority: int | None
    timestamp: datetime | None


class Decodable(WireProperties, Protocol):
    """The client library's properties: each has a flag, a type and a place in the order."""

    __slots__: list[str]
    flags: dict[str, int]
    headers: Any

    def amqp_type(self, name: str) -> str:
        """Return the AMQP type of a property."""


Decode = Callable[[Any, int, bytes], None]


def received(wire: WireProperties, headers: Mapping[str, object] | None) -> Properties:
    """Return the properties of a message that came."""
    return Properties(
        message_id=wire.message_id,
        correlation_id=wire.correlation_id,
        reply_to=wire.reply_to,
        content_type=wire.content_type,
        content_encoding=wire.content_encoding,
        type=wire.message_type,
        app_id=wire.app_id,
        user_id=wire.user_id,
        expiration=wire.expiration,
        priority=wire.priority,
        timestamp=wire.timestamp,
        headers={str(name): _readable(value) for name, value in (headers or {}).items()},
    )


def writable(headers: Mapping[str, object]) -> dict[str, object]:
    """Return headers to publish as values that AMQP can carry, the broker's own left out.

    A republished ``x-death`` makes RabbitMQ 3.10 drop the message silently, as if it went round
    in circles. The client library writes fractions with 32 bits: those that would lose something
    (0.1 does, 0.5 does not) become text.
    """
    kept = ((name, value) for name, value in headers.items() if name not in BROKER_HEADERS)
    return {name: _writable(value) for name, value in kept}


def forgiving(decode: Decode) -> Decode:
    """Return a decoder that leaves out what ``decode`` fails on, and says so in ``UNREADABLE``."""

    def succeeds(properties: Decodable, flags: int, data: bytes) -> bool:
        try:
            decode(properties, flags, data)
        except (ValueError, OverflowError, RecursionError, struct.error):
            return False
        if at_level(properties.headers, _DEEPEST):
            properties.headers = None
            return False
        return True

    def decode_what_can_be(properties: Decodable, flags: int, data: bytes) -> None:
        if succeeds(properties, flags, data):
            return
        unreadable = []
        for name in (name for name in properties.__slots__ if flags & properties.flags[name]):
            if not succeeds(properties, properties.flags[name], data):
                unreadable.append(name)
            data = data[_length(properties.amqp_type(name), data) :]
        properties.headers = (properties.headers or {}) | {UNREADABLE: ", ".join(unreadable)}

    return decode_what_can_be


def _length(kind: str, data: bytes) -> int:
    """Return how many bytes a property of an AMQP type takes, be it readable or not."""
    match kind:
        case "shortstr":
            return 1 + data[0]
        case "table":
            return 4 + int.from_bytes(data[:4])
        case "timestamp":
            return 8
        case _:
            return 1  # an octet


def _readable(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _readable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str | None) else _text(value)


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", errors="backslashreplace")
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _writable(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _writable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(inner) for inner in value]
    return value if _is_carried(value) else _text(value)


def _is_carried(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= _LARGEST
    if isinstance(value, float):
        return abs(value) <= _LARGEST_FRACTION and value == _with_32_bits(value)
    return isinstance(value, str | datetime | None)


def _with_32_bits(value: float) -> float:
    (kept,) = struct.unpack("f", struct.pack("f", value))
    return float(kept)
