"""Where notices go: the port every sink fits, and the names they are known by in the outbox.

A name is written into the ledger with each notice, so it must be the same after a restart, and
must not move to another address when the configuration's list is reordered: hence the host.
"""

from collections.abc import Iterable
from typing import Protocol
from urllib.parse import urlsplit

from supervisor.core.records import Notice

LOG = "log"


class NotDeliveredError(Exception):
    """A notice that did not arrive; the message is for the operator and holds no secrets.

    ``after`` are the seconds the receiver asked us to wait; ``final`` means that it wants no more.
    """

    def __init__(self, why: str, *, after: float | None = None, final: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.after = after
        self.final = final


class Sink(Protocol):
    """One way of telling users; it may be told the same notice twice and says so by its key."""

    @property
    def name(self) -> str:
        """What the outbox knows it by, the same after a restart."""

    async def deliver(self, notice: Notice) -> None:
        """Pass the notice on; returns when it has arrived.

        Raises:
            NotDeliveredError: it did not arrive, or nobody knows.
        """


def webhook_names(urls: Iterable[str]) -> tuple[str, ...]:
    """Return a name for each webhook: its host, numbered from the second on the same host."""
    names: list[str] = []
    for url in urls:
        host = address(url)
        before = sum(name.partition("#")[0] == f"webhook:{host}" for name in names)
        names.append(f"webhook:{host}#{before + 1}" if before else f"webhook:{host}")
    return tuple(names)


def address(url: str) -> str:
    """Return host and port of a URL: what may be shown of it, as paths can hold tokens."""
    parts = urlsplit(url)
    host = parts.hostname or "unknown"
    return f"{host}:{parts.port}" if parts.port else host
