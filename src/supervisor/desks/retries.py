"""The desk for retries: after how many attempts jobs end, and which attempt others wait for."""

from typing import Protocol

import msgspec

from consumers.retry import RetryPolicy
from supervisor.core.retries import RetryRow


class RetriesView(msgspec.Struct, frozen=True, rename="camel"):
    """How a pool's jobs fare by attempts, as far as the ledger keeps them."""

    pool: str
    queue: str
    policy: RetryPolicy
    rows: tuple[RetryRow, ...] = ()


class Retries(Protocol):
    """Who is asked about retries."""

    async def of(self, pool: str) -> RetriesView:
        """Return how the jobs of a pool fare. Raises UnknownPoolError."""
