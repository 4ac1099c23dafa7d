"""How people write values: ``10m``, ``512MB``, ``on-failure``. Text in, value out, pure.

Every reader raises ``ValueError`` with what is wrong and what is allowed, without the key.
"""

import enum
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from consumers.chains import POOL_NAME, POOL_RULE
from consumers.jobs import LONGEST_TYPE
from consumers.limits import Rate
from supervisor.config.mistakes import did_you_mean

Choice = TypeVar("Choice", bound=enum.Enum)
Number = TypeVar("Number", int, float)

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d)\s*)+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_BARE = re.compile(r"\d+(?:\.\d+)?")
_PROCESSOR = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?::[A-Za-z_]\w*)?", re.ASCII)
_QUEUE_BYTES = 190  # AMQP allows 255 for routing keys; the delay ladder's are longer than a name

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|min|h|d)")
_PERIODS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_FASTEST = 10_000  # jobs a second
_KEY = re.compile(r"[\w-]+(?:\.[\w-]+)*")
EMBEDDED = "embedded"
_POSTGRESQL = ("postgresql", "postgresql+psycopg")


def text(value: str) -> str:
    """Return text as it is; empty text is refused."""
    if not value.strip():
        message = "must not be empty"
        raise ValueError(message)
    return value


def duration(value: str) -> float:
    """Return seconds from ``500ms 5s 10m 2h 1d``, ``1h30m``, or a bare number of seconds."""
    if _BARE.fullmatch(value):
        return float(value)
    if not _DURATION.fullmatch(value):
        message = (
            f"must be a time like 500ms, 5s, 10m, 2h or 1d (a bare number is seconds), is '{value}'"
        )
        raise ValueError(message)
    parts = _DURATION_PART.findall(value)
    return math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)


def size(value: str) -> int:
    """Return bytes from ``512MB`` (decimal), ``256MiB`` (binary), or a bare number of bytes."""
    match = _SIZE.fullmatch(value)
    unit = match.group(2) or "B" if match else ""
    if match is None or unit not in _BYTES:
        message = (
            "must be a size like 100kB, 512MB, 1GB or 256MiB (a bare number is bytes), "
            f"is '{value}'"
        )
        raise ValueError(message)
    return round(float(match.group(1)) * _BYTES[unit])


def whole(value: str) -> int:
    """Return a whole number."""
    try:
        return int(value)
    except ValueError:
        message = f"must be a whole number, is '{value}'"
        raise ValueError(message) from None


def number(value: str) -> float:
    """Return a number."""
    try:
        result = float(value)
    except ValueError:
        result = math.nan
    if not math.isfinite(result):
        message = f"must be a number, is '{value}'"
        raise ValueError(message)
    return result


def between(
    read: Callable[[str], Number], least: Number, most: Number | None = None, *, unit: str = ""
) -> Callable[[str], Number]:
    """Return a reader that also keeps to a range; ``unit`` follows the limits in messages."""

    def ranged(value: str) -> Number:
        result = read(value)
        if result < least or (most is not None and result > most):
            limits = (
                f"{least:,.10g}{unit} or more"
                if most is None
                else f"{least:,.10g} to {most:,.10g}{unit}"
            )
            message = f"must be {limits}, is {value}"
            raise ValueError(message)
        return result

    return ranged


def above_zero(read: Callable[[str], Number]) -> Callable[[str], Number]:
    """Return a reader that refuses zero and less."""

    def positive(value: str) -> Number:
        result = read(value)
        if result <= 0:
            message = f"must be more than 0, is {value}"
            raise ValueError(message)
        return result

    return positive


def flag(value: str) -> bool:
    """Return true or false."""
    if value.lower() not in {"true", "false"}:
        message = f"must be true or false, is '{value}'"
        raise ValueError(message)
    return value.lower() == "true"


def member(kind: type[Choice]) -> Callable[[str], Choice]:
    """Return a reader of an enum's values."""
    known = [str(each.value) for each in kind]

    def read(value: str) -> Choice:
        return kind(one_of(*known)(value))

    return read


def one_of(*known: str) -> Callable[[str], str]:
    """Return a reader of a closed set of words."""

    def read(value: str) -> str:
        if value not in known:
            hint = did_you_mean(value, known)
            allowed = "" if hint.startswith("allowed") else f"allowed are {', '.join(known)}; "
            message = f"cannot be '{value}'; {allowed}{hint}"
            raise ValueError(message)
        return value

    return read


def folder(value: str) -> Path:
    """Return an absolute path; a relative one starts at the working directory."""
    return Path(text(value)).expanduser().absolute()


def existing_file(value: str) -> Path:
    """Return the absolute path of a file that is there."""
    path = folder(value)
    if not path.is_file():
        message = f"names {path}, which is not a file"
        raise ValueError(message)
    return path


def pool_name(value: str) -> str:
    """Return the name of a pool; it becomes part of worker ids and file names."""
    if not POOL_NAME.fullmatch(value):
        raise ValueError(POOL_RULE)
    return value


def queue(value: str) -> str:
    """Return the name of a queue the broker will accept, with room for our suffixes."""
    if len(text(value).encode()) > _QUEUE_BYTES:
        message = f"must be {_QUEUE_BYTES} bytes or shorter, is {len(value.encode())}"
        raise ValueError(message)
    if value.startswith(("amq.", "supervisor.")) or value.endswith(".priority"):
        message = (
            f"cannot be '{value}'; names that begin with amq. or supervisor. or end in .priority "
            "are reserved"
        )
        raise ValueError(message)
    if {"*", "#"} & set(value.split(".")):
        message = f"cannot be '{value}'; * and # are wildcards in the broker's routing"
        raise ValueError(message)
    return value


def processor(value: str) -> str:
    """Return the name of a processor; whether there is one is asked of Python elsewhere."""
    if not _PROCESSOR.fullmatch(value):
        message = f"must be package.module or package.module:function, is '{value}'"
        raise ValueError(message)
    return value


def job_type(value: str) -> str:
    """Return the type of a job, as bodies name it."""
    if not 0 < len(value) <= LONGEST_TYPE or not value.isprintable():
        message = f"is no type of job; it must be 1 to {LONGEST_TYPE} printable characters"
        raise ValueError(message)
    return value


def rate(value: str) -> Rate:
    """Return ``10/s``, ``100/min``, ``5/h`` or ``1000/d``."""
    match = _RATE.fullmatch(value)
    if match is None:
        message = f"must be so many jobs in a time, like 10/s, 100/min or 5/h, is '{value}'"
        raise ValueError(message)
    found = Rate(float(match.group(1)), _PERIODS[match.group(2)])
    if not 0 < found.jobs / found.seconds <= _FASTEST:
        message = f"must be more than 0 and up to {_FASTEST:,}/s, is {value}"
        raise ValueError(message)
    return found


def limit_key(value: str) -> str:
    """Return what jobs are told apart by: ``from``, ``host``, or a field of the body."""
    if not _KEY.fullmatch(value):
        message = (
            f"must be from, host, or a field of the body like customer or customer.id, is '{value}'"
        )
        raise ValueError(message)
    return value


def broker(value: str) -> str:
    """Return ``embedded`` or an AMQP URL. What is wrong with a URL is said without showing it."""
    if value == EMBEDDED:
        return value
    allowed = "allowed are amqp://user:password@host:5672/vhost, amqps://... and embedded"
    _check_url(value, ("amqp", "amqps"), allowed)
    return value


def ledger(value: str) -> str:
    """Return the ledger's URL; the path of an SQLite file is made absolute."""
    allowed = (
        "allowed are sqlite:///path/to/ledger.db and postgresql://user:password@host:5432/database"
    )
    scheme = value.partition(":")[0]
    if scheme in _POSTGRESQL:
        _check_url(value, _POSTGRESQL, allowed)
        if not urlsplit(value).path.strip("/"):
            message = f"names no database; {allowed}"
            raise ValueError(message)
        return value
    path = value.removeprefix("sqlite:///")
    if path == value or path in {"", ":memory:"}:
        message = f"must name a database file, or a database of a server; {allowed}"
        raise ValueError(message)
    return f"sqlite:///{folder(path)}"


def web_address(value: str) -> str:
    """Return an http or https URL. What is wrong with it is said without showing it."""
    _check_url(value, ("http", "https"), "allowed are http://host/path and https://host/path")
    return value


def _check_url(value: str, schemes: tuple[str, ...], allowed: str) -> None:
    scheme, separator, _ = value.partition("://")
    if not separator:
        message = f"must be a URL; {allowed}"
        raise ValueError(message)
    if scheme not in schemes:
        named = f"the scheme {scheme}://" if scheme.isalnum() else "what is before its ://"
        message = f"cannot have {named}; {allowed}"
        raise ValueError(message)
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        message = (
            "has a host or port that cannot be read; in a password write @ : / # ? % as "
            f"%40 %3A %2F %23 %3F %25; {allowed}"
        )
        raise ValueError(message) from None
    if not host and "host=" not in parts.query:  # the folder of a socket is no name
        message = f"names no host; {allowed}"
        raise ValueError(message)
