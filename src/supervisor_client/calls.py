"""Every question a client asks, as a value; asked by the plain client and the async one alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from supervisor_client import shapes
from supervisor_client.errors import BadOrderError
from supervisor_client.orders import (
    Data,
    Order,
    RetryOptions,
    ScheduleOptions,
    Span,
    known,
    schedule,
    seconds,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how its answer is read.

    ``is_repeatable``: asked twice it does nothing more, so it is asked again when the answer is
    lost.
    """

    method: str
    path: str
    kind: type[T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    is_repeatable: bool = True


def publish(order: Order) -> Call[shapes.JobRecord]:
    """Hand in a job; the order's id makes it one job however often it is sent."""
    return Call("POST", "/api/jobs", shapes.JobRecord, body=order)


def job(job_id: str) -> Call[shapes.JobRecord]:
    """Ask for all that is known of a job."""
    return Call("GET", _at("jobs", job_id), shapes.JobRecord)


def jobs(wanted: Mapping[str, Any]) -> Call[shapes.JobList]:
    """Ask for a page of jobs."""
    return Call("GET", "/api/jobs", shapes.JobList, query=wanted)


def children(job_id: str, wanted: Mapping[str, Any]) -> Call[shapes.JobList]:
    """Ask for a page of the jobs that follow one."""
    return Call("GET", _at("jobs", job_id, "children"), shapes.JobList, query=wanted)


def family(job_id: str, limit: int) -> Call[shapes.Family]:
    """Ask how a job and all that came of it stand."""
    return Call("GET", _at("jobs", job_id, "chain"), shapes.Family, query={"limit": limit})


def status(job_id: str) -> Call[shapes.JobStatus]:
    """Ask for a job in few words."""
    return Call("GET", _at("jobs", job_id, "status"), shapes.JobStatus)


def steer(job_id: str, verb: str) -> Call[shapes.JobRecord]:
    """Have a job retried, cancelled or promoted; the same wish again changes nothing more."""
    return Call("POST", _at("jobs", job_id, verb), shapes.JobRecord)


def prioritize(job_id: str, priority: str | int) -> Call[shapes.JobRecord]:
    """Have a job that waits be more urgent, or less."""
    body = {"priority": priority}
    return Call("PUT", _at("jobs", job_id, "priority"), shapes.JobRecord, body=body)


def remove(job_id: str) -> Call[shapes.JobRecord]:
    """Have a job not run, or forget it; once it is gone a second time is an error."""
    return Call("DELETE", _at("jobs", job_id), shapes.JobRecord, is_repeatable=False)


def queue(pool: str) -> Call[shapes.QueueRecord]:
    """Ask for all there is to say of a queue."""
    return Call("GET", _at("queues", pool), shapes.QueueRecord)


def stats(pool: str) -> Call[shapes.QueueStats]:
    """Ask what a queue holds."""
    return Call("GET", _at("queues", pool, "stats"), shapes.QueueStats)


def metrics(pool: str) -> Call[shapes.QueueMetrics]:
    """Ask what a queue holds, with its name."""
    return Call("GET", _at("queues", pool, "metrics"), shapes.QueueMetrics)


def pause(pool: str, why: str) -> Call[shapes.Pause]:
    """Have nothing new taken from a queue."""
    return Call("POST", _at("queues", pool, "pause"), shapes.Pause, body={"why": why})


def resume(pool: str) -> Call[shapes.Pause]:
    """Have a queue consumed again."""
    return Call("POST", _at("queues", pool, "resume"), shapes.Pause)


def drain(pool: str, *, delayed: bool) -> Call[shapes.Drained]:
    """Remove what waits."""
    query = {"delayed": "true" if delayed else None}
    path = _at("queues", pool, "drain")
    return Call("POST", path, shapes.Drained, query=query, is_repeatable=False)


def clean(pool: str, state: str, older: Span, limit: int) -> Call[shapes.Cleaned]:
    """Remove finished jobs for good."""
    body = {"state": state, "age": seconds(older, "older"), "limit": limit}
    path = _at("queues", pool, "clean")
    return Call("POST", path, shapes.Cleaned, body=body, is_repeatable=False)


def retry_failed(pool: str, wanted: Mapping[str, Any]) -> Call[shapes.Retried]:
    """Have failed jobs run again. Raises TypeError for an unknown keyword."""
    known("retry_failed", wanted, RetryOptions)
    body = {key: _plain(key, value) for key, value in wanted.items() if value is not None}
    path = _at("queues", pool, "retry-failed")
    return Call("POST", path, shapes.Retried, body=body, is_repeatable=False)


def schedules() -> Call[tuple[shapes.ScheduleRecord, ...]]:
    """Ask for all schedules."""
    return Call("GET", "/api/schedules", tuple[shapes.ScheduleRecord, ...])


def put_schedule(
    name: str, pool: str, data: Data, wanted: ScheduleOptions
) -> Call[shapes.ScheduleRecord]:
    """Have a schedule be so, whether it was there or not."""
    body = schedule(pool, data, wanted)
    return Call("PUT", _at("schedules", name), shapes.ScheduleRecord, body=body)


def show_schedule(name: str) -> Call[shapes.ScheduleRecord]:
    """Ask for one schedule."""
    return Call("GET", _at("schedules", name), shapes.ScheduleRecord)


def hold_schedule(name: str, verb: str) -> Call[shapes.ScheduleRecord]:
    """Have a schedule paused or resumed."""
    return Call("POST", _at("schedules", name, verb), shapes.ScheduleRecord)


def run_schedule(name: str) -> Call[shapes.JobRecord]:
    """Have one job of a schedule now; twice is two jobs."""
    return Call("POST", _at("schedules", name, "run"), shapes.JobRecord, is_repeatable=False)


def remove_schedule(name: str) -> Call[None]:
    """Forget a schedule."""
    return Call("DELETE", _at("schedules", name), type(None), is_repeatable=False)


def worker_stats(worker: str) -> Call[shapes.WorkerStats]:
    """Ask how busy a worker is."""
    return Call("GET", _at("workers", worker, "stats"), shapes.WorkerStats)


def health() -> Call[shapes.Health]:
    """Ask how the house is."""
    return Call("GET", "/api/health", shapes.Health)


def events(
    names: Iterable[str], queues: Iterable[str], jobs: Iterable[str], roots: Iterable[str] = ()
) -> Call[shapes.Event]:
    """Ask to be told what happens."""
    query = {
        "name": sorted(names),
        "queue": sorted(queues),
        "job": sorted(jobs),
        "root": sorted(roots),
    }
    return Call("GET", "/api/events", shapes.Event, query=query)


def _at(kind: str, *parts: object) -> str:
    """Return the path of a thing; a slash or dots in its name must not become a path.

    Raises:
        BadOrderError: something has no name.
    """
    return "/".join(("/api", kind, *(_quoted(kind, part) for part in parts)))


def _quoted(kind: str, part: object) -> str:
    """Return a part of a path; dots alone would be the folder above for whoever reads it."""
    if not isinstance(part, str) or not part:
        message = f"{kind}: an id or a name must be text, and not empty, is {part!r:.80}"
        raise BadOrderError(message)
    return part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="")


def _plain(name: str, value: Any) -> Any:
    return seconds(value, name) if hasattr(value, "total_seconds") else value
