"""A desk for queues that only remembers: for tests of the doors."""

from supervisor.core.records import JobState
from supervisor.desks.queues import (
    Cleaned,
    CleanOrder,
    Connections,
    Drained,
    HouseStats,
    LedgerStats,
    LoaderStats,
    Pause,
    PoolShape,
    QueueCard,
    QueueMetrics,
    QueueStats,
    Retried,
    RetryOrder,
    TotalStats,
    WorkerStats,
)
from supervisor.ports import (
    BadOrderError,
    BrokerAwayError,
    UnknownPoolError,
    UnknownWorkerError,
    unknown_group,
)

POOLS = ("download", "cutter", "preview")


class FakeQueues:
    """Keeps what was asked of it; ``away`` says why the broker is."""

    def __init__(self) -> None:
        self.paused: dict[str, str] = {}
        self.drained: list[tuple[str, bool]] = []
        self.cleaned: list[tuple[str, CleanOrder]] = []
        self.failed = 3
        self.retried: list[tuple[str, RetryOrder]] = []
        self.away = ""
        self.finished = 5_000  # jobs that a clean finds
        self.kept = 0  # besides these, that their chains keep

    async def pause(self, pool: str | None, why: str = "") -> tuple[Pause, ...]:
        for name in _named(pool):
            self.paused[name] = why or "paused by an operator"
        return tuple(self._pause(name) for name in _named(pool))

    async def resume(self, pool: str | None) -> tuple[Pause, ...]:
        for name in _named(pool):
            self.paused.pop(name, None)
        return tuple(self._pause(name) for name in _named(pool))

    async def drain(self, pool: str, *, delayed: bool = False) -> Drained:
        _named(pool)
        if self.away:
            raise BrokerAwayError(self.away)
        self.drained.append((pool, delayed))
        return Drained(pool, f"{pool}_queue", 7, 5)

    async def clean(self, pool: str, order: CleanOrder) -> Cleaned:
        _named(pool)
        if not order.state.is_final:
            message = f"state: {order.state.value}"
            raise BadOrderError(message)
        self.cleaned.append((pool, order))
        gone = min(order.limit, self.finished)
        self.finished -= gone
        kept = self.kept if gone < order.limit else 0
        return Cleaned(pool, f"{pool}_queue", order.state, gone, kept)

    async def retry_failed(self, pool: str, order: RetryOrder) -> Retried:
        _named(pool)
        if order.group is not None and not self.failed:
            raise unknown_group(order.group)
        self.retried.append((pool, order))
        done = min(order.limit or self.failed, self.failed)
        self.failed -= done
        return Retried(pool, f"{pool}_queue", done, order.after + 0.2)

    async def show(self, pool: str) -> QueueCard:
        (name,) = _named(pool)
        states = {state.value: 0 for state in JobState} | {"waiting": 2}
        paused = self._pause(name)
        return QueueCard(paused.queue, name, paused.paused, paused.why, 2, 1, states, 75.0, 1)

    async def stats(self, pool: str) -> QueueStats:
        _named(pool)
        return QueueStats(2, 1, 40, 3, 4)

    async def metrics(self, pool: str) -> QueueMetrics:
        paused = self._pause(*_named(pool))
        return QueueMetrics(paused.queue, 2, 1, 40, 3, 4, int(paused.paused), 7)

    async def worker(self, worker: str) -> WorkerStats:
        if not worker.endswith("-1"):
            message = f"no worker {worker!r} is here"
            raise UnknownWorkerError(message)
        return WorkerStats(running=True, active_jobs=2, max_concurrency=3, worker_id=worker)

    async def house(self) -> HouseStats:
        config = {name: PoolShape(1, 1) for name in POOLS}
        return HouseStats(
            LoaderStats(config, is_running=True, batch_loading=False),
            LedgerStats(6, 1, 40, 3),
            TotalStats(2, 1, 40, 3),
            Connections(ledger=True, broker=True),
        )

    def _pause(self, pool: str) -> Pause:
        why = self.paused.get(pool)
        return Pause(pool, f"{pool}_queue", why is not None, why or "")


def _named(pool: str | None) -> tuple[str, ...]:
    if pool is None:
        return POOLS
    if pool not in POOLS:
        message = f"no pool {pool!r}"
        raise UnknownPoolError(message)
    return (pool,)
