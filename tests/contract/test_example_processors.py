"""The processors of the nine queues, each against a server on loopback or files of its own."""

import gzip
import hashlib
import inspect
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from consumers.errors import MalformedError
from tests.support.contexts import FakeContext
from tests.support.http_service import PICTURE, Service, http_service
from tests.support.ports import free_port
from tests.support.smtp_server import MailServer, mail_server
from workers import registry
from workers.processor import HostError, Job, Reject, Result, Retry

ROOT = Path(__file__).parents[2]
NINE = "examples.nine_queues"
TOKEN = "of-the-service"  # noqa: S105 - of these tests


@pytest.fixture(autouse=True)
def _repository_as_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor of one's own is found from the directory the supervisor is started in."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as server:
        yield server


async def run(
    name: str, data: Mapping[str, object], media: Path, **options: object
) -> dict[str, object]:
    """Return what a processor made of a job."""
    processor = registry.load(f"{NINE}.{name}")
    registry.check(processor, data)
    job = Job(id="42", queue="jobs", data=data, sender="user1")
    result = processor.handle(job, FakeContext(media=media, options=options))
    if inspect.isawaitable(result):
        result = await result
    assert isinstance(result, Result)
    return dict(result.data) | ({"warnings": result.warnings} if result.warnings else {})


# --- mail --------------------------------------------------------------------------------------


async def test_a_message_is_handed_to_the_mail_server(mail: MailServer, tmp_path: Path) -> None:
    letter = {"to": ["a@b.c", "d@e.f"], "subject": "Hello", "text": "plain", "html": "<b>rich</b>"}

    data = await run("email_send", letter, tmp_path, host="127.0.0.1", port=mail.port)

    (message,) = mail.mail_for("d@e.f")
    assert data == {"accepted": 2}
    assert (message["Subject"], message["From"]) == ("Hello", "noreply@localhost")
    assert message["Message-ID"] == "<jobs.42@rabbit-supervisor>"
    assert [part.get_content_type() for part in message.walk()][1:] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("nobody@b.c", Reject, "550 there is nobody"),
        ("busy@b.c", Retry, "451 try again later"),
        ("hangup@b.c", Retry, "could not be reached"),
    ],
)
async def test_what_the_mail_server_says_decides_what_follows(
    mail: MailServer, tmp_path: Path, address: str, error: type[Exception], said: str
) -> None:
    letter = {"to": address, "subject": "Hello"}

    with pytest.raises(error, match=said):
        await run("email_send", letter, tmp_path, host="127.0.0.1", port=mail.port)


async def test_one_refused_address_of_several_is_a_warning(
    mail: MailServer, tmp_path: Path
) -> None:
    letter = {"to": ["nobody@b.c", "a@b.c"], "subject": "Hello"}

    data = await run("email_send", letter, tmp_path, host="127.0.0.1", port=mail.port)

    assert data == {"accepted": 1, "warnings": ("nobody@b.c was refused",)}


async def test_a_mail_server_that_is_away_is_tried_again(tmp_path: Path) -> None:
    letter = {"to": "a@b.c", "subject": "Hello"}

    with pytest.raises(Retry, match="could not be reached"):
        await run("email_send", letter, tmp_path, host="127.0.0.1", port=free_port())


@pytest.mark.parametrize(
    ("to", "subject"),
    [("a@b.c", "Hello\r\nBcc: all@b.c"), ("a@b.c", "Hello\n"), ("a@b.c\n", "Hello")],
)
async def test_no_header_can_be_smuggled_in(tmp_path: Path, to: str, subject: str) -> None:
    with pytest.raises(MalformedError, match=r"^(to|subject): "):
        await run("email_send", {"to": to, "subject": subject}, tmp_path)


# --- a service ---------------------------------------------------------------------------------


async def test_a_text_is_generated(service: Service, tmp_path: Path) -> None:
    data = await run(
        "ai_text", {"prompt": "x"}, tmp_path, base_url=service.url, model="m", token=TOKEN
    )

    (asked,) = service.asked
    assert data == {"text": "a text", "usage": {"tokens": 3}}
    assert (asked.path, asked.key, asked.token) == (
        "/chat/completions",
        "jobs/42",
        f"Bearer {TOKEN}",
    )
    assert asked.body == {
        "model": "m",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "x"}],
    }


async def test_a_picture_is_kept_in_the_media_folder(service: Service, tmp_path: Path) -> None:
    data = await run("ai_image", {"prompt": "draw"}, tmp_path, base_url=service.url)

    assert (tmp_path / str(data["file"])).read_bytes() == PICTURE


async def test_an_answer_of_another_shape_is_tried_again(service: Service, tmp_path: Path) -> None:
    with pytest.raises(Retry, match="without a text"):
        await run("ai_text", {"prompt": "x"}, tmp_path, base_url=f"{service.url}elsewhere")


async def test_a_page_is_read_as_a_reader_sees_it(service: Service, tmp_path: Path) -> None:
    data = await run("web_scrape", {"path": "page"}, tmp_path, base_url=service.url)

    assert (data["title"], data["text"]) == ("A page", "Words to read on")
    assert data["links"] == [service.url.replace("/v1/", "/next")]


@pytest.mark.parametrize(
    "path", ["http://127.0.0.1:1/", "../../x", "/../x", "a/%2e%2e/../x", "\\..\\x"]
)
async def test_no_path_leads_away_from_the_configured_service(
    service: Service, tmp_path: Path, path: str
) -> None:
    with pytest.raises(Reject, match="leads away"):
        await run("web_scrape", {"path": path}, tmp_path, base_url=service.url)

    assert service.asked == []


async def test_a_busy_service_says_when_to_come_again(service: Service, tmp_path: Path) -> None:
    with pytest.raises(Retry) as later:
        await run("tool_call", {"path": "busy"}, tmp_path, base_url=service.url)

    assert later.value.after == 1.0


async def test_what_a_service_will_never_want_is_final(service: Service, tmp_path: Path) -> None:
    with pytest.raises(Reject, match="answered 404"):
        await run("tool_call", {"path": "never"}, tmp_path, base_url=service.url)
    with pytest.raises(Retry, match="answered 500"):
        await run("tool_call", {"path": "broken"}, tmp_path, base_url=service.url)


async def test_without_an_address_the_worker_is_held(tmp_path: Path) -> None:
    check = registry.load(f"{NINE}.tool_call").check_host
    assert check is not None

    with pytest.raises(HostError, match="no http address"):
        check(FakeContext(media=tmp_path, options={"base_url": ""}))


async def test_a_workflow_hands_each_answer_to_the_next_step(
    service: Service, tmp_path: Path
) -> None:
    steps = [{"path": "one", "body": {"a": 1}}, {"path": "two"}]

    data = await run("workflow", {"steps": steps}, tmp_path, base_url=service.url)

    assert data == {"steps": 2, "answer": {"at": "/two"}}
    assert [(asked.key, asked.body) for asked in service.asked] == [
        ("jobs/42/1", {"a": 1, "previous": {}}),
        ("jobs/42/2", {"previous": {"at": "/one"}}),
    ]


async def test_notices_posts_and_pages_reach_the_service(service: Service, tmp_path: Path) -> None:
    await run("notify_user", {"message": "done"}, tmp_path, base_url=service.url)
    post = await run("publish_post", {"content": "news"}, tmp_path, base_url=service.url)
    warm = await run("cache_warm", {"paths": ["a", "never"]}, tmp_path, base_url=service.url)

    (notice,) = service.of("/notifications")
    assert notice.body == {"userId": "user1", "message": "done", "channel": "push"}
    assert post == {"post": "post-1"}
    assert warm["warm"] == 1
    assert "never: 127.0.0.1 answered 404" in str(warm["warnings"])


async def test_a_cache_that_stays_cold_altogether_has_failed(
    service: Service, tmp_path: Path
) -> None:
    with pytest.raises(Retry, match="answered 500"):
        await run("cache_warm", {"paths": ["never", "broken"]}, tmp_path, base_url=service.url)


# --- files -------------------------------------------------------------------------------------


async def test_rows_are_exported(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "name": "a,b"}\n{"id": 2, "x": 3}\n')
    as_csv = {"source": "rows.jsonl", "target": "out/rows.csv"}

    data = await run("data_export", as_csv, tmp_path)
    await run("data_export", {**as_csv, "target": "rows.json", "format": "json"}, tmp_path)

    assert data == {"file": "out/rows.csv", "rows": 2}
    assert (tmp_path / "out/rows.csv").read_text() == 'id,name\n1,"a,b"\n2,\n'
    assert json.loads((tmp_path / "rows.json").read_text())[1] == {"id": 2, "x": 3}


async def test_a_bad_row_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\nnonsense\n')

    with pytest.raises(Reject, match="line 2"):
        await run("data_export", {"source": "rows.jsonl", "target": "rows.csv"}, tmp_path)

    assert os.listdir(tmp_path) == ["rows.jsonl"]  # noqa: PTH208 - names, at once


async def test_a_file_is_packed_or_told_by_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"data")

    told = await run("file_process", {"filePath": "a.bin"}, tmp_path)
    packed = await run("file_process", {"filePath": "a.bin", "do": "gzip"}, tmp_path)

    assert told == {"sha256": hashlib.sha256(b"data").hexdigest()}
    assert gzip.decompress((tmp_path / str(packed["file"])).read_bytes()) == b"data"


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "link/secret", "."])
async def test_no_job_reaches_beyond_the_media_folder(tmp_path: Path, name: str) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (tmp_path / "secret").write_text("secret")
    (media / "link").symlink_to(tmp_path)

    with pytest.raises(Reject) as refused:
        await run("file_process", {"filePath": name}, media)

    assert refused.value.code == "outside"
