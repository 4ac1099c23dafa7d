"""Ledgers in a test's own folder, and jobs to put into them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumers.desk import Claim, DeadLetter
from consumers.jobs import Properties, fingerprint
from consumers.outcome import Failure
from supervisor.core.records import NewJob, Notice
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from tests.support.clocks import FakeClock

QUEUE = "clips"
BODY = b'{"link": "http://127.0.0.1/a.mp4", "from": "user123"}'


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty ledger of each kind in turn."""
    return f"{request.param}:///{tmp_path}/ledger.db"


@pytest.fixture
async def ledger(ledger_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(ledger_url, clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
async def queues(ledger: Ledger) -> AsyncIterator[Queues]:
    opened = await Queues.open(ledger)
    yield opened
    await opened.close()


def claim(job_id: str | None = "job-1", *, body: bytes = BODY, seq: int = 0, tag: int = 0) -> Claim:
    """A claim on a delivery; without `job_id` it is known by its fingerprint only."""
    properties = Properties(message_id=job_id)
    return Claim(
        queue=QUEUE,
        body=body,
        properties=properties,
        fingerprint=fingerprint(QUEUE, body, properties),
        job_id=job_id,
        sender="user123",
        seq=seq,
        tag=tag,
    )


def new_job(job_id: str = "job-1", *, delay: float = 0.0) -> NewJob:
    return NewJob(
        id=job_id,
        pool="download",
        queue=QUEUE,
        body=BODY,
        properties=Properties(message_id=job_id),
        sender="user123",
        delay=delay,
    )


def notice(job_id: str = "job-1", *, sink: str = "log", event: str = "job.completed") -> Notice:
    return Notice(
        key=f"{QUEUE}/{job_id}",
        event=event,
        sink=sink,
        queue=QUEUE,
        job_id=job_id,
        sender="user123",
        text="Your video is ready.",
        body=b"{}",
    )


def letter(body: bytes = BODY, *, tag: int = 0) -> DeadLetter:
    return DeadLetter(
        queue=QUEUE,
        dead_queue=f"{QUEUE}_dlq",
        body=body,
        properties=Properties(headers={"x-job-attempts": 2}),
        failure=Failure("the link is gone", code="not_found", permanent=True),
        sender="user123",
        attempts=2,
        tag=tag,
    )
