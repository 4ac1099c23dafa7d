"""The nine queues of the example, with every job type, against servers on loopback."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from supervisor.client import Client
from supervisor.core.records import JobFilter
from supervisor.desks.pools import PoolView
from supervisor_client import Client as Publisher
from tests.support.http_service import Service, http_service
from tests.support.program import REPOSITORY, Program
from tests.support.smtp_server import MailServer, mail_server

pytestmark = [pytest.mark.journey, pytest.mark.timeout(90)]

EXAMPLE = REPOSITORY / "examples" / "nine_queues" / "supervisor.yaml"
PAGE = EXAMPLE.with_name("README.md").read_text()
POOLS = {
    "workflow": 5,
    "tool_execution": 10,
    "llm_requests": 3,
    "notifications": 20,
    "webhooks": 10,
    "email": 5,
    "data_processing": 3,
    "cache_warmup": 2,
}
TYPED = [
    ("workflow", "scheduled_publish", {"content": "news"}),
    ("tool_execution", "web_scraping", {"path": "page"}),
    ("llm_requests", "ai_text_generation", {"prompt": "write"}),
    ("llm_requests", "ai_image_generation", {"prompt": "draw"}),
    ("notifications", "user:notification", {"message": "done"}),
    ("email", "email:send", {"to": "busy@b.c", "subject": "Hello", "text": "you"}),
    ("data_processing", "data:export", {"source": "rows.jsonl", "target": "rows.csv"}),
    ("data_processing", "file:process", {"filePath": "rows.jsonl"}),
    ("cache_warmup", "cache:warm", {"paths": ["a", "b"]}),
]


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def service() -> Iterator[Service]:
    with http_service() as server:
        yield server


@pytest.fixture
def program(tmp_path: Path, mail: MailServer, service: Service, driver: str) -> Iterator[Program]:
    program = Program(tmp_path, {})
    program.config.write_text(EXAMPLE.read_text())
    media = tmp_path / "state" / "media"
    media.mkdir(parents=True)
    (media / "rows.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    program.start(
        BROKER_URL=driver,
        STATE_FOLDER=str(tmp_path / "state"),
        BASE_URL=service.url,
        MODEL_URL=service.url,
        WEBHOOK_URL=f"{service.url}hook",
        SMTP_HOST="127.0.0.1",
        SMTP_PORT=str(mail.port),
    )
    yield program
    assert program.stop() == 0, program.log[-3000:]
    assert "Traceback" not in program.log


def test_every_type_of_job_is_done_by_its_processor(
    program: Program, mail: MailServer, service: Service
) -> None:
    with Publisher(program.socket) as client:
        ids = {
            kind: client.add_job(pool, {"type": kind, "payload": payload, "userId": "user1"}).id
            for pool, kind, payload in TYPED
        }
    untyped = [
        *program.submit("workflow", {"steps": [{"path": "one"}]}),
        *program.submit("tool_execution", {"path": "busy", "tool": "search"}),
        *program.submit("webhooks", {"payload": {"order": 7}}),
    ]
    (unknown,) = program.submit("email", {"type": "email:sent", "payload": {}})
    (malformed,) = program.submit("llm_requests", {"type": "ai_text_generation", "payload": {}})
    (refused,) = program.submit(
        "email", {"type": "email:send", "payload": {"to": "nobody@b.c", "subject": "Hello"}}
    )

    for job_id in (*ids.values(), *untyped):
        _wait_for(program, job_id, "completed")
    for job_id in (unknown, malformed, refused):
        _wait_for(program, job_id, "failed")

    assert len(mail.mail_for("busy@b.c")) == 1
    assert program.job(ids["email:send"]).attempts == 1
    assert len(service.of("/busy")) == 2
    assert (program.folder / "state/media/rows.csv").read_text() == "id\n1\n2\n"
    assert {kind: program.job(job_id).name for kind, job_id in ids.items()} == {
        kind: kind for kind in ids
    }
    assert {program.job(job_id).sender for job_id in ids.values()} == {"user1"}
    _told(program, unknown, "email", "unknown_type", "it knows: email:send")
    _told(program, malformed, "llm_requests", "bad_message", "payload.prompt: is missing")
    _told(program, refused, "email", "refused", "550 there is nobody")
    _shown(program)
    _followed(program, service)


def _wait_for(program: Program, job_id: str, state: str) -> None:
    def is_there() -> bool:
        return program.job(job_id).state.value == state

    program.wait_until(is_there, f"{job_id} to be {state}: {program.job(job_id)}")


def _told(program: Program, job_id: str, queue: str, code: str, said: str) -> None:
    """Check how a dead letter of the shared queue is known."""
    job = program.job(job_id)
    assert job.error is not None
    assert (job.queue, job.error.code) == (queue, code)
    assert job.name
    assert said in job.error.message


def _shown(program: Program) -> None:
    """Check what is told of the pools, and of the jobs of one type."""
    with Client(program.socket) as client:
        jobs = client.jobs(JobFilter(name="email:send"))
        pools = client.ask("GET", "/api/pools", tuple[PoolView, ...])
    assert {(job.queue, job.name) for job in jobs} == {("email", "email:send")}
    assert {pool.name: pool.concurrency for pool in pools} == POOLS
    assert {pool.dead_letter for pool in pools} == {"dead_letter"}


def _followed(program: Program, service: Service) -> None:
    """Check that what the example's page has follow a job does so."""
    (command,) = (block for block in PAGE.split("```") if "--then" in block)
    _, _, order = command.replace("\\\n", " ").partition(" publish ")

    state = str(program.folder / "state")

    done = program.cli("publish", *shlex.split(order), STATE_FOLDER=state)

    assert done.returncode == 0, done.stderr
    assert "2 of 2 completed" in done.stdout
    assert (program.folder / "state/media/ana.csv").exists()
    notified = {"userId": "ana", "message": "Your rows are there", "channel": "push"}
    assert notified in [asked.body for asked in service.of("/notifications")]


def test_the_example_has_the_concurrency_and_rates_of_the_nine_queues() -> None:
    written = msgspec.yaml.decode(EXAMPLE.read_bytes())["workers"]

    assert {name: pool["concurrency"] for name, pool in written.items()} == POOLS
    assert {pool["dead_letter"] for pool in written.values()} == {"dead_letter"}
    assert {name: pool["limits"] for name, pool in written.items() if "limits" in pool} == {
        "tool_execution": {"rate": "100/s"},
        "llm_requests": {"rate": "10/s"},
    }
