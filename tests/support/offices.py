"""A clerk with a real ledger in a file, and what workers say to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
from sqlalchemy import Connection
from typing_extensions import override

from consumers import jobs
from consumers.chains import Step
from consumers.desk import Claim, DeadLetter, Verdict
from consumers.jobs import Properties
from consumers.outcome import Failure
from consumers.topology import pool_queues
from supervisor.bulletin import Bulletin
from supervisor.clerk import Clerk, Telling
from supervisor.core.records import JobRecord, Notice, PoolCard
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.notify.english import TEXTS
from supervisor.ports import Event
from supervisor.recognition import LOOK_AGAIN
from tests.support.blank_ledgers import lay
from tests.support.clocks import START, WITHIN, FakeClock, settle
from tests.support.sessions import QUEUES
from workers.messages import JobError, JobResult, ResultPayload, Retrying

T = TypeVar("T")

CARD = PoolCard("download", QUEUES)
# Two pools, of which the second has what the first makes.
PREVIEW = PoolCard("preview", pool_queues("preview_queue"))
CHAINED = (PoolCard("download", QUEUES, then=(Step("preview"),)), PREVIEW)
BODY = b'{"link": "http://127.0.0.1/clip", "from": "ana"}'
FIRST = ("download-1", 1)  # worker and incarnation
SECOND = ("download-2", 1)


class MoodyLedger(Ledger):
    """A real ledger that refuses the next so many writes or reads, or is slow until ``gate``."""

    refusals = 0
    silences = 0  # reads that are refused
    gate: asyncio.Event | None = None

    @override
    def write(self, operation: Callable[[Connection], T]) -> asyncio.Future[T]:
        if self.gate is not None and not self.gate.is_set():
            return asyncio.ensure_future(self._write_late(operation, self.gate))
        if not self.refusals:
            return super().write(operation)
        self.refusals -= 1
        refused: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        refused.set_exception(LedgerError("ledger.db: database or disk is full"))
        return refused

    @override
    async def read(self, question: Callable[[Connection], T]) -> T:
        if self.silences:
            self.silences -= 1
            raise LedgerError("ledger.db: disk I/O error")
        return await super().read(question)

    async def _write_late(self, operation: Callable[[Connection], T], gate: asyncio.Event) -> T:
        await gate.wait()
        return await super().write(operation)


class Listener(Bulletin):
    """A bulletin that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    @override
    def publish(self, event: Event) -> None:
        self.events.append(event)
        super().publish(event)


@dataclass
class Office:
    """A clerk at work."""

    clerk: Clerk
    ledger: MoodyLedger
    clock: FakeClock
    bulletin: Listener
    pokes: list[str] = field(default_factory=list)

    @property
    def told(self) -> list[str]:
        return [event.name for event in self.bulletin.events]

    async def record(self, job_id: str = "j1") -> JobRecord:
        """Return a job as it is on the disk."""
        record = await self.ledger.show(job_id)
        assert record is not None
        return record

    async def notices(self) -> tuple[Notice, ...]:
        return await self.ledger.due(self.clock.utcnow(), 100)

    async def written(self) -> None:
        """Wait until everything handed in so far is on the disk."""
        await settle()
        await self.ledger.settle("no queue", "no job")

    async def stays_waiting(self, task: asyncio.Future[T]) -> bool:
        """Tell whether a task still waits after everything else has had its turn."""
        await settle()
        await self.ledger.counts()  # a question behind every other
        await settle()
        return not task.done()


async def an_office(folder: Path, *cards: PoolCard) -> AsyncIterator[Office]:
    """Open an office for these pools (or one), and close it after the test."""
    clock, bulletin, pokes = FakeClock(), Listener(), list[str]()
    ledger = await MoodyLedger.open(lay(folder / "ledger.db"), clock=clock)
    assert isinstance(ledger, MoodyLedger)
    telling = Telling(["log"], TEXTS, lambda: pokes.append("due"))
    clerk = Clerk(ledger, cards or [CARD], telling, bulletin, clock)
    clerk.followed = lambda: pokes.append("post")
    yield Office(clerk, ledger, clock, bulletin, pokes)
    await ledger.close()


def a_claim(job_id: str | None = "j1", *, body: bytes = BODY, **changes: object) -> Claim:
    """A claim on a download on behalf of ana."""
    properties = Properties(message_id=job_id)
    claim = Claim(
        queue=QUEUES.public,
        body=body,
        properties=properties,
        fingerprint=jobs.fingerprint(QUEUES.public, body, properties),
        job_id=job_id,
        sender="ana",
    )
    return msgspec.structs.replace(claim, **changes)


def a_result(job_id: str = "j1", *, call: int = 1, **changes: object) -> JobResult:
    """What the first worker says of a job that succeeded."""
    result = JobResult(
        worker_id=FIRST[0],
        timestamp=START,
        queue_name=QUEUES.public,
        payload=ResultPayload(()),
        call=call,
        job_id=job_id,
        result={"data": {"answer": 42}},
        duration=2.0,
    )
    return msgspec.structs.replace(result, **changes)


def made(*paths: str) -> dict[str, object]:
    """What a processor returns that made these files."""
    return {"files": [{"path": path} for path in paths]}


def an_error(job_id: str = "j1", *, retry: Retrying | None = None, **changes: object) -> JobError:
    """What the first worker says of a job that failed; without `retry` for the last time."""
    error = JobError(
        worker_id=FIRST[0],
        timestamp=START,
        error="no such host",
        queue_name=QUEUES.public,
        call=1,
        job_id=job_id,
        failure=Failure("no such host", code="network"),
        retry=retry,
        duration=2.0,
    )
    return msgspec.structs.replace(error, **changes)


def a_letter(job_id: str | None = "j1", *, body: bytes = BODY, **changes: object) -> DeadLetter:
    """A dead letter of ana's."""
    letter = DeadLetter(
        queue=QUEUES.public,
        dead_queue=QUEUES.dead,
        body=body,
        properties=Properties(message_id=job_id),
        failure=Failure("no such host", code="network", permanent=True),
        job_id=job_id,
        sender="ana",
        attempts=3,
    )
    return msgspec.structs.replace(letter, **changes)


async def answered(office: Office, claim: "asyncio.Future[Verdict]") -> Verdict:
    """Return the verdict on a claim that waits until others of its words are settled."""
    deadline = asyncio.get_running_loop().time() + WITHIN
    while not claim.done() and asyncio.get_running_loop().time() < deadline:
        await office.written()
        await office.clock.move(LOOK_AGAIN)
        await settle()
    return await asyncio.wait_for(claim, WITHIN)
