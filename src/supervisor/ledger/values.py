"""Between our values and what lies in a column: moments as whole microseconds, the rest as JSON.

Microseconds since 1970 are exact, sort as they are, and mean the same in every database.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from consumers.jobs import Properties
from consumers.outcome import Failure

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encoder = msgspec.json.Encoder()
_properties = msgspec.json.Decoder(Properties)
_failure = msgspec.json.Decoder(Failure)
_result = msgspec.json.Decoder(dict[str, object])
_names = msgspec.json.Decoder(tuple[str, ...])


def stamp(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def stamp_after(moment: datetime, delay: float) -> int:
    """Return the moment ``delay`` seconds later, as microseconds since 1970."""
    return stamp(moment) + round(delay * 1_000_000)


def moment_of(number: int) -> datetime:
    """Return the moment a column holds."""
    return _EPOCH + timedelta(microseconds=number)


def moment_or_none(number: int | None) -> datetime | None:
    """Return the moment a column holds, if it holds one."""
    return None if number is None else moment_of(number)


def pack(value: object) -> bytes:
    """Return a value as JSON."""
    return _encoder.encode(value)


def properties_of(packed: bytes) -> Properties:
    """Return the AMQP properties a column holds."""
    return _properties.decode(packed)


def failure_of(packed: bytes | None) -> Failure | None:
    """Return the failure a column holds."""
    return None if packed is None else _failure.decode(packed)


def result_of(packed: bytes | None) -> Mapping[str, object] | None:
    """Return the result a column holds."""
    return None if packed is None else _result.decode(packed)


def names_of(packed: bytes) -> tuple[str, ...]:
    """Return the list of names a column holds."""
    return _names.decode(packed)
