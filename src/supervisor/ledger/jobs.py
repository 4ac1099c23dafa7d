"""How a job gets into the ledger: entered by us before it is published, or met in a queue."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Connection,
    and_,
    case,
    false,
    not_,
    null,
    or_,
    text,
    true,
)

from consumers.desk import Claim
from supervisor.core.records import JobState
from supervisor.ledger import cancellations
from supervisor.ledger.attempts import Run, open_run
from supervisor.ledger.conditions import UNFINISHED, Trace
from supervisor.ledger.dialects import insert
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import pack, stamp

_ARRIVAL = (
    "queue",
    "id",
    "pool",
    "name",
    "max_attempts",
    "state",
    "priority",
    "body",
    "properties",
    "sender",
    "noreply",
    "fingerprint",
    "trace",
    "attempts",
    "seq",
    "worker",
    "limit_key",
    "created_at",
)
_arrival = insert(jobs)
_new = _arrival.excluded
# A job that has failed for good begins anew when somebody publishes a newer copy of it.
_REPLAYED = and_(jobs.c.state == JobState.FAILED.value, _new.seq > jobs.c.seq)
# A copy that came was stored; its original is all but surely acked, unless that was said.
_UNLESS_OWED = case((jobs.c.trace == Trace.OPEN.value, Trace.NONE.value), else_=jobs.c.trace)
_IS_COPY = and_(_new.trace == Trace.NONE.value, jobs.c.trace != Trace.NONE.value)
# A delivery of a known job: what the ledger knows already is never older than the message.
# A newer copy is stored, or going to be, since this one was granted: with other data perhaps.
_IS_STALE = and_(
    _new.seq < jobs.c.seq, or_(jobs.c.confirmed, jobs.c.state == JobState.PENDING.value)
)
# Plain, for in this clause SQLAlchemy would take `jobs` for a table of the subquery's own.
_IS_WANTED = text(
    "NOT EXISTS (SELECT 1 FROM cancellations AS wish WHERE wish.queue = jobs.queue"
    " AND wish.job_id = jobs.id AND wish.life = jobs.life)"
)
_claim = Prepared(
    _arrival.on_conflict_do_update(
        index_elements=[jobs.c.queue, jobs.c.id],
        where=or_(and_(UNFINISHED, not_(_IS_STALE), _IS_WANTED), _REPLAYED),
        set_={
            "state": _new.state,
            "worker": _new.worker,
            "node": _new.node,
            "priority": _new.priority,
            "fingerprint": case((_IS_COPY, jobs.c.fingerprint), else_=_new.fingerprint),
            "trace": case((_IS_COPY, _UNLESS_OWED), else_=_new.trace),
            "started_at": _new.started_at,
            "due_at": null(),
            "limit_key": _new.limit_key,
            "slot_at": null(),
            "progress": 0,
            "note": "",
            "attempts": case(
                (or_(_REPLAYED, _new.attempts > jobs.c.attempts), _new.attempts),
                else_=jobs.c.attempts,
            ),
            **{
                column.name: case((_REPLAYED, fresh), else_=column)
                for column, fresh in (
                    (jobs.c.crashes, 0),
                    (jobs.c.timeouts, 0),
                    (jobs.c.memory_crashes, 0),
                    (jobs.c.given_up, false()),
                    (jobs.c.error, null()),
                    (jobs.c.finished_at, null()),
                    (jobs.c.life, _new.seq),
                )
            },
            "confirmed": case((_new.seq >= jobs.c.seq, true()), else_=jobs.c.confirmed),
            "seq": case((_new.seq > jobs.c.seq, _new.seq), else_=jobs.c.seq),
        },
    ),
    columns=(*_ARRIVAL, "started_at"),
)
_admission = _arrival.on_conflict_do_nothing(index_elements=[jobs.c.queue, jobs.c.id])


@dataclass(frozen=True, slots=True)
class Taking:
    """A claim that was granted: to which job, and who has it in hand (nobody yet: "")."""

    claim: Claim
    job_id: str
    pool: str
    worker: str = ""
    attempt: int = 1


def admit(connection: Connection, taking: Taking, *, now: datetime) -> bool:
    """Enter a job met in a queue that is not to run yet; False if it is known already."""
    row = _row(taking, state=JobState.WAITING, now=now)
    return connection.execute(_admission, row).rowcount == 1


def begin(connection: Connection, taking: Taking, *, now: datetime) -> bool:
    """Note that a worker has a job in hand; False, and nothing changed, if that is over.

    It is finished, or a newer copy of it is to run instead; or it was to be cancelled on another
    machine that has not got round to it, and is so now.
    """
    row = _row(taking, state=JobState.ACTIVE, now=now) | {"started_at": stamp(now)}
    if _claim.run(connection, row).rowcount != 1:
        cancellations.refuse(connection, taking.claim.queue, taking.job_id, now=now)
        return False
    run = Run(taking.claim.queue, taking.job_id, taking.attempt, taking.worker)
    open_run(connection, run, now=now)
    return True


def _row(taking: Taking, *, state: JobState, now: datetime) -> dict[str, object]:
    claim = taking.claim
    return {
        "queue": claim.queue,
        "id": taking.job_id,
        "pool": taking.pool,
        "name": claim.name,
        "max_attempts": claim.max_attempts,
        "state": state.value,
        "priority": claim.priority.value,
        "body": claim.body,
        "properties": pack(claim.properties),
        "sender": claim.sender,
        "noreply": claim.noreply,
        "fingerprint": claim.fingerprint,
        "trace": (Trace.OPEN if claim.job_id is None else Trace.NONE).value,
        "attempts": claim.attempts,
        "seq": claim.seq,
        "worker": taking.worker,
        "limit_key": claim.limit_key,
        "created_at": stamp(now),
    }
