"""Logs over HTTP: the last lines, what came since, and what is refused."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from consumers.clock import SystemClock
from consumers.log_file import LogFile, path_of
from supervisor.api.server import ApiServer
from supervisor.log_files import LogFiles
from supervisor.logbook import Logbook
from tests.support.control import FakeControl


def _write(folder: Path, process: str, event: str, moment: int, **facts: object) -> None:
    file = LogFile(path_of(folder, process), 1_000_000)
    timestamp = f"2026-11-22T10:00:{moment:02}Z"
    said = {"event": event, "timestamp": timestamp, "level": "info", **facts}
    file.write(json.dumps(said))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    _write(folder, "download-1", "job taken", 1, job="j1")
    _write(folder, "supervisor", "worker crashed", 2, worker="download-1")
    _write(folder, "cutter-1", "job taken", 3, job="j2")
    return folder


@pytest.fixture
async def control(folder: Path) -> FakeControl:
    control = FakeControl()
    living = ["download-1", "cutter-1", "preview-1"]
    control.logs = Logbook(LogFiles(folder), SystemClock(), lambda: living)
    return control


@pytest.fixture
async def http(control: FakeControl, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    server = ApiServer(control, path := tmp_path / "s.sock")
    await server.start()
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://s", timeout=5) as client:
        yield client
    await server.stop()


async def test_the_last_lines_are_shown_with_whose_they_are(http: httpx.AsyncClient) -> None:
    page = (await http.get("/api/logs", params={"limit": 2})).json()

    assert [(line["process"], line["event"]) for line in page["lines"]] == [
        ("supervisor", "worker crashed"),
        ("cutter-1", "job taken"),
    ]
    assert (page["more"], page["gap"]) == (True, False)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"worker": "download-1"}, 2),
        ({"worker": "download"}, 2),
        ({"worker": ["cutter-1", "supervisor"]}, 2),
        ({"worker": "preview-1"}, 0),
        ({"job": "j2"}, 1),
        ({"level": "warning"}, 0),
        ({"since": "2026-11-22T10:00:02Z"}, 2),
        ({"limit": 0}, 0),
    ],
)
async def test_lines_are_chosen(
    http: httpx.AsyncClient, query: dict[str, str | int | list[str]], count: int
) -> None:
    assert len((await http.get("/api/logs", params=query)).json()["lines"]) == count


async def test_what_came_since_is_asked_for_with_where_one_was(
    http: httpx.AsyncClient, folder: Path
) -> None:
    before = (await http.get("/api/logs", params={"limit": 0})).json()
    _write(folder, "preview-1", "new here", 4)
    _write(folder, "cutter-1", "job done", 5)
    after = (await http.get("/api/logs", params={"after": before["next"]})).json()
    again = (await http.get("/api/logs", params={"after": after["next"]})).json()

    assert [line["event"] for line in after["lines"]] == ["new here", "job done"]
    assert again["lines"] == []


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ({"worker": ""}, 422, "worker"),
        ({"worker": "downlod-1"}, 404, "there are: supervisor, download-1, cutter-1, preview-1"),
        ({"level": "loud"}, 422, "level: must be one of debug, info"),
        ({"since": "yesterday"}, 422, "since"),
        ({"since": "2026-11-22T10:00:00"}, 422, "since: must say its time zone"),
        ({"after": "../../etc"}, 404, "after: must be the `next` of an earlier answer"),
        ({"limit": "5001"}, 422, "limit"),
        ({"follow": "true"}, 400, "follow: is no parameter here"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_name(
    http: httpx.AsyncClient, query: dict[str, str], status: int, detail: str
) -> None:
    answer = await http.get("/api/logs", params=query)

    assert answer.status_code == status
    assert detail in answer.json()["detail"]


async def test_that_nothing_is_kept_or_can_be_read_is_said(
    http: httpx.AsyncClient, control: FakeControl, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    said = []
    for is_kept in (False, True):
        control.logs = Logbook(LogFiles(tmp_path / "file"), SystemClock(), tuple, is_kept=is_kept)
        answer = await http.get("/api/logs")
        said.append((answer.status_code, answer.json()["detail"]))

    assert said == [
        (503, "no logs are kept here: logs.keep is 0 in the configuration"),
        (503, f"the logs in {tmp_path}/file cannot be read: Not a directory"),
    ]
