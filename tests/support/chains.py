"""Chains of jobs in a ledger, without anybody who runs them, and who is told of their ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import msgspec
import pytest
from sqlalchemy import select

from supervisor.core.records import Chain, JobRecord, JobState, Notice, Relative
from supervisor.ledger import chains, next_copies, retention, withdrawals
from supervisor.ledger.chains import Ended
from supervisor.ledger.next_copies import Again
from supervisor.ledger.retention import Expired
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.tables.reports import notices
from tests.support.clocks import FakeClock
from tests.support.ledgers import QUEUE, claim, letter, new_job, notice

POOL = "download"
ROOT = Relative(QUEUE, "root")
DAY = timedelta(days=1)


@dataclass
class Told:
    """What was told of chains, and who tells it."""

    clock: FakeClock
    heard: list[tuple[str, Mapping[JobState, int], list[str]]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __call__(
        self, root: JobRecord, chain: Chain, others: Sequence[JobRecord]
    ) -> tuple[Notice, ...]:
        self.heard.append((root.id, chain.states, [other.id for other in others]))
        failed = (other for other in others if other.state is JobState.FAILED)
        self.failures += [other.error.message for other in failed if other.error]
        key = f"{root.queue}:{root.id}:chain:{self.clock.utcnow().strftime('%Y%m%dT%H%M%S.%f')}"
        return (msgspec.structs.replace(notice(root.id), key=key),)


@pytest.fixture
def told(clock: FakeClock) -> Told:
    return Told(clock)


async def settle(ledger: Ledger, told: Told) -> tuple[Ended, ...]:
    now = ledger.clock.utcnow()
    return (await ledger.write(partial(chains.settle, tell=told, now=now))).ended


async def begin(ledger: Ledger, job_id: str) -> None:
    await ledger.begin(claim(job_id), job_id=job_id, pool=POOL, worker="w-1", attempt=1)


async def complete(ledger: Ledger, job_id: str, *followers: str) -> bool:
    await begin(ledger, job_id)
    return await ledger.complete(
        QUEUE,
        job_id,
        worker="w-1",
        result={"files": []},
        duration=1.0,
        notices=() if followers else [notice(job_id)],
        followers=[new_job(follower) for follower in followers],
    )


async def fail(ledger: Ledger, job_id: str) -> None:
    await ledger.bury(letter(), job_id=job_id, pool=POOL, notices=[notice(job_id)])


async def shown(ledger: Ledger, job_id: str) -> JobRecord:
    record = await ledger.show(job_id)
    assert record is not None
    return record


async def keys_of_notices(ledger: Ledger) -> list[str]:
    wanted = select(notices.c.key).order_by(notices.c.number)
    return await ledger.read(lambda connection: list(connection.scalars(wanted)))


async def retry(ledger: Ledger, job_id: str) -> int:
    again = partial(next_copies.again, queue=QUEUE, job_id=job_id, copy=Again())
    return await ledger.write(partial(again, now=ledger.clock.utcnow()))


async def call_off(ledger: Ledger, job_id: str) -> bool:
    off = partial(withdrawals.call_off, queue=QUEUE, job_id=job_id, state=JobState.REMOVED)
    return await ledger.write(partial(off, now=ledger.clock.utcnow()))


async def erase(ledger: Ledger, job_id: str) -> bool:
    gone = partial(withdrawals.erase, queue=QUEUE, job_id=job_id, now=ledger.clock.utcnow() + DAY)
    return await ledger.write(gone)


async def clean(ledger: Ledger, state: JobState) -> int:
    """Remove what is in this state, however young; return how many jobs that were."""
    now, total, is_more = ledger.clock.utcnow(), 0, True
    expired = Expired(QUEUE, state, before=now + DAY)
    while is_more:
        remove = partial(retention.remove, expired=expired, limit=100, now=now)
        removed = await ledger.write(remove)
        total, is_more = total + removed.jobs, removed.frees
    return total


async def kept_by_chains(ledger: Ledger, state: JobState) -> int:
    """Return how many jobs in this state their chains keep, however young."""
    expired = Expired(QUEUE, state, before=ledger.clock.utcnow() + DAY)
    return await ledger.read(partial(retention.kept, expired=expired))


async def left(ledger: Ledger) -> set[str]:
    return await ledger.read(lambda connection: set(connection.scalars(select(jobs.c.id))))
