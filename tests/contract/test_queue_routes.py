"""Queues over HTTP: each route reaches its desk, answers in its shape, and says what is wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from supervisor.api.server import ApiServer
from supervisor.core.records import JobState
from supervisor.desks.queues import CleanOrder, RetryOrder
from tests.support.control import FakeControl


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
async def http(control: FakeControl, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    server = ApiServer(control, tmp_path / "s.sock")
    await server.start()
    transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "s.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://s", timeout=5) as client:
        yield client
    await server.stop()


async def test_one_pool_is_paused_and_resumed_or_all(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    one = await http.post("/api/queues/cutter/pause", json={"why": "blunt"})
    everyone = await http.post("/api/queues/pause")  # nothing need be said
    again = await http.post("/api/queues/cutter/resume")
    left = dict(control.queues.paused)
    await http.post("/api/queues/resume")

    assert one.json() == {
        "pool": "cutter",
        "queue": "cutter_queue",
        "paused": True,
        "why": "blunt",
    }
    assert [each["pool"] for each in everyone.json()] == ["download", "cutter", "preview"]
    assert again.json()["paused"] is False
    assert set(left) == {"download", "preview"}
    assert control.queues.paused == {}


async def test_a_queue_is_drained_cleaned_and_its_failed_jobs_run_again(
    http: httpx.AsyncClient,
    control: FakeControl,
) -> None:
    drained = await http.post("/api/queues/cutter/drain", params={"delayed": "true"})
    cleaned = await http.post("/api/queues/cutter/clean", json={"state": "completed", "limit": 9})
    retried = await http.post("/api/queues/cutter/retry-failed", json={"rate": 10, "newer": 60})

    assert control.queues.drained == [("cutter", True)]
    assert drained.json()["messages"] == 7
    assert control.queues.cleaned == [("cutter", CleanOrder(JobState.COMPLETED, limit=9))]
    assert cleaned.json()["jobs"] == 9
    assert control.queues.retried == [("cutter", RetryOrder(newer=60, rate=10))]
    assert (retried.status_code, retried.json()["seconds"]) == (202, 0.2)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/api/queues/cutter/stats", "waiting active completed failed delayed"),
        (
            "/api/queues/cutter/metrics",
            "queueName waiting active completed failed delayed paused total",
        ),
        ("/api/workers/cutter-1/stats", "running activeJobs maxConcurrency workerId"),
        ("/api/health", "totalWorkers activeWorkers totalJobs successRate averageUptime"),
        ("/api/stats", "worker jobs queue connections"),
        (
            "/api/queues/cutter",
            "queue pool paused why ready active states oldest workers warnings",
        ),
    ],
)
async def test_figures_have_the_names_that_others_know(
    http: httpx.AsyncClient, path: str, keys: str
) -> None:
    assert list((await http.get(path)).json()) == keys.split()


async def test_the_house_in_numbers_has_four_parts(http: httpx.AsyncClient) -> None:
    found = (await http.get("/api/stats")).json()

    assert list(found["worker"]) == ["config", "isRunning", "batchLoading"]
    assert list(found["jobs"]) == ["pending", "processing", "completed", "failed"]
    assert list(found["queue"]) == ["waiting", "active", "completed", "failed"]
    assert found["connections"] == {"ledger": True, "broker": True}


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("nobody/pause", {}, 404, "no pool 'nobody'"),
        ("cutter/clean", {"state": "active"}, 422, "active"),
        ("cutter/clean", {"state": "gone"}, 422, "state"),
        ("cutter/retry-failed", {"rate": "fast"}, 422, "rate"),
        ("cutter/drain?dealyed=true", None, 400, "dealyed"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    http: httpx.AsyncClient, path: str, body: object, status: int, says: str
) -> None:
    content = None if body is None else msgspec.json.encode(body)
    headers = {"Content-Type": "application/json"}
    answer = await http.post(f"/api/queues/{path}", content=content, headers=headers)

    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]


async def test_who_is_not_there_is_not_found(http: httpx.AsyncClient) -> None:
    for path in ("/api/queues/nobody", "/api/workers/cutter-7/stats"):
        assert (await http.get(path)).status_code == 404


async def test_a_drain_while_the_broker_is_away_is_to_be_tried_again(
    http: httpx.AsyncClient,
    control: FakeControl,
) -> None:
    control.queues.away = "cutter_queue: nothing was removed, the broker is away; try again"

    answer = await http.post("/api/queues/cutter/drain")

    assert (answer.status_code, answer.json()["detail"]) == (503, control.queues.away)
