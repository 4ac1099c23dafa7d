"""Numbers of queues, workers and the whole house, put into the shapes that other systems have.

A job waits from the moment it is entered: those the broker has ready, and those that are still to
be published. Jobs that other programs publish are in the broker's number alone until they are met.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from supervisor.core.records import JobState
from supervisor.desks.queues import (
    Connections,
    HouseStats,
    LedgerStats,
    LoaderStats,
    PoolShape,
    QueueCard,
    QueueMetrics,
    QueueStats,
    TotalStats,
    WorkerStats,
)
from supervisor.ledger.figures import totals
from supervisor.ports import QueueView, Status, WorkerView


@dataclass(frozen=True, slots=True)
class Scene:
    """What the numbers are made of."""

    status: Status
    counts: Mapping[str, Mapping[JobState, int]]  # by queue, as the ledger has them
    shapes: Mapping[str, PoolShape]
    is_ledger_well: bool = True
    is_loading: bool = False  # rows of other programs wait to be taken in


def stats_of(scene: Scene, view: QueueView) -> QueueStats:
    """Return what a queue holds."""
    return QueueStats(
        waiting=_waiting(scene, view),
        active=view.active,
        completed=view.completed,
        failed=view.dead,
        delayed=view.delayed,
    )


def metrics_of(scene: Scene, view: QueueView) -> QueueMetrics:
    """Return what a queue holds, with its name."""
    waiting = _waiting(scene, view)
    return QueueMetrics(
        queue_name=view.queue,
        waiting=waiting,
        active=view.active,
        completed=view.completed,
        failed=view.dead,
        delayed=view.delayed,
        paused=int(view.paused),
        total=waiting + view.active + view.delayed,
    )


def card_of(scene: Scene, view: QueueView, why: str, oldest: float | None) -> QueueCard:
    """Return all there is to say of a queue; ``why`` it is paused, if it is."""
    counts = scene.counts.get(view.queue, {})
    return QueueCard(
        queue=view.queue,
        pool=view.pool,
        paused=view.paused,
        why=why,
        ready=view.ready,
        active=view.active,
        states={state.value: counts.get(state, 0) for state in JobState},
        oldest=oldest,
        workers=sum(each.pool == view.pool and each.consuming for each in scene.status.workers),
        warnings=view.warnings,
    )


def worker_stats(view: WorkerView, shape: PoolShape) -> WorkerStats:
    """Return how busy a worker is."""
    return WorkerStats(
        running=view.pid is not None,
        active_jobs=len(view.jobs),
        max_concurrency=shape.concurrency,
        worker_id=view.id,
    )


def house_stats(scene: Scene) -> HouseStats:
    """Return the whole house in numbers."""
    known, views = totals(scene.counts), scene.status.queues
    is_connected = scene.status.broker.connected
    pending = known[JobState.PENDING]
    return HouseStats(
        LoaderStats(
            config=scene.shapes,
            is_running=scene.status.state == "running",
            batch_loading=scene.is_loading or (bool(pending) and is_connected),
        ),
        LedgerStats(
            pending=pending + known[JobState.WAITING] + known[JobState.DELAYED],
            processing=known[JobState.ACTIVE],
            completed=known[JobState.COMPLETED],
            failed=known[JobState.FAILED],
        ),
        TotalStats(
            waiting=sum(_waiting(scene, view) for view in views),
            active=sum(view.active for view in views),
            completed=sum(view.completed for view in views),
            failed=sum(view.dead for view in views),
        ),
        Connections(ledger=scene.is_ledger_well, broker=is_connected),
    )


def _waiting(scene: Scene, view: QueueView) -> int:
    counts = scene.counts.get(view.queue, {})
    known = counts.get(JobState.WAITING, 0) if view.ready is None else view.ready
    return known + counts.get(JobState.PENDING, 0)
