"""Jobs steered over HTTP: each route reaches the desk, and says what is wrong."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from supervisor.api.server import ApiServer
from tests.support.control import FakeControl

LINK = {"link": "http://127.0.0.1/a.mp4"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    server = ApiServer(FakeControl(), tmp_path / "s.sock")
    await server.start()
    transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "s.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://s", timeout=5) as client:
        yield client
    await server.stop()


@pytest.mark.parametrize("job_id", ["j1", "a/b c"])
async def test_a_job_is_steered_by_its_id(http: httpx.AsyncClient, job_id: str) -> None:
    place = f"/api/jobs/{quote(job_id, safe='')}"
    await http.post("/api/jobs", json={"pool": "download", "data": LINK, "id": job_id})

    answers = [
        await http.put(f"{place}/priority", json={"priority": "high"}),
        await http.post(f"{place}/cancel"),
        await http.post(f"{place}/retry"),
        await http.post(f"{place}/promote"),
        await http.delete(place),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 202, 202, 200]
    states = [answer.json()["state"] for answer in answers]
    assert states == ["waiting", "cancelled", "waiting", "waiting", "removed"]
    assert {answer.json()["id"] for answer in answers} == {job_id}


async def test_the_status_has_the_names_that_other_programs_know(
    http: httpx.AsyncClient,
) -> None:
    await http.post("/api/jobs", json={"pool": "download", "data": LINK, "id": "j1"})

    status = (await http.get("/api/jobs/j1/status")).json()

    assert status["data"] == LINK
    assert set(status) == {
        *("id", "name", "data", "state", "progress", "attemptsMade", "processedOn"),
        *("finishedOn", "returnvalue", "failedReason", "place"),
    }


async def test_what_cannot_be_is_a_problem(http: httpx.AsyncClient) -> None:
    await http.post("/api/jobs", json={"pool": "download", "data": LINK, "id": "j1"})

    too_early = await http.post("/api/jobs/j1/retry")
    unknown = await http.post("/api/jobs/j9/cancel")
    no_level = await http.put("/api/jobs/j1/priority", json={"priority": "urgent"})
    no_field = await http.put("/api/jobs/j1/priority", json={"level": "high"})

    answers = (too_early, unknown, no_level, no_field)
    assert [answer.status_code for answer in answers] == [409, 404, 422, 400]
    assert too_early.json()["type"] == "/problems/wrong-state"


async def test_an_order_may_say_its_key_its_name_and_its_attempts(
    http: httpx.AsyncClient,
) -> None:
    order = {"pool": "download", "data": LINK, "name": "film", "maxAttempts": 2}
    sound = {"key": "k", "ttl": 5, "mode": "replace"}
    odd = {"key": "k", "mode": "merge"}

    accepted = await http.post("/api/jobs", json=order | {"deduplicate": sound})
    refused = await http.post("/api/jobs", json=order | {"deduplicate": odd})

    assert (accepted.status_code, refused.status_code) == (202, 422)
    assert "deduplicate.mode" in refused.json()["detail"]
