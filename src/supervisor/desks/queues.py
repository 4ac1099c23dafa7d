"""The desk for queues: hold them, empty them, clean up after them, and how they stand in numbers.

The shapes with few words (`QueueStats`, `QueueMetrics`, `WorkerStats`, `HouseStats`) are those of
other job systems, so that what was written for them can be carried over.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from supervisor.core.records import JobState

DAY = 86_400.0
AT_ONCE = 1_000  # jobs that one clean removes, unless told otherwise


class _Said(msgspec.Struct, frozen=True, rename="camel"):
    """All answers: frozen, camelCase on the wire."""


class _Asked(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """All orders: what is not known in them is refused."""


class PauseOrder(_Asked, frozen=True):
    """Why a pool is paused, in words for those who find it so."""

    why: str = ""


class CleanOrder(_Asked, frozen=True):
    """Which finished jobs are to go: those in this state that ended so many seconds ago."""

    state: JobState
    age: float = DAY
    limit: int = AT_ONCE


class RetryOrder(_Asked, frozen=True):
    """Which failed jobs run again: by seconds since they failed, and how many of them a second.

    ``after`` is when the first of them runs, in seconds: where the order before this one ended.
    """

    older: float | None = None
    newer: float | None = None
    limit: int | None = None  # None: 10,000, which is the most
    rate: float | None = None  # None: all at once
    group: str | None = None  # of errors
    after: float = 0.0


class Pause(_Said, frozen=True):
    """Whether a pool is paused."""

    pool: str
    queue: str
    paused: bool
    why: str = ""


class Drained(_Said, frozen=True):
    """What a drain removed: messages from the broker, and jobs that the ledger knew to wait.

    A job entered here is both; one that another program published is a message alone.
    """

    pool: str
    queue: str
    messages: int
    jobs: int


class Cleaned(_Said, frozen=True):
    """How many jobs are gone for good.

    ``kept`` is how many like them stay because of their chain, 10,000 at the most: it is open, or a
    job that came of them is still there. 0 where the limit was reached before all were looked at.
    """

    pool: str
    queue: str
    state: JobState
    jobs: int
    kept: int = 0


class Retried(_Said, frozen=True):
    """How many failed jobs run again, the last of them in so many seconds."""

    pool: str
    queue: str
    jobs: int
    seconds: float = 0.0


class QueueStats(_Said, frozen=True):
    """What a queue holds."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int


class QueueMetrics(_Said, frozen=True):
    """What a queue holds, with its name; ``paused`` is 1 or 0, ``total`` what is not finished."""

    queue_name: str
    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    paused: int
    total: int


class QueueCard(_Said, frozen=True):
    """All there is to say of a pool's queue; None = not known now."""

    queue: str
    pool: str
    paused: bool
    why: str
    ready: int | None  # in the broker, not in anybody's hand
    active: int
    states: Mapping[str, int]  # how many jobs the ledger knows, by their state
    oldest: float | None  # seconds that the first of the waiting jobs it knows has waited
    workers: int
    warnings: tuple[str, ...] = ()


class WorkerStats(_Said, frozen=True):
    """How busy a worker is."""

    running: bool
    active_jobs: int
    max_concurrency: int
    worker_id: str


class PoolShape(_Said, frozen=True):
    """What a pool was configured to be."""

    instances: int
    concurrency: int


class LoaderStats(_Said, frozen=True):
    """Whether the house works, and takes jobs from the ledger into the broker just now."""

    config: Mapping[str, PoolShape]
    is_running: bool
    batch_loading: bool


class LedgerStats(_Said, frozen=True):
    """All jobs, as the ledger has them."""

    pending: int
    processing: int
    completed: int
    failed: int


class TotalStats(_Said, frozen=True):
    """All jobs, as they are in the queues."""

    waiting: int
    active: int
    completed: int
    failed: int


class Connections(_Said, frozen=True):
    """What can be reached."""

    ledger: bool
    broker: bool


class HouseStats(_Said, frozen=True):
    """The whole house in numbers."""

    worker: LoaderStats
    jobs: LedgerStats
    queue: TotalStats
    connections: Connections


class Queues(Protocol):
    """Who is asked about queues; what names a pool raises UnknownPoolError if there is none."""

    async def pause(self, pool: str | None, why: str = "") -> tuple[Pause, ...]:
        """Take nothing new from a pool's queue, or from all; jobs in hand go on.

        It lasts until somebody resumes, over restarts, wherever the ledger is shared.
        """

    async def resume(self, pool: str | None) -> tuple[Pause, ...]:
        """Consume again."""

    async def drain(self, pool: str, *, delayed: bool = False) -> Drained:
        """Remove what waits, and with ``delayed`` what is to run later; jobs in hand go on.

        Raises NotNowError when the broker is away.
        """

    async def clean(self, pool: str, order: CleanOrder) -> Cleaned:
        """Remove finished jobs for good, with their history. Raises BadOrderError."""

    async def retry_failed(self, pool: str, order: RetryOrder) -> Retried:
        """Have failed jobs run again. Raises BadOrderError and UnknownGroupError."""

    async def show(self, pool: str) -> QueueCard:
        """Return all there is to say of a pool's queue."""

    async def stats(self, pool: str) -> QueueStats:
        """Return what a queue holds."""

    async def metrics(self, pool: str) -> QueueMetrics:
        """Return what a queue holds, with its name."""

    async def worker(self, worker: str) -> WorkerStats:
        """Return how busy a worker is. Raises UnknownWorkerError."""

    async def house(self) -> HouseStats:
        """Return the whole house in numbers."""
