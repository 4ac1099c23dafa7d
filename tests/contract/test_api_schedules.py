"""Schedules and retries over HTTP, as any HTTP client sees them."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from supervisor.api.server import ApiServer
from tests.support.control import FakeControl

NIGHTLY = {"pool": "download", "name": "nightly", "cron": "0 3 * * *", "data": {"n": 1}}


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
async def http(control: FakeControl, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    path = tmp_path / "state" / "s.sock"
    server = ApiServer(control, path)
    await server.start()
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://s", timeout=5) as client:
        yield client
    await server.stop()


async def test_a_schedule_is_made_shown_listed_and_forgotten(http: httpx.AsyncClient) -> None:
    made = await http.post("/api/schedules", json=NIGHTLY)
    place = made.headers["Location"]

    assert (made.status_code, place) == (201, "/api/schedules/nightly")
    assert (await http.get(place)).json()["nextRuns"] == ["2026-11-23T03:00:00+00:00"]
    assert [each["name"] for each in (await http.get("/api/schedules")).json()] == ["nightly"]
    assert (await http.delete(place)).status_code == 204
    gone = await http.get(place)
    assert (gone.status_code, gone.json()["type"]) == (404, "/problems/unknown-schedule")


async def test_put_makes_or_changes(http: httpx.AsyncClient) -> None:
    order = {key: value for key, value in NIGHTLY.items() if key != "name"}

    first = await http.put("/api/schedules/nightly", json=order)
    second = await http.put("/api/schedules/nightly", json=order | {"missed": "catch_up"})

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["missed"] == "catch_up"


async def test_a_schedule_is_paused_resumed_and_run(http: httpx.AsyncClient) -> None:
    await http.post("/api/schedules", json=NIGHTLY)

    paused = await http.post("/api/schedules/nightly/pause")
    resumed = await http.post("/api/schedules/nightly/resume")
    ran = await http.post("/api/schedules/nightly/run")

    assert (paused.json()["paused"], resumed.json()["paused"]) == (True, False)
    assert (ran.status_code, ran.headers["Location"]) == (202, f"/api/jobs/{ran.json()['id']}")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"cron": 5}, 422),
        ({"retries": 3}, 400),
        ({"missed": "later"}, 422),
        ({"data": [1]}, 422),
        ({"name": "nightly"}, 409),
    ],
)
async def test_what_cannot_be_is_refused(
    http: httpx.AsyncClient, change: dict[str, object], status: int
) -> None:
    await http.post("/api/schedules", json=NIGHTLY)

    answer = await http.post("/api/schedules", json=NIGHTLY | {"name": "other"} | change)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_retries_are_shown_for_a_pool(http: httpx.AsyncClient) -> None:
    found = (await http.get("/api/queues/download/retries")).json()
    unknown = await http.get("/api/queues/nowhere/retries")

    assert (found["policy"]["attempts"], [row["attempts"] for row in found["rows"]]) == (
        3,
        [1, 2, 3],
    )
    assert unknown.status_code == 404


async def test_a_job_for_a_moment_says_in_which_zone(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    order = {"pool": "download", "data": {}}

    right = await http.post("/api/jobs", json=order | {"runAt": "2026-12-24T18:00:00+01:00"})
    wrong = await http.post("/api/jobs", json=order | {"runAt": "2026-12-24T18:00:00"})

    assert (right.status_code, wrong.status_code) == (202, 422)
    assert "runAt" in wrong.json()["detail"]
    (taken,) = control.orders
    assert taken.run_at is not None
    assert taken.run_at.isoformat() == "2026-12-24T18:00:00+01:00"
