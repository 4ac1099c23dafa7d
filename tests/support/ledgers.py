"""Ledgers of each kind, a new one for every test, and jobs to put into them."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from consumers.desk import Claim, DeadLetter
from consumers.jobs import Properties, fingerprint
from consumers.outcome import Failure
from supervisor.core.records import JobRecord, JobState, NewJob, Notice
from supervisor.ledger import listing, pending, publishing
from supervisor.ledger.publishing import Posting
from supervisor.ledger.queues import Queues
from supervisor.ledger.rooms import room_of
from supervisor.ledger.store import Ledger
from tests.support.blank_ledgers import lay
from tests.support.brokers import skip_or_fail
from tests.support.clocks import FakeClock
from tests.support.postgresql import PrivatePostgres, programs

QUEUE = "clips"
NODE = "node-a"
BODY = b'{"link": "http://127.0.0.1/a.mp4", "from": "user123"}'


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL server, started once in a test run."""
    folder = programs()
    if folder is None:
        skip_or_fail("PostgreSQL is not installed: run `make test`, which sets it up")
        return
    with PrivatePostgres(folder) as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A ledger in a file of its own."""
    return lay(tmp_path / "ledger.db")


@pytest.fixture
def postgres_url(postgres: PrivatePostgres) -> Iterator[str]:
    """A ledger in a database of its own."""
    with postgres.database() as url:
        yield url


KINDS = (
    pytest.param("sqlite_url", id="sqlite"),
    pytest.param("postgres_url", id="postgresql", marks=pytest.mark.postgres),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run whatever needs a ledger on each kind, unless it asks for what only a file has."""
    if "ledger_url" in metafunc.fixturenames:
        needs_file = {"queues", "ledger_path"}.intersection(metafunc.fixturenames)
        metafunc.parametrize("ledger_url", KINDS[:1] if needs_file else KINDS, indirect=True)


@pytest.fixture
def ledger_url(request: pytest.FixtureRequest) -> str:
    """An empty ledger of each kind in turn."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
async def ledger(ledger_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
    """Each kind of ledger in turn, open."""
    opened = await Ledger.open(ledger_url, clock=clock, node=NODE)
    yield opened
    await opened.close()


@pytest.fixture
def ledger_path(ledger_url: str) -> Path:
    """The file of a ledger; who asks for it runs on SQLite alone."""
    return Path(ledger_url.removeprefix("sqlite:///"))


@pytest.fixture
async def server_ledger(postgres_url: str, clock: FakeClock) -> AsyncIterator[Ledger]:
    """A ledger in PostgreSQL, open."""
    opened = await Ledger.open(postgres_url, clock=clock, node=NODE)
    yield opened
    await opened.close()


@pytest.fixture
async def queues(ledger: Ledger) -> AsyncIterator[Queues]:
    """The embedded queues, which are in a file always."""
    opened = await Queues.open(ledger)
    yield opened
    await opened.close()


async def enter(
    ledger: Ledger, job: NewJob, *, state: JobState = JobState.PENDING
) -> tuple[JobRecord, bool]:
    """Enter a job; in another state than pending, it has been published."""
    now = ledger.clock.utcnow()
    is_new = await ledger.write(partial(pending.enter, job=job, now=now))
    if state is not JobState.PENDING:
        mine = [each for each in await to_publish(ledger) if each.id == job.id]
        await ledger.write(partial(publishing.stored, postings=mine, now=now))
    found = partial(listing.one, queue=job.queue, job_id=job.id, now=now)
    return await ledger.read(found), is_new


async def to_publish(ledger: Ledger, *pools: str) -> tuple[Posting, ...]:
    """Return what is pending, of these pools or of those that tests have."""
    named = pools or ("download", "cutter", "preview")
    return await ledger.read(
        partial(publishing.ready, pools=named, limit=1000, now=ledger.clock.utcnow())
    )


def downgrade(url: str, revision: str) -> None:
    """Take a ledger that no coordinator holds back to an older version."""
    room = room_of(url)
    config = Config()
    config.set_main_option("script_location", str(files("supervisor.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    with room.writing.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    room.release()


def ask(url: str, words: str) -> list[tuple[object, ...]]:
    """Ask or tell a ledger that no coordinator holds."""
    room = room_of(url)
    with room.writing.begin() as connection:
        done = connection.exec_driver_sql(words)
        rows = [tuple(row) for row in done] if done.returns_rows else []
    room.release()
    return rows


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


def letter(body: bytes = BODY, *, tag: int = 0, seq: int = 0) -> DeadLetter:
    return DeadLetter(
        queue=QUEUE,
        dead_queue=f"{QUEUE}_dlq",
        body=body,
        properties=Properties(headers={"x-job-attempts": 2, "x-job-seq": seq}),
        failure=Failure("the link is gone", code="not_found", permanent=True),
        sender="user123",
        attempts=2,
        tag=tag,
    )
