"""Jobs that come back without an outcome: their worker died, stopped, or they are moved aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, case, null, or_, update

from supervisor.core.records import Charge, JobState
from supervisor.ledger.attempts import Ending, close_run
from supervisor.ledger.conditions import (
    THIS_JOB,
    TRACE_AGAIN,
    UNFINISHED,
    job_key,
)
from supervisor.ledger.numbers import newest
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import stamp_after

INTERRUPTED = "interrupted"

_crash = (
    update(jobs)
    .where(THIS_JOB, UNFINISHED)
    .values(
        state=JobState.WAITING.value,
        worker="",
        crashes=jobs.c.crashes + bindparam("the_crash"),
        timeouts=jobs.c.timeouts + bindparam("the_timeout"),
        memory_crashes=jobs.c.memory_crashes + bindparam("the_memory_crash"),
        crash=bindparam("the_exit"),
        charge=bindparam("the_charge"),
        is_shared=bindparam("the_sharing"),
        suspect_cleared=False,
        trace=TRACE_AGAIN,
    )
)
_release = (
    update(jobs)
    .where(THIS_JOB, UNFINISHED, jobs.c.state == JobState.ACTIVE.value)
    .values(state=JobState.WAITING.value, worker="", trace=TRACE_AGAIN)
)
# Not if a newer copy is stored or pending, which nobody knew when the delivery was judged.
_IS_NEWEST = or_(
    jobs.c.seq < bindparam("the_seq"),
    and_(~jobs.c.confirmed, jobs.c.state != JobState.PENDING.value),
)
_NEXT = case((jobs.c.seq < bindparam("the_seq"), bindparam("the_seq")), else_=jobs.c.seq + 1)
_deferral = (
    update(jobs)
    .where(THIS_JOB, UNFINISHED, _IS_NEWEST)
    .values(
        state=bindparam("the_state"),
        worker="",
        seq=_NEXT,
        confirmed=False,
        due_at=bindparam("the_due"),
        suspect_cleared=jobs.c.crashes + jobs.c.memory_crashes > 0,
        trace=TRACE_AGAIN,
    )
)
# How its last worker died is kept: a suspect it remains, and runs alone there too.
_move = (
    update(jobs)
    .where(THIS_JOB, UNFINISHED, _IS_NEWEST)
    .values(
        state=JobState.WAITING.value,
        worker="",
        pool=bindparam("the_pool"),
        moved_to=bindparam("the_pool"),
        seq=_NEXT,
        confirmed=False,
        due_at=null(),
        crashes=0,
        timeouts=0,
        memory_crashes=0,
        suspect_cleared=False,
        trace=TRACE_AGAIN,
    )
)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is about to be published, to come back after ``delay`` seconds.

    Its number is at least ``seq``; the ledger gives the next one.
    """

    seq: int
    delay: float


@dataclass(frozen=True, slots=True)
class Move:
    """A copy that is about to be published for another pool."""

    seq: int
    pool: str


@dataclass(frozen=True, slots=True)
class WorkerDeath:
    """How a worker died, in words, and what that counts as for the jobs it had started."""

    worker: str
    words: str
    charge: Charge

    @property
    def ending(self) -> Ending:
        """Return how the runs in its hands ended."""
        how = {Charge.CRASH: "died", Charge.TIMEOUT: "was killed"}.get(
            self.charge, "needed too much memory"
        )
        error = f"worker {self.worker} {how}: {self.words}"
        return Ending(error=error, code=self.charge.value, exit=self.words)


def crash(
    connection: Connection,
    queue: str,
    job_ids: Sequence[str],
    *,
    death: WorkerDeath,
    now: datetime,
) -> None:
    """Blame a worker's death on the jobs it had started; they wait to be delivered again."""
    counted = {
        "the_exit": death.words,
        "the_charge": death.charge.value,
        "the_crash": death.charge is not Charge.MEMORY,
        "the_timeout": death.charge is Charge.TIMEOUT,
        "the_memory_crash": death.charge is Charge.MEMORY,
        "the_sharing": len(job_ids) > 1,
    }
    for job_id in job_ids:
        connection.execute(_crash, job_key(queue, job_id) | counted)
        close_run(connection, queue, job_id, ending=death.ending, now=now)


def release(
    connection: Connection, queue: str, job_ids: Sequence[str], *, end: Ending, now: datetime
) -> None:
    """Take jobs out of a worker's hand and blame them for nothing."""
    for job_id in job_ids:
        connection.execute(_release, job_key(queue, job_id))
        close_run(connection, queue, job_id, ending=end, now=now)


def defer(connection: Connection, queue: str, job_id: str, *, copy: Copy, now: datetime) -> int:
    """Commit the next copy and its delay before it is published; return its number.

    0: the job has its outcome, or a newer copy, and nothing is changed.
    """
    values = {
        "the_state": (JobState.DELAYED if copy.delay > 0 else JobState.WAITING).value,
        "the_seq": copy.seq,
        "the_due": stamp_after(now, copy.delay) if copy.delay > 0 else None,
    }
    done = connection.execute(_deferral, job_key(queue, job_id) | values).rowcount == 1
    close_run(connection, queue, job_id, ending=Ending(code=INTERRUPTED), now=now)
    return newest(connection, queue, job_id) if done else 0


def move(connection: Connection, queue: str, job_id: str, *, move: Move, now: datetime) -> int:
    """Commit the next copy before it is published for another pool; return its number.

    0: the job has its outcome, or a newer copy, and nothing is changed.
    """
    values = {"the_seq": move.seq, "the_pool": move.pool}
    done = connection.execute(_move, job_key(queue, job_id) | values).rowcount == 1
    close_run(connection, queue, job_id, ending=Ending(code=INTERRUPTED), now=now)
    return newest(connection, queue, job_id) if done else 0
