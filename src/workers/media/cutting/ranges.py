"""Moments and sizes as people write them: ``1:02:03.5``, ``16MB``.

Pure. What cannot be read is the publisher's mistake, and the error names the field.
"""

import math
import re

from consumers.errors import MalformedError

LONGEST = 360_000.0  # seconds, a hundred hours: no file is longer
SMALLEST = 50_000  # bytes; below this a piece is mostly its own table of contents

_CLOCK = re.compile(r"(?:(?P<hours>\d{1,3}):)?(?P<minutes>\d{1,3}):(?P<seconds>\d{1,2}(?:\.\d+)?)")
_SIZE = re.compile(r"(?P<number>\d{1,15}(?:\.\d+)?) ?(?P<unit>|[kKMG]i?B|B)")
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def moment(said: float | str, field: str) -> float:
    """Return the seconds that a number or a clock's ``hh:mm:ss.mmm`` means.

    Raises:
        MalformedError: it is neither, or no moment of any file.
    """
    seconds = _on_the_clock(said, field) if isinstance(said, str) else said
    if not math.isfinite(seconds) or not 0 <= seconds <= LONGEST:
        raise MalformedError(field, f"must be 0 to {LONGEST:.0f} seconds, is {said}")
    return seconds


def size(said: int | str, field: str) -> int:
    """Return the bytes that a number or a text such as ``16MB`` or ``8 MiB`` means.

    Raises:
        MalformedError: it is neither, or too small to hold a piece.
    """
    count = _in_bytes(said, field) if isinstance(said, str) else said
    if count < SMALLEST:
        raise MalformedError(field, f"must be at least {SMALLEST // 1000} kB, is {said}")
    return count


def _on_the_clock(said: str, field: str) -> float:
    try:
        return float(said) if said.replace(".", "", 1).isdecimal() else _parts(said, field)
    except ValueError as error:
        raise MalformedError(field, f"must be seconds or hh:mm:ss.mmm, is {said!r}") from error


def _parts(said: str, field: str) -> float:
    read = _CLOCK.fullmatch(said.strip())
    if read is None:
        raise MalformedError(field, f"must be seconds or hh:mm:ss.mmm, is {said!r}")
    hours, minutes, seconds = int(read["hours"] or 0), int(read["minutes"]), float(read["seconds"])
    if seconds >= 60 or (read["hours"] and minutes >= 60):
        raise MalformedError(field, f"has over 59 minutes or seconds: {said!r}")
    return hours * 3600 + minutes * 60 + seconds


def _in_bytes(said: str, field: str) -> int:
    read = _SIZE.fullmatch(said.strip())
    if read is None:
        raise MalformedError(field, f"must be bytes or a size such as 16MB, is {said!r}")
    return int(float(read["number"]) * _UNITS[read["unit"].upper()])
