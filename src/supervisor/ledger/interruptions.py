"""Jobs that come back without an outcome: their worker died, stopped, or they are moved aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, case, update

from supervisor.core.records import JobState
from supervisor.ledger import attempts
from supervisor.ledger.attempts import Ending, close_run
from supervisor.ledger.conditions import (
    THIS_JOB,
    TRACE_AGAIN,
    UNFINISHED,
    Trace,
    job_key,
)
from supervisor.ledger.tables import TRACED, jobs
from supervisor.ledger.values import stamp_after

INTERRUPTED = "interrupted"
CRASHED = "crashed"

_crash = (
    update(jobs)
    .where(THIS_JOB, UNFINISHED)
    .values(
        state=JobState.WAITING.value,
        worker="",
        crashes=jobs.c.crashes + 1,
        crash=bindparam("the_exit"),
        suspect_cleared=False,
        trace=TRACE_AGAIN,
    )
)
_release = (
    update(jobs)
    .where(THIS_JOB, UNFINISHED, jobs.c.state == JobState.ACTIVE.value)
    .values(state=JobState.WAITING.value, worker="", trace=TRACE_AGAIN)
)
_deferral = (
    update(jobs)
    .where(THIS_JOB, UNFINISHED)
    .values(
        state=bindparam("the_state"),
        worker="",
        seq=bindparam("the_seq"),
        confirmed=False,
        due_at=bindparam("the_due"),
        suspect_cleared=jobs.c.crashes > 0,
        trace=TRACE_AGAIN,
    )
)
_release_all = (
    update(jobs)
    .where(jobs.c.state == JobState.ACTIVE.value)
    .values(state=JobState.WAITING.value, worker="")
)
# Of a finished job nobody can tell any more whether its ack was written: to drop its redelivery
# might drop another job's message, to run it again is only a job done twice.
_traces_after_a_restart = (
    update(jobs)
    .where(TRACED)
    .values(trace=case((UNFINISHED, Trace.OPEN.value), else_=Trace.NONE.value))
)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is about to be published, to come back after ``delay`` seconds."""

    seq: int
    delay: float


def crash(
    connection: Connection, queue: str, job_ids: Sequence[str], *, death: Ending, now: datetime
) -> None:
    """Blame a worker's death on the jobs it had started; they wait to be delivered again."""
    for job_id in job_ids:
        connection.execute(_crash, job_key(queue, job_id) | {"the_exit": death.exit})
        close_run(connection, queue, job_id, ending=death, now=now)


def release(connection: Connection, queue: str, job_ids: Sequence[str], *, now: datetime) -> None:
    """Take jobs out of a worker's hand and blame them for nothing."""
    for job_id in job_ids:
        connection.execute(_release, job_key(queue, job_id))
        close_run(connection, queue, job_id, ending=Ending(code=INTERRUPTED), now=now)


def defer(connection: Connection, queue: str, job_id: str, *, copy: Copy, now: datetime) -> bool:
    """Commit the next copy, its number and its delay, before it is published."""
    values = {
        "the_state": (JobState.DELAYED if copy.delay > 0 else JobState.WAITING).value,
        "the_seq": copy.seq,
        "the_due": stamp_after(now, copy.delay) if copy.delay > 0 else None,
    }
    done = connection.execute(_deferral, job_key(queue, job_id) | values).rowcount == 1
    close_run(connection, queue, job_id, ending=Ending(code=INTERRUPTED), now=now)
    return done


def recover(connection: Connection, *, now: datetime) -> int:
    """Release all that an earlier coordinator had in hand; return how many jobs that were."""
    released = connection.execute(_release_all).rowcount
    attempts.close_all(connection, code=INTERRUPTED, now=now)
    connection.execute(_traces_after_a_restart)
    return released
