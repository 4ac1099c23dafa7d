"""Pools over HTTP: scaled, restarted, and worked off on demand."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from supervisor.api.gate import Rules
from supervisor.api.server import ApiServer
from supervisor.config.tokens import secret_key
from supervisor.core.callers import Role, caller_of
from supervisor.core.on_demand import Wish
from supervisor.desks.pools import AnyWish
from tests.support.control import FakeControl

SECRET = "a-secret-of-a-cron-line"  # noqa: S105 - of this test


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
async def http(control: FakeControl, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    path = tmp_path / "s.sock"
    server = ApiServer(control, path)
    await server.start()
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://s", timeout=5) as client:
        yield client
    await server.stop()


async def test_a_pool_is_shown_and_scaled(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/api/pools")).json()
    scaled = await http.put("/api/pools/download/instances", json={"instances": 3})

    assert [pool["name"] for pool in listed] == ["download", "cutter", "preview"]
    assert (scaled.status_code, scaled.json()["instances"]) == (200, 3)
    assert (await http.get("/api/pools/download")).json()["instances"] == 3


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/pools/nobody/instances", {"instances": 1}, 404),
        ("/api/pools/download/instances", {"instances": 999}, 422),
        ("/api/pools/download/instances", {"instances": "two"}, 422),
        ("/api/pools/download/instances", {"instances": 1, "when": "now"}, 400),
    ],
)
async def test_a_number_of_workers_that_cannot_be_is_refused(
    http: httpx.AsyncClient, path: str, body: dict[str, object], status: int
) -> None:
    answer = await http.put(path, json=body)

    assert answer.status_code == status


async def test_a_worker_or_all_of_a_pool_are_restarted(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    one = await http.post("/api/workers/download-2/restart")
    whole = await http.post("/api/pools/cutter/restart")
    nobody = await http.post("/api/workers/nobody-1/restart")

    assert control.pools.restarted == ["download-2", "cutter"]
    assert (one.status_code, one.json()) == (202, {"workers": ["download-2"]})
    assert (whole.status_code, nobody.status_code) == (202, 404)


async def test_a_run_is_answered_with_what_came_of_it(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    answer = await http.post("/api/pools/download/run", json={"maxJobs": 5, "maxSeconds": 50})

    assert (answer.status_code, answer.json()["ended"]) == (200, "empty")
    assert control.pools.wishes == [("download", Wish(max_jobs=5, max_seconds=50.0))]


async def test_a_run_needs_no_body(http: httpx.AsyncClient, control: FakeControl) -> None:
    answer = await http.post("/api/pools/download/run")

    assert (answer.status_code, control.pools.wishes) == (200, [("download", Wish())])


async def test_whoever_cannot_wait_is_told_where_to_look(http: httpx.AsyncClient) -> None:
    missing = await http.get("/api/pools/download/run")

    answer = await http.post("/api/pools/download/run?wait=false")

    assert missing.status_code == 404
    assert (answer.status_code, answer.json()["running"]) == (202, True)
    assert (await http.get(answer.headers["Location"])).json()["begun"] == 2


async def test_a_second_run_of_a_pool_is_refused(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    control.pools.is_busy = True

    answer = await http.post("/api/pools/download/run")

    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/busy"


async def test_the_alias_names_its_pool_in_the_body(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    answer = await http.post("/api/workers", json={"pool": "cutter", "maxJobs": 1})
    unclear = await http.post("/api/workers")

    assert answer.status_code == 200
    assert control.pools.wishes == [("cutter", AnyWish(max_jobs=1, pool="cutter"))]
    assert (unclear.status_code, unclear.json()["detail"][:16]) == (409, "pool: name one o")


async def test_the_workers_secret_opens_runs_and_nothing_else(control: FakeControl) -> None:
    from supervisor.api.routes import build  # noqa: PLC0415 - the one test that builds its own

    keys = (secret_key("worker-secret", SECRET, Role.RUN),)
    rules = Rules(look_up=lambda token: caller_of(token, keys), is_private=False)
    app = httpx.ASGITransport(build(control, rules=rules))
    bearer = {"Authorization": f"Bearer {SECRET}"}
    async with httpx.AsyncClient(transport=app, base_url="http://s") as client:
        run = await client.post("/api/pools/download/run", headers=bearer)
        alias = await client.post("/api/workers", json={"pool": "cutter"}, headers=bearer)
        scaled = await client.put(
            "/api/pools/download/instances", json={"instances": 9}, headers=bearer
        )
        wrong = await client.post(
            "/api/workers", json={"pool": "cutter"}, headers={"Authorization": "Bearer no"}
        )

    assert (run.status_code, alias.status_code) == (200, 200)
    assert (scaled.status_code, wrong.status_code) == (403, 401)
