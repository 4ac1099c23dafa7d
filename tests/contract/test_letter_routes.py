"""Dead letters over HTTP: each route reaches its desk, answers in its shape, says what is wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from supervisor.api.letters import MOST_LINES
from supervisor.api.server import ApiServer
from supervisor.client import Client
from supervisor.desks.letters import Chosen, EditOrder, ReplayOrder, TakenIn
from tests.support.control import FakeControl
from tests.support.house import running
from tests.support.letters import GROUP, LINE

LINES = {"Content-Type": "application/x-ndjson"}


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


async def test_a_list_is_chosen_and_goes_on(http: httpx.AsyncClient, control: FakeControl) -> None:
    query = {"pool": "cutter", "from": "ana", "text": "row", "older": "60", "code": "exception"}
    first = (await http.get("/api/letters", params=query)).json()
    second = (await http.get("/api/letters", params={"cursor": first["nextCursor"]})).json()
    strange = await http.get("/api/letters", params={"cursor": "x"})
    unknown = await http.get("/api/letters", params={"pol": "cutter"})

    assert control.letters.asked[0] == Chosen(
        pool="cutter", sender="ana", text="row", older=60.0, code="exception"
    )
    (letter,) = first["letters"]
    assert (letter["id"], letter["group"], letter["failedAt"]) == (
        "dead-1",
        GROUP,
        "2026-11-22T10:00:00Z",
    )
    assert second == {"letters": [], "nextCursor": None}
    assert (strange.status_code, unknown.status_code) == (404, 400)


async def test_one_is_shown_and_groups_are(http: httpx.AsyncClient) -> None:
    card = (await http.get("/api/letters/dead-1")).json()
    missing = await http.get("/api/letters/unknown")
    (group,) = (await http.get("/api/letters/groups", params={"pool": "cutter"})).json()

    assert (card["body"]["text"], card["alike"]) == ('{"filePath":"a.mp4"}', 412)
    assert card["job"]["history"][0]["traceback"] == "Traceback ..."
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/unknown-job")
    assert (group["group"], group["jobs"]) == (GROUP, 412)


async def test_letters_are_sent_again_edited_and_taken_back(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    order = {"group": GROUP, "rate": 10.0}
    sent = await http.post("/api/letters/replay", json=order)
    edited = await http.post("/api/letters/dead-1/edit", json={"data": {"filePath": "b.mp4"}})
    wrong = await http.post("/api/letters/dead-1/edit", json={"data": {}})
    undone = await http.post("/api/letters/replays/3/undo")
    missing = await http.post("/api/letters/replays/4/undo")
    no_numbers = [
        (await http.post(f"/api/letters/replays/{each}/undo")).status_code
        for each in ("x", "-1", "9" * 19, "²")
    ]
    (told,) = (await http.get("/api/letters/replays")).json()

    assert (sent.status_code, sent.json()["replay"], sent.json()["jobs"]) == (202, 3, 412)
    assert control.letters.asked == [ReplayOrder(group=GROUP, rate=10.0)]
    assert (edited.status_code, control.letters.edited) == (
        202,
        [("dead-1", EditOrder({"filePath": "b.mp4"}))],
    )
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "data: filePath is missing")
    assert undone.json() == {"replay": 3, "jobs": 400, "left": 12}
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/unknown-replay")
    assert no_numbers == [404] * 4
    assert told["states"] == {"pending": 400, "completed": 12}


async def test_a_purge_is_an_order_of_its_own(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    purged = await http.post("/api/letters/purge", json={"older": 3600, "dryRun": True})
    slip = await http.post("/api/letters/purge", json={"olde": 3600})

    assert (purged.status_code, purged.json()["jobs"]) == (200, 412)
    assert control.letters.asked == [Chosen(older=3600.0, dry_run=True)]
    assert slip.status_code == 400


async def test_letters_go_out_and_in_as_lines(
    http: httpx.AsyncClient, control: FakeControl
) -> None:
    out = await http.get("/api/letters/export", params={"group": GROUP, "limit": 2})
    taken = await http.post("/api/letters/import", content=out.content + b"broken", headers=LINES)
    many = b"{}\n" * (MOST_LINES + 1)
    refused = await http.post("/api/letters/import", content=many, headers=LINES)

    assert out.headers["content-type"].startswith("application/x-ndjson")
    assert (out.content, control.letters.asked) == (LINE * 2, [Chosen(group=GROUP, limit=2)])
    assert taken.json() == {"taken": 2, "known": 0, "refused": [{"line": 3, "why": "no JSON"}]}
    assert control.letters.lines == [LINE.strip()] * 2 + [b"broken"]
    assert refused.status_code == 422


def test_a_client_reads_and_hands_in_lines(control: FakeControl, tmp_path: Path) -> None:
    with running(control, tmp_path / "s.sock"), Client(tmp_path / "s.sock") as client:
        lines = list(client.lines("/api/letters/export", query={"limit": 2, "pool": None}))
        taken = client.hand_in("/api/letters/import", b"".join(lines), TakenIn)

    assert lines == [LINE] * 2
    assert msgspec.structs.astuple(taken) == (2, 0, ())
