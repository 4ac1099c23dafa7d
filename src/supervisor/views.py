"""How the house looks from outside: fleet, metrics and ledger counts put into the shown shapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from supervisor.core.fleet import PoolPolicy, Worker
from supervisor.core.lifecycle import WorkerState
from supervisor.ports import Health, LastRestart, WorkerView
from workers.messages import Metrics

ACTIVE = frozenset({WorkerState.IDLE.value, WorkerState.PROCESSING.value})


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant in both of our times."""

    monotonic: float
    utc: datetime

    def at(self, monotonic: float | None) -> datetime | None:
        """Return the moment people see for a monotonic second."""
        if monotonic is None:
            return None
        return self.utc - timedelta(seconds=self.monotonic - monotonic)

    def until(self, monotonic: float | None) -> float | None:
        """Return the seconds from now to a monotonic second, 0 if it is past."""
        return None if monotonic is None else max(0.0, monotonic - self.monotonic)


@dataclass(frozen=True, slots=True)
class Tally:
    """Runs of processors, and how many of them succeeded."""

    processed: int = 0
    successful: int = 0

    def plus(self, metrics: Metrics) -> "Tally":
        """Return the tally with one more process's work in it."""
        return Tally(
            self.processed + metrics.jobs_processed, self.successful + metrics.jobs_successful
        )


NOTHING_YET = Metrics(
    jobs_processed=0,
    jobs_successful=0,
    jobs_failed=0,
    average_processing_time=0.0,
    memory_usage=0,
    uptime=0.0,
    last_activity=None,
)


def worker_view(
    worker: Worker,
    policy: PoolPolicy,
    metrics: Metrics | None,
    last_restart: LastRestart | None,
    moment: Moment,
) -> WorkerView:
    """Return one worker as it is shown."""
    said = metrics or NOTHING_YET
    jobs = tuple(job.id for job in worker.jobs)
    alive = moment.until(worker.spawned_at)
    return WorkerView(
        id=worker.id,
        pool=worker.pool,
        state=worker.state.value,
        pid=worker.pid,
        restarts=worker.restarts,
        crash_count=worker.crash_count,
        job=jobs[0] if jobs else None,
        jobs=jobs,
        consuming=worker.consuming,
        broker=worker.broker,
        holds=worker.holds,
        memory=worker.memory or said.memory_usage,
        memory_limit=policy.memory_soft,
        cpu=worker.cpu * 100,
        start_time=moment.at(worker.spawned_at),
        last_activity=said.last_activity,
        uptime=0.0 if alive is None else moment.monotonic - (worker.spawned_at or 0.0),
        jobs_processed=said.jobs_processed,
        jobs_successful=said.jobs_successful,
        jobs_failed=said.jobs_failed,
        average_processing_time=said.average_processing_time,
        restart_in=moment.until(worker.restart_at),
        crashes_in_a_row=0 if _is_stable(worker, policy, moment) else worker.streak,
        unreadable_frames=worker.unreadable,
        refused_frames=said.refused_frames,
        last_restart=last_restart,
    )


def _is_stable(worker: Worker, policy: PoolPolicy, moment: Moment) -> bool:
    """Answer whether its next crash would be its first again."""
    return worker.ready_at is not None and moment.monotonic - worker.ready_at >= policy.stable


def health(workers: Sequence[WorkerView], retired: Tally) -> Health:
    """Return the whole house in five numbers; a house that has not worked yet is successful.

    ``retired`` is what processes that are gone had done, so that the totals never fall.
    """
    processed = retired.processed + sum(worker.jobs_processed for worker in workers)
    successful = retired.successful + sum(worker.jobs_successful for worker in workers)
    return Health(
        total_workers=len(workers),
        active_workers=sum(worker.state in ACTIVE for worker in workers),
        total_jobs=processed,
        success_rate=successful / processed if processed else 1.0,
        average_uptime=sum(w.uptime for w in workers) / len(workers) if workers else 0.0,
    )
