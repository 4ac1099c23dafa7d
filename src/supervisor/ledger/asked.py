"""Who asked for the answer of a job, as far as the ledger knows."""

from sqlalchemy import Connection, bindparam, select

from consumers.jobs import Properties
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import properties_of

_properties = select(jobs.c.properties).where(
    THIS_JOB, jobs.c.state == bindparam("the_state"), jobs.c.result.is_(None)
)


def asked(connection: Connection, *, queue: str, job_id: str, state: str) -> Properties | None:
    """Return the properties of a job that has no result and is in that state; None if none is."""
    row = connection.execute(_properties, job_key(queue, job_id) | {"the_state": state}).first()
    return None if row is None or row.properties is None else properties_of(row.properties)
