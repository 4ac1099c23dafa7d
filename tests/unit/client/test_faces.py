"""The package as programs see it: light to import, and the same with and without ``await``."""

import inspect
import subprocess
import sys

import msgspec
import pytest

import supervisor_client
from supervisor.core.records import Attempt, Branch, Chain, Family, JobRecord, Relative
from supervisor.desks import queues as desk
from supervisor.desks.schedules import ScheduleView
from supervisor.desks.steering import JobStatus
from supervisor.ports import Health
from supervisor_client import awaiting, plain, shapes

HEAVY = {
    *("supervisor", "workers", "consumers", "httpx", "aio_pika", "aiormq", "click", "rich", "yaml"),
    *("sqlalchemy", "litestar", "structlog", "psutil", "yt_dlp", "uvicorn", "anyio"),
}
PAIRS = [
    (plain.Client, awaiting.AsyncClient),
    (plain.Job, awaiting.AsyncJob),
    (plain.Queue, awaiting.AsyncQueue),
    (plain.Schedule, awaiting.AsyncSchedule),
]
# What the API answers, beside what the client reads of it.
SHAPES: list[tuple[type[msgspec.Struct], type[msgspec.Struct]]] = [
    (JobRecord, shapes.JobRecord),
    (Attempt, shapes.Attempt),
    (Relative, shapes.Relative),
    (Chain, shapes.Chain),
    (Branch, shapes.Branch),
    (Family, shapes.Family),
    (JobStatus, shapes.JobStatus),
    (ScheduleView, shapes.ScheduleRecord),
    (Health, shapes.Health),
    (desk.QueueStats, shapes.QueueStats),
    (desk.QueueMetrics, shapes.QueueMetrics),
    (desk.QueueCard, shapes.QueueRecord),
    (desk.Pause, shapes.Pause),
    (desk.Drained, shapes.Drained),
    (desk.Cleaned, shapes.Cleaned),
    (desk.Retried, shapes.Retried),
    (desk.WorkerStats, shapes.WorkerStats),
]


def test_the_import_loads_nothing_heavy() -> None:
    code = "import sys, supervisor_client; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "supervisor_client" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_plain_and_the_async_client_have_the_same_calls(one: type, other: type) -> None:
    assert _calls(one) == _calls(other)


@pytest.mark.parametrize(("told", "read"), SHAPES, ids=lambda each: each.__name__)
def test_every_field_that_the_client_reads_is_one_that_the_api_tells(
    told: type[msgspec.Struct], read: type[msgspec.Struct]
) -> None:
    theirs = {field.encode_name for field in msgspec.structs.fields(told)}
    ours = {field.encode_name for field in msgspec.structs.fields(read)}

    assert ours <= theirs


def test_what_a_newer_supervisor_adds_is_no_mistake() -> None:
    body = msgspec.json.encode({"waiting": 1, "active": 2, "completed": 3} | {"failed": 4} | NEWER)

    assert msgspec.json.decode(body, type=shapes.QueueStats).delayed == 5


def test_everything_that_is_exported_is_there() -> None:
    missing = [name for name in supervisor_client.__all__ if not hasattr(supervisor_client, name)]

    assert not missing


NEWER = {"delayed": 5, "asleep": 6}


def _calls(kind: type) -> dict[str, list[str]]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return {
        name.replace("__a", "__"): list(inspect.signature(call).parameters) for name, call in found
    }
