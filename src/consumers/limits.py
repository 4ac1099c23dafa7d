"""Limits of a pool: how many jobs in which time, for all of it or for each key; pure.

A *key* says on whose account a job runs: its user (``by: from``), its site (``by: host``), or what
its body says under a name (``by: customer.id``).
"""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

SENDER = "from"
HOST = "host"
NOBODY = "(none)"  # the account that all jobs share of which nobody can say whose they are
LONGEST_KEY = 200  # characters
_LINKS = ("link", "url")  # the fields of a body that name a site
_WORDS = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "d"}


class Rate(msgspec.Struct, frozen=True):
    """So many jobs in so many seconds."""

    jobs: float
    seconds: float

    @property
    def words(self) -> str:
        """Return it as people write it, like ``10/s``."""
        return f"{self.jobs:g}/{_WORDS.get(self.seconds, f'{self.seconds:g} s')}"


class Limits(msgspec.Struct, frozen=True):
    """What holds a pool's jobs back: all of them together, or with ``by`` those of each key."""

    rate: Rate | None = None
    burst: int = 1  # how many may start at once after a time of rest
    by: str = ""
    concurrency: int | None = None  # of one key, over all workers of the pool

    @property
    def of_pool(self) -> Rate | None:
        """Return the rate of all its jobs together, if that is limited."""
        return None if self.by else self.rate

    @property
    def words(self) -> str:
        """Return them as people read them, like ``10/s, 2 at once by from``."""
        rate = [self.rate.words] if self.rate else []
        together = [f"{self.concurrency} at once"] if self.concurrency else []
        by = f" by {self.by}" if self.by else ""
        return ", ".join([*rate, *together]) + by


NONE = Limits()


def key_of(data: Mapping[str, object], sender: str, by: str) -> str:
    """Return on whose account a job runs; a key is never empty, and never endless."""
    match by:
        case "":
            return ""
        case "from":
            key = sender
        case "host":
            key = _host(data)
        case _:
            key = _field(data, by)
    return _short(key) or NOBODY


def _host(data: Mapping[str, object]) -> str:
    for name in _LINKS:
        link = data.get(name)
        if isinstance(link, str):
            try:
                return urlsplit(link.strip()).hostname or ""
            except ValueError:
                return ""
    return ""


def _field(data: Mapping[str, object], path: str) -> str:
    found: object = data
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found) if isinstance(found, str | int | float) else ""


def _short(key: str) -> str:
    """Return a key that fits a column and can be stored; long ones stay different."""
    sayable = key.encode(errors="backslashreplace").decode().replace("\0", "\\0")
    if len(sayable) <= LONGEST_KEY:
        return sayable
    mark = hashlib.sha256(sayable.encode()).hexdigest()[:16]
    return f"{sayable[: LONGEST_KEY - len(mark) - 1]}~{mark}"
