"""Faults of the machine that a job met, as its runs tell, and whether others were done meanwhile.

Nothing is kept for it: a run that the machine broke off is closed as interrupted, with what was
wrong as its error. The other interruptions (its worker was told to stop) have none.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from consumers.jobs import Faults
from supervisor.ledger.attempts import WELL
from supervisor.ledger.interruptions import INTERRUPTED
from supervisor.ledger.tables.jobs import attempts

ENOUGH = 2  # refuted faults: a job that met more is not believed any less
LOOKED_AT = 20  # runs of the job, the last ones
SEARCHED = 5_000  # runs of all jobs between two of them: this pool may be the quietest of many
NO_END = 2**62

_runs = (
    select(attempts.c.run, attempts.c.code, attempts.c.error, attempts.c.finished_at)
    .where(
        attempts.c.queue == bindparam("the_queue"),
        attempts.c.job_id == bindparam("the_job"),
        attempts.c.finished_at.is_not(None),
    )
    .order_by(attempts.c.run.desc())
    .limit(LOOKED_AT)
)
_between = (
    select(attempts)
    .where(attempts.c.run > bindparam("the_fault"), attempts.c.run < bindparam("the_next"))
    .order_by(attempts.c.run.desc())
    .limit(SEARCHED)
    .subquery()
)
_done = (
    select(_between.c.run)
    .where(
        _between.c.queue == bindparam("the_queue"),
        _between.c.code == WELL.code,
        _between.c.started_at >= bindparam("the_moment"),
        _between.c.finished_at.is_not(None),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Met:
    """The faults a job met, and whether its last run was one of them."""

    faults: Faults
    is_last: bool


def met(connection: Connection, queue: str, job_id: str) -> Met:
    """Return which faults of the machine a job met."""
    runs = connection.execute(_runs, {"the_queue": queue, "the_job": job_id}).all()
    found = [number for number, run in enumerate(runs) if _is_fault(run.code, run.error)]
    refuted = 0
    for number in found:
        if refuted == ENOUGH:
            break
        fault = runs[number]
        span = {
            "the_queue": queue,
            "the_fault": fault.run,
            "the_next": runs[number - 1].run if number else NO_END,
            "the_moment": fault.finished_at,
        }
        refuted += connection.execute(_done, span).first() is not None
    return Met(Faults(len(found), refuted), is_last=0 in found)


def _is_fault(code: str, error: str) -> bool:
    return code == INTERRUPTED and error != ""
