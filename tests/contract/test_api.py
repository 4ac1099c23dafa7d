"""The HTTP API over its Unix socket, as any HTTP client sees it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from supervisor.api.routes import build
from supervisor.api.server import ApiServer
from supervisor.core.readiness import Condition
from supervisor.core.records import Incident
from supervisor.ports import Event
from tests.support.control import NOW, FakeControl

LINK = {"link": "https://example.com/v", "from": "user123"}


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "s.sock"


@pytest.fixture
async def server(control: FakeControl, path: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer(control, path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http(server: ApiServer, path: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://s", timeout=5) as client:
        yield client


async def test_a_job_is_accepted_with_the_address_to_look_it_up(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/jobs", json={"pool": "download", "data": LINK})

    assert answer.status_code == 202
    assert answer.headers["Location"] == "/api/jobs/job-1"
    job = (await http.get(answer.headers["Location"])).json()
    assert (job["state"], job["from"], job["data"]) == ("waiting", "user123", LINK)


async def test_the_idempotency_key_is_the_id(http: httpx.AsyncClient, control: FakeControl) -> None:
    for _ in range(2):
        answer = await http.post(
            "/api/jobs",
            json={"pool": "download", "data": LINK},
            headers={"Idempotency-Key": "a/b c"},
        )
        assert answer.json()["id"] == "a/b c"
        assert (await http.get("/api/jobs/a%2Fb%20c")).json()["id"] == "a/b c"

    assert [order.id for order in control.orders] == ["a/b c"]


async def test_a_priority_is_a_name_or_a_number(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    for priority in ("high", 2):
        order = {"pool": "download", "data": LINK, "priority": priority}
        assert (await http.post("/api/jobs", json=order)).json()["priority"] == 2


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"pool": "downlod", "data": {}}, 404, "there is no pool downlod; the pools are download"),
        ({"pool": "download"}, 422, "data: is missing"),
        ({"pool": "download", "data": []}, 422, "data: must be an object, is a list"),
        (
            {"pool": "download", "data": {}, "prio": 1},
            400,
            "prio: is no field here; did you mean priority? allowed",
        ),
        (
            {"pool": "download", "data": {}, "Then": "preview"},
            400,
            "Then: is no field here; did you mean then? allowed are pool, data, id, priority",
        ),
        (
            {"pool": "download", "data": {}, "deduplicate": {"key": "a", "until": 5}},
            400,
            "deduplicate.until: is no field here",
        ),
        ({"pool": "download", "data": {}, "priority": "urgent"}, 422, "must be one of critical"),
        ({"pool": "download", "data": {}, "priority": 9}, 422, "priority"),
        ({"pool": "download", "data": {}, "id": "other"}, 409, "but Idempotency-Key says mine"),
        ({"data": {}}, 422, "pool: is missing"),
        ({"pool": "download", "data": {}, "deduplicate": {}}, 422, "deduplicate.key: is missing"),
        ([], 422, "the body: must be an object, is a list"),
        ("{", 400, "not JSON"),
        ("", 400, "the body is missing: it must be JSON"),
        ({"pool": "download", "data": {}, "delay": "5"}, 422, "delay: must be a number, is a text"),
        ({"pool": "download", "data": {}, "runAt": 5}, 422, "runAt: must be a moment"),
    ],
)
async def test_a_bad_order_is_a_problem_that_names_the_field(
    http: httpx.AsyncClient, body: object, status: int, said: str
) -> None:
    content = body if isinstance(body, str) else msgspec.json.encode(body)
    headers = {"Content-Type": "application/json", "Idempotency-Key": "mine"}
    answer = await http.post("/api/jobs", content=content, headers=headers)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance"}
    assert problem["instance"] == "/api/jobs"
    assert said in problem["detail"], problem


async def test_a_job_may_be_called_like_a_path(http: httpx.AsyncClient) -> None:
    unknown = await http.get("/api/jobs/bulk")
    await http.post("/api/jobs", json={"pool": "download", "data": {}, "id": "bulk"})

    shown, removed = await http.get("/api/jobs/bulk"), await http.delete("/api/jobs/bulk")

    assert (shown.json()["id"], removed.json()["id"]) == ("bulk", "bulk")
    assert unknown.status_code == 404


async def test_a_whole_number_may_be_written_with_a_point(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    body = b'{"pool": "download", "data": {"height": 5.0}, "maxAttempts": 2.0}'
    answer = await http.post(
        "/api/jobs", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 202, answer.text
    assert control.orders[-1].max_attempts == 2


async def test_a_body_that_may_be_left_out_names_its_fields_too(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/queues/download/pause", json={"whi": "a"})

    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"] == "whi: is no field here; did you mean why? allowed are why"


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/api/jobs/nobody", 404, "there is no job nobody in the ledger"),
        ("/api/jobs?state=done", 422, "state: must be one of pending, delayed, waiting, active"),
        ("/api/jobs?limit=0", 422, "limit: must be 1 or more, is 0"),
        ("/api/jobs?limit=1001", 422, "limit: must be 1000 or less, is 1001"),
        ("/api/jobs?limit=many", 422, "limit: must be a whole number, is many"),
        ("/api/incidents?limit=0", 422, "limit"),
        ("/api/nothing", 404, "/api/nothing; /schema/openapi.json has all paths"),
    ],
)
async def test_a_bad_question_is_a_problem(
    http: httpx.AsyncClient, address: str, status: int, said: str
) -> None:
    answer = await http.get(address)

    assert (answer.status_code, answer.json()["status"]) == (status, status), answer.text
    assert said in answer.json()["detail"]


async def test_a_job_that_cannot_be_stored_now_is_a_503(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    control.away = "the broker at localhost:5672 is away; try again"

    answer = await http.post("/api/jobs", json={"pool": "download", "data": LINK})

    assert (answer.status_code, answer.json()["detail"]) == (503, control.away)


async def test_our_own_mistakes_reach_the_log_and_not_the_client(
    http: httpx.AsyncClient, control: FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    control.broken = RuntimeError("secret detail")

    answer = await http.get("/api/status")

    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text


async def test_jobs_are_listed_by_pool_and_state_newest_first(http: httpx.AsyncClient) -> None:
    for pool in ("download", "cutter", "download"):
        await http.post("/api/jobs", json={"pool": pool, "data": {}})

    listed = await http.get("/api/jobs", params={"pool": "download", "state": "waiting"})
    newest = await http.get("/api/jobs", params={"limit": 1})

    assert [job["id"] for job in listed.json()["jobs"]] == ["job-3", "job-1"]
    assert [job["id"] for job in newest.json()["jobs"]] == ["job-3"]


async def test_the_status_has_the_shape_that_programs_rely_on(http: httpx.AsyncClient) -> None:
    status = (await http.get("/api/status")).json()

    assert {"id", "pool", "state", "pid", "restarts", "job", "crashCount", "startTime"} <= set(
        status["workers"][0]
    )
    assert {"queue", "ready", "active", "dead"} <= set(status["queues"][0])
    assert set(status["health"]) == {
        "totalWorkers",
        "activeWorkers",
        "totalJobs",
        "successRate",
        "averageUptime",
    }
    assert (await http.get("/api/workers")).json() == status["workers"]
    assert (await http.get("/api/queues")).json() == status["queues"]


async def test_alive_is_not_ready(http: httpx.AsyncClient, control: FakeControl) -> None:
    assert (await http.get("/readyz")).status_code == 200
    wanted = Condition("operator", "maintenance", "cutter", is_wanted=True)
    control.view = msgspec.structs.replace(control.view, conditions=(wanted,))
    assert (await http.get("/readyz")).status_code == 200
    lost, held = Condition("broker", "refused"), Condition("ledger", "full", "preview")
    control.view = msgspec.structs.replace(control.view, conditions=(wanted, lost, held))

    assert (await http.get("/livez")).status_code == 200
    ready = await http.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["reasons"] == ["broker: refused", "pool preview: ledger: full"]
    assert ready.json()["detail"] == "broker: refused; pool preview: ledger: full"


async def test_events_arrive_as_they_happen_and_end_with_the_coordinator(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    seen: list[str] = []
    async with asyncio.timeout(5), http.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            seen.append(line)
            if line == ": connected":
                control.say(Event("completed", NOW, queue="download_queue", id="job-1"))
            if line.startswith("data:"):
                control.say(None)

    data = {"name": "completed", "at": "2026-11-22T10:00:00Z", "queue": "download_queue"}
    assert seen[:2] == [": connected", ""]
    assert seen[2].startswith("id: ")
    assert seen[3] == "event: completed"
    assert msgspec.json.decode(seen[4].removeprefix("data: ")) == data | {"id": "job-1"}


async def test_a_quiet_stream_says_that_it_is_still_there(
    control: FakeControl, tmp_path: Path
) -> None:
    app = build(control, quiet=0.01)
    transport = httpx.ASGITransport(app)
    reader = asyncio.create_task(_first_lines(transport, control))

    assert ": still here" in await asyncio.wait_for(reader, 5)


async def _first_lines(transport: httpx.ASGITransport, control: FakeControl) -> str:
    # This transport hands over a whole answer: end the stream after a moment of silence.
    asyncio.get_running_loop().call_later(0.2, control.say, None)
    async with httpx.AsyncClient(transport=transport, base_url="http://s") as client:
        return (await client.get("/api/events")).text


async def test_stopping_ends_the_streams_at_once_and_removes_the_socket(
    server: ApiServer, path: Path, control: FakeControl
) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://s") as client,
        client.stream("GET", "/api/events") as answer,
        asyncio.timeout(2),
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == ": connected"
        stopping = asyncio.create_task(server.stop())
        assert [line async for line in lines if line] == []
        await stopping

    assert not _exists(path)


async def test_the_api_describes_itself(http: httpx.AsyncClient) -> None:
    answer = await http.get("/schema/openapi.json")

    assert answer.status_code == 200, answer.text
    assert "/api/jobs/{job_id}" in answer.json()["paths"]


async def test_the_description_says_what_may_be_left_out_and_how_far_values_go(
    http: httpx.AsyncClient,
) -> None:
    described = (await http.get("/schema/openapi.json")).json()
    run = described["paths"]["/api/pools/{pool}/run"]["post"]
    order = described["components"]["schemas"]["Order"]["properties"]
    groups = described["paths"]["/api/letters/groups"]["get"]["parameters"]
    names = {each["name"]: each for each in described["paths"]["/api/jobs"]["get"]["parameters"]}

    undo = described["paths"]["/api/letters/replays/{number}/undo"]["post"]["parameters"]

    assert undo[0]["schema"] == {"type": "integer", "minimum": 1}
    assert run["requestBody"]["required"] is False
    assert {"200", "202"} <= set(run["responses"])
    assert (order["maxAttempts"]["minimum"], order["maxAttempts"]["maximum"]) == (1, 1000)
    assert order["priority"]["anyOf"][0]["enum"][0] == "critical"
    assert "text" not in {each["name"] for each in groups}
    assert names["since"]["schema"]["format"] == "date-time"
    assert "completed" in names["state"]["schema"]["enum"]


def _exists(path: Path) -> bool:
    return path.exists()


async def test_incidents_are_listed_of_all_workers_or_of_one(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    control.befell = [
        Incident("cutter-1", "cutter", "hang", "no heartbeat for 31 s", NOW, stack="File ..."),
        Incident("download-1", "download", "crash", "exit code 3", NOW, "exit code 3", 77, ("j",)),
    ]

    every = (await http.get("/api/incidents")).json()
    newest = (await http.get("/api/incidents?limit=1")).json()
    one = (await http.get("/api/incidents?worker=download-1&limit=5")).json()

    assert [incident["workerId"] for incident in every] == ["cutter-1", "download-1"]
    assert newest[0]["stack"] == "File ..."
    assert one == [every[1]]
    assert (one[0]["cause"], one[0]["error"], one[0]["jobs"]) == ("crash", "exit code 3", ["j"])


@pytest.mark.parametrize("address", ["/api/jobs", "/api/jobs/bulk", "/api/queues/cutter/pause"])
async def test_a_body_nested_without_end_is_a_bad_request(
    http: httpx.AsyncClient, address: str
) -> None:
    headers = {"Content-Type": "application/json"}
    deep = b"[" * 100_000 + b"]" * 100_000
    body = b'{"pool": "download", "data": {"a": ' + deep + b"}}"

    answer = await http.post(address, content=body, headers=headers)

    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("name", ["pool", "name", "from", "group"])
async def test_what_no_database_stores_is_not_looked_for(
    http: httpx.AsyncClient, name: str
) -> None:
    answer = await http.get("/api/jobs", params={name: "a\0"})

    assert answer.status_code == 422, answer.text
    assert f"{name}: must not contain the character NUL" in answer.json()["detail"]
