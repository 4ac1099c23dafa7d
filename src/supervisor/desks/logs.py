"""The desk for logs: what the processes of this supervisor wrote."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from supervisor.core.log_lines import Positions, Sought

MOST_LINES = 5_000  # in one answer
FEW_LINES = 100  # when nobody says how many


class LogPage(msgspec.Struct, frozen=True, rename="camel"):
    """Lines in the order of time; with ``next`` as ``after``, those that came since are asked for.

    Each has its ``process``, and what it said: mostly timestamp, level, event, logger, and more.
    """

    lines: tuple[Mapping[str, object], ...]
    next: str
    more: bool = False  # older lines fit too; with ``after``: newer ones are there already
    gap: bool = False  # lines are lost: they came faster than they were asked for


class Logs(Protocol):
    """Who is asked about logs. Raises UnknownWorkerError, and NotNowError if nothing is kept."""

    async def last(self, wanted: Sought, most: int) -> LogPage:
        """Return the last lines that are wanted."""

    async def since(self, positions: Positions, wanted: Sought) -> LogPage:
        """Return what is wanted of what came since."""
