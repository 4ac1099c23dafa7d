"""The runs of a job: one is open while a worker has the job in hand, and closed once."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, null, select, text, update

from supervisor.core.records import Attempt
from supervisor.ledger.dialects import insert
from supervisor.ledger.prepared import Prepared
from supervisor.ledger.tables.jobs import attempts
from supervisor.ledger.values import moment_of, moment_or_none, stamp


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as far as it did not end well."""

    error: str = ""
    code: str = ""
    traceback: str = ""
    exit: str = ""


WELL = Ending()

_opening = insert(attempts).values(
    queue=bindparam("the_queue"),
    job_id=bindparam("the_job"),
    number=bindparam("the_number"),
    worker=bindparam("the_worker"),
    started_at=bindparam("the_moment"),
)
# A run that is still open goes on in another worker's name: its job was handed over.
_open = Prepared(
    _opening.on_conflict_do_update(
        index_elements=[attempts.c.queue, attempts.c.job_id],
        index_where=text("finished_at IS NULL"),
        set_={
            "worker": _opening.excluded.worker,
            "number": _opening.excluded.number,
            "node": _opening.excluded.node,
        },
    )
)
_close = Prepared(
    update(attempts)
    .where(
        attempts.c.queue == bindparam("the_queue"),
        attempts.c.job_id == bindparam("the_job"),
        attempts.c.finished_at.is_(null()),
    )
    .values(
        finished_at=bindparam("the_moment"),
        error=bindparam("the_error"),
        code=bindparam("the_code"),
        traceback=bindparam("the_traceback"),
        exit=bindparam("the_exit"),
    )
)
_of_job = (
    select(attempts)
    .where(
        attempts.c.queue == bindparam("the_queue"),
        attempts.c.job_id == bindparam("the_job"),
    )
    .order_by(attempts.c.run)
)
_close_all = (
    update(attempts)
    .where(
        attempts.c.finished_at.is_(null()),
        attempts.c.node.in_(bindparam("the_nodes", expanding=True)),
    )
    .values(finished_at=bindparam("the_moment"), code=bindparam("the_code"))
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one job."""

    queue: str
    job_id: str
    number: int
    worker: str


def open_run(connection: Connection, run: Run, *, now: datetime) -> None:
    """Note that a worker has the job in hand."""
    _open.run(
        connection,
        {
            "the_queue": run.queue,
            "the_job": run.job_id,
            "the_number": run.number,
            "the_worker": run.worker,
            "the_moment": stamp(now),
        },
    )


def close_run(
    connection: Connection, queue: str, job_id: str, *, ending: Ending, now: datetime
) -> None:
    """Close the job's open run; nothing happens if there is none."""
    _close.run(
        connection,
        {
            "the_queue": queue,
            "the_job": job_id,
            "the_moment": stamp(now),
            "the_error": ending.error,
            "the_code": ending.code,
            "the_traceback": ending.traceback,
            "the_exit": ending.exit,
        },
    )


def close_all(connection: Connection, nodes: Collection[str], *, code: str, now: datetime) -> None:
    """Close every open run of these coordinators: they are gone."""
    values = {"the_moment": stamp(now), "the_code": code, "the_nodes": list(nodes)}
    connection.execute(_close_all, values)


def history(connection: Connection, queue: str, job_id: str) -> tuple[Attempt, ...]:
    """Return the runs of a job, the first one first."""
    rows = connection.execute(_of_job, {"the_queue": queue, "the_job": job_id})
    return tuple(
        Attempt(
            number=row.number,
            worker=row.worker,
            started_at=moment_of(row.started_at),
            finished_at=moment_or_none(row.finished_at),
            error=row.error,
            code=row.code,
            traceback=row.traceback,
            exit=row.exit,
        )
        for row in rows
    )
