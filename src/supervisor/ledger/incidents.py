"""Why workers were restarted, the newest first."""

from sqlalchemy import Connection, bindparam, insert, select

from supervisor.core.records import Incident
from supervisor.ledger.tables import incidents
from supervisor.ledger.values import moment_of, names_of, pack, stamp

_addition = insert(incidents)
_newest = select(incidents).order_by(incidents.c.number.desc()).limit(bindparam("the_limit"))


def record(connection: Connection, incident: Incident) -> None:
    """Keep an incident."""
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


def newest(connection: Connection, limit: int) -> tuple[Incident, ...]:
    """Return the newest incidents."""
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
        for row in connection.execute(_newest, {"the_limit": limit})
    )
