"""Why workers were restarted, the newest first; of those long ago only the newest are kept."""

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from supervisor.core.records import Incident
from supervisor.ledger.tables.reports import incidents
from supervisor.ledger.values import moment_of, names_of, pack, stamp

KEPT = 1_000  # incidents; one with a stack is some kilobytes

_addition = insert(incidents)
# By number, which grows with every incident: no count of the rows is needed.
_newest_number = select(func.max(incidents.c.number)).scalar_subquery()
_overdue = delete(incidents).where(incidents.c.number <= _newest_number - bindparam("the_most"))
_newest = select(incidents).order_by(incidents.c.number.desc()).limit(bindparam("the_limit"))
_newest_of = _newest.where(incidents.c.worker == bindparam("the_worker"))


def record(connection: Connection, incident: Incident) -> None:
    """Keep an incident, and no more than the newest ones besides."""
    row = {
        "worker": incident.worker,
        "pool": incident.pool,
        "cause": incident.cause,
        "why": incident.why,
        "at": stamp(incident.at),
        "exit": incident.exit,
        "pid": incident.pid,
        "jobs": pack(incident.jobs),
        "stack": incident.stack,
    }
    connection.execute(_addition, row)
    connection.execute(_overdue, {"the_most": KEPT})


def newest(connection: Connection, worker: str | None, limit: int) -> tuple[Incident, ...]:
    """Return the newest incidents, of one worker if it is named."""
    asked = {"the_limit": limit}
    if worker is None:
        found = connection.execute(_newest, asked)
    else:
        found = connection.execute(_newest_of, asked | {"the_worker": worker})
    return tuple(
        Incident(
            worker=row.worker,
            pool=row.pool,
            cause=row.cause,
            why=row.why,
            at=moment_of(row.at),
            exit=row.exit,
            pid=row.pid,
            jobs=names_of(row.jobs),
            stack=row.stack,
        )
        for row in found
    )
