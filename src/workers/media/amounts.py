"""How people write sizes and times: ``500MB`` and ``2h`` in a pool's options, ``16 MB`` to them."""

import math
import re

_BYTES = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


class Size(int):
    """A number of bytes."""


class Seconds(float):
    """A length of time."""


def read(kind: type, written: object) -> object:
    """Return a size or a time, whichever is wanted; msgspec asks this for types it does not know.

    Raises:
        ValueError: it is neither a number nor one with a unit.
        NotImplementedError: another kind is wanted.
    """
    if kind is Size:
        return Size(round(_number(written, _BYTES, "a size like 500MB or 2GB")))
    if kind is Seconds:
        return Seconds(_number(written, _SECONDS, "a time like 90s, 10m or 2h"))
    raise NotImplementedError


def amount(size: float) -> str:
    """Return bytes in the unit people would choose."""
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= bytes_:
            return f"{size / bytes_:.3g} {unit}"
    return f"{size:.0f} bytes"


def _number(written: object, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    match = None if isinstance(written, bool) else _WRITTEN.fullmatch(str(written))
    if match is None or match.group(2) not in units:
        message = f"must be {wanted}, is {written!r}"
        raise ValueError(message)
    value = float(match.group(1)) * units[match.group(2)]
    if not math.isfinite(value):
        message = f"must be {wanted}, is {written!r}"
        raise ValueError(message)
    return value
