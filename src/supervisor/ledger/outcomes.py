"""How a run of a job ended. The first outcome of a job wins; what comes later changes nothing.

Outcome, closed attempt, notices and, for the embedded queues, the ack are one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, null, update

from consumers.desk import DeadLetter
from consumers.jobs import Priority, number_of
from consumers.outcome import Completed, Failure
from supervisor.core.records import JobState, Kin, NewJob, Notice, Relative
from supervisor.ledger import chains, outbox, rows
from supervisor.ledger.attempts import WELL, Ending, close_run
from supervisor.ledger.conditions import THIS_JOB, UNFINISHED, Trace, job_key
from supervisor.ledger.dialects import insert
from supervisor.ledger.letters import group_for
from supervisor.ledger.messages import remove
from supervisor.ledger.numbers import newest
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import pack, stamp, stamp_after

_completion = Prepared(
    update(jobs)
    .where(THIS_JOB, UNFINISHED)
    .values(
        state=JobState.COMPLETED.value,
        worker=bindparam("the_worker"),
        result=bindparam("the_result"),
        duration=bindparam("the_duration"),
        finished_at=bindparam("the_moment"),
        progress=100,
        error=null(),
        due_at=null(),
    )
    .returning(jobs.c.parent_id, jobs.c.root_id)
)
_cancellation = Prepared(
    update(jobs)
    .where(THIS_JOB, UNFINISHED)
    .values(
        state=JobState.CANCELLED.value,
        worker=bindparam("the_worker"),
        finished_at=bindparam("the_moment"),
        due_at=null(),
    )
)
_retry = Prepared(
    update(jobs)
    .where(THIS_JOB, UNFINISHED)
    .values(
        state=JobState.DELAYED.value,
        worker="",
        error=bindparam("the_error"),
        attempts=bindparam("the_attempts"),
        seq=jobs.c.seq + 1,
        confirmed=False,
        due_at=bindparam("the_due"),
    )
)
_last_failure = Prepared(
    update(jobs)
    .where(THIS_JOB, UNFINISHED)
    .values(error=bindparam("the_error"), attempts=bindparam("the_attempts"), given_up=True)
)
# The ack went with the outcome: no redelivery can be this job.
_nothing_owed = Prepared(
    update(jobs).where(THIS_JOB).values(trace=Trace.NONE.value, confirmed=True)
)

_letter = insert(jobs)
_new = _letter.excluded
_burial = _letter.on_conflict_do_update(
    index_elements=[jobs.c.queue, jobs.c.id],
    # A letter may come twice, and the second time when its job has begun a new life.
    where=and_(UNFINISHED, jobs.c.life <= bindparam("the_copy")),
    set_={
        "state": _new.state,
        "body": _new.body,
        "properties": _new.properties,
        "error": _new.error,
        "error_group": _new.error_group,
        "finished_at": _new.finished_at,
        "due_at": null(),
        "attempts": case((_new.attempts > jobs.c.attempts, _new.attempts), else_=jobs.c.attempts),
    },
).returning(jobs.c.parent_id, jobs.c.root_id)


@dataclass(frozen=True, slots=True)
class Hand:
    """A job in a worker's hand; ``tag`` is its message in the embedded queues, 0 elsewhere."""

    queue: str
    job_id: str
    worker: str = ""
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Setback:
    """A failed attempt whose copy comes back after ``delay`` seconds."""

    failure: Failure
    delay: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Sequel:
    """What comes of a completed job: who is told of it, and which jobs follow."""

    notices: Sequence[Notice] = ()
    followers: Sequence[NewJob] = ()


def complete(
    connection: Connection, hand: Hand, completed: Completed, *, sequel: Sequel, now: datetime
) -> bool:
    """Record a result; False, and nothing changed, if the job has its outcome already."""
    values = job_key(hand.queue, hand.job_id) | {
        "the_worker": hand.worker,
        "the_result": pack(completed.result),
        "the_duration": completed.duration,
        "the_moment": stamp(now),
    }
    row = _completion.run(connection, values).one_or_none()
    if row is None:
        return False
    if sequel.followers:
        parent = Relative(hand.queue, hand.job_id)
        chains.follow(connection, parent, sequel.followers, now=now)
    notices = _of_its_own(row, sequel.notices)
    _finish(connection, hand, ending=WELL, notices=notices, now=now)
    return True


def cancel(connection: Connection, hand: Hand, *, now: datetime) -> bool:
    """Record that a job was stopped by request; False if it has its outcome already."""
    values = {"the_worker": hand.worker, "the_moment": stamp(now)}
    key = job_key(hand.queue, hand.job_id)
    if _cancellation.run(connection, key | values).rowcount != 1:
        return False
    _finish(connection, hand, ending=Ending(code="cancelled"), notices=(), now=now)
    return True


def retry(
    connection: Connection, hand: Hand, setback: Setback, *, now: datetime
) -> tuple[int, bool]:
    """Record a failed attempt before its copy is published; return the copy's number.

    The flag is False if the job is finished. Nothing is changed then, and the copy that carries
    the number returned is dropped when it comes.
    """
    values = job_key(hand.queue, hand.job_id) | {
        "the_error": pack(setback.failure),
        "the_attempts": setback.attempts,
        "the_due": stamp_after(now, setback.delay),
    }
    is_new = _retry.run(connection, values).rowcount == 1
    if is_new:
        ending = _failed(setback.failure)
        close_run(connection, hand.queue, hand.job_id, ending=ending, now=now)
    return newest(connection, hand.queue, hand.job_id), is_new


def give_up(
    connection: Connection, hand: Hand, failure: Failure, *, attempts: int, now: datetime
) -> bool:
    """Record the last failed attempt; the job stays what it is until its letter is buried."""
    values = {"the_error": pack(failure), "the_attempts": attempts}
    key = job_key(hand.queue, hand.job_id)
    if _last_failure.run(connection, key | values).rowcount != 1:
        return False
    close_run(connection, hand.queue, hand.job_id, ending=_failed(failure), now=now)
    return True


@dataclass(frozen=True, slots=True)
class Grave:
    """Where a dead letter is recorded."""

    job_id: str
    pool: str


def bury(
    connection: Connection,
    letter: DeadLetter,
    grave: Grave,
    *,
    notices: Sequence[Notice],
    now: datetime,
) -> Kin | None:
    """Record a dead letter, whether its job is known or not; None for a second copy.

    Returned is of which jobs it came.
    """
    row = _letter_row(letter, grave, now=now) | {
        "error_group": group_for(connection, letter.queue, grave.job_id, letter.failure),
        "the_copy": number_of(letter.properties),
    }
    buried = connection.execute(_burial, row).one_or_none()
    if buried is None:
        return None
    hand = Hand(letter.queue, grave.job_id, tag=letter.tag)
    notices = _of_its_own(buried, notices)
    _finish(connection, hand, ending=_failed(letter.failure), notices=notices, now=now)
    return rows.kin(buried)


def _of_its_own(kin: Row[*tuple[Any, ...]], notices: Sequence[Notice]) -> Sequence[Notice]:
    """Return what is told of a job by itself: of one that follows another its chain tells.

    The first of a chain knows that chain and no parent; one whose chain is lost, the reverse.
    """
    return () if kin.parent_id and kin.root_id else notices


def _letter_row(letter: DeadLetter, grave: Grave, *, now: datetime) -> dict[str, object]:
    return {
        "queue": letter.queue,
        "id": grave.job_id,
        "pool": grave.pool,
        "name": letter.name,
        "state": JobState.FAILED.value,
        "priority": Priority.NORMAL.value,
        "body": letter.body,
        "properties": pack(letter.properties),
        "sender": letter.sender,
        "noreply": letter.noreply,
        "fingerprint": letter.fingerprint,
        "attempts": letter.attempts,
        "error": pack(letter.failure),
        "created_at": stamp(now),
        "finished_at": stamp(now),
    }


def _finish(
    connection: Connection,
    hand: Hand,
    *,
    ending: Ending,
    notices: Sequence[Notice],
    now: datetime,
) -> None:
    close_run(connection, hand.queue, hand.job_id, ending=ending, now=now)
    outbox.add(connection, notices, now=now)
    if hand.tag:
        remove(connection, (hand.tag,))
        _nothing_owed.run(connection, job_key(hand.queue, hand.job_id))


def _failed(failure: Failure) -> Ending:
    return Ending(error=failure.message, code=failure.code, traceback=failure.traceback)
