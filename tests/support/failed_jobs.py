"""Jobs that failed for good in a ledger, and what is asked and done about them."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import select

from consumers.desk import DeadLetter
from consumers.jobs import Properties
from consumers.outcome import Failure
from consumers.topology import pool_queues
from supervisor.core.letters import LetterFilter
from supervisor.core.records import PoolCard
from supervisor.desks.letters import Replay
from supervisor.ledger import letters, replays
from supervisor.ledger.replays import Heading, Turn
from supervisor.ledger.store import Ledger
from supervisor.ledger.tables.jobs import jobs
from tests.support.ledgers import BODY, QUEUE, claim

POOL = "download"
CARD = PoolCard(POOL, pool_queues(QUEUE))
ALL = LetterFilter()


def a_letter(**changes: Any) -> DeadLetter:
    letter = DeadLetter(
        queue=QUEUE,
        dead_queue=f"{QUEUE}_dlq",
        body=BODY,
        properties=Properties(headers={"x-job-attempts": 2}),
        failure=Failure("row 17 is empty", code="bad_row", permanent=True),
        sender="user123",
        attempts=2,
    )
    return msgspec.structs.replace(letter, **changes)


async def bury(ledger: Ledger, job_id: str, **changes: Any) -> None:
    await ledger.bury(a_letter(**changes), job_id=job_id, pool=POOL)


async def fail_after_a_run(ledger: Ledger, job_id: str, seq: int = 0) -> None:
    """Have a job run, fail for the last time with a traceback, and be buried."""
    await ledger.begin(claim(job_id, seq=seq), job_id=job_id, pool=POOL, worker="w-1", attempt=1)
    at = 'Traceback (most recent call last):\n  File "/app/a.py", line 1, in f\nValueError: no\n'
    failure = Failure("ValueError: no", code="exception", traceback=at)
    await ledger.give_up(QUEUE, job_id, failure=failure, attempts=1, worker="w-1")
    told = msgspec.structs.replace(failure, traceback="")
    headers = {"x-job-seq": seq}
    await bury(ledger, job_id, failure=told, attempts=1, properties=Properties(headers=headers))


async def row(ledger: Ledger, job_id: str) -> Mapping[str, Any]:
    found = select(jobs).where(jobs.c.id == job_id)
    return await ledger.read(lambda connection: dict(connection.execute(found).mappings().one()))


async def ids(ledger: Ledger, wanted: LetterFilter) -> list[str]:
    found, _ = await ledger.read(partial(letters.page, wanted=wanted, limit=50, after=None))
    return [letter.id for letter in found]


async def replay(
    ledger: Ledger, *ids_: str, rate: float | None = None, body: bytes | None = None
) -> tuple[int, int]:
    now, pause = ledger.clock.utcnow(), 0.0 if rate is None else 1 / rate
    turns = [
        Turn(QUEUE, job_id, now + timedelta(seconds=number * pause))
        for number, job_id in enumerate(ids_)
    ]
    heading = Heading("some", rate, body=body)
    return await ledger.write(partial(replays.enter, heading=heading, turns=turns, now=now))


async def undo(ledger: Ledger, number: int) -> int:
    keys = await ledger.read(partial(replays.unbegun, replay=number))
    now = ledger.clock.utcnow()
    return await ledger.write(partial(replays.undo, replay=number, keys=keys, now=now))


async def told(ledger: Ledger, number: int) -> Replay:
    (found,) = await ledger.read(partial(replays.newest, limit=1, number=number))
    return found
