"""How jobs fare by attempts: what the doors ask, answered from the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from consumers.retry import RetryPolicy
from supervisor.core.records import PoolCard
from supervisor.core.retries import rows
from supervisor.desks.retries import RetriesView
from supervisor.ledger import retries
from supervisor.ledger.store import Ledger
from supervisor.ports import unknown_pool


@dataclass(frozen=True, slots=True)
class RetryCounts:
    """Implements ``desks.retries.Retries``."""

    ledger: Ledger
    pools: Mapping[str, PoolCard]
    policies: Mapping[str, RetryPolicy]

    async def of(self, pool: str) -> RetriesView:
        """Return how the jobs of a pool fare."""
        if pool not in self.pools:
            raise unknown_pool(pool, self.pools)
        queue = self.pools[pool].queues.public
        counts = await self.ledger.read(partial(retries.counts, queue=queue))
        return RetriesView(pool, queue, self.policies[pool], rows(counts))
