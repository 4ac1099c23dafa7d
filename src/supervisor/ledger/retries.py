"""How many jobs of a queue are in which state after how many failed attempts."""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, func, select

from supervisor.core.records import JobState
from supervisor.ledger.tables.jobs import RETRIED, jobs

Counts = Mapping[tuple[JobState, int], int]  # by state and failed attempts

_of_queue = jobs.c.queue == bindparam("the_queue")
ALL = select(jobs.c.state, func.count()).where(_of_queue).group_by(jobs.c.state)
# The few that ever failed have an index of their own: the rest need not be looked at.
FAILED = (
    select(jobs.c.state, jobs.c.attempts, func.count())
    .where(_of_queue, RETRIED)
    .group_by(jobs.c.state, jobs.c.attempts)
)


def counts(connection: Connection, queue: str) -> Counts:
    """Return how many jobs there are, by state and by attempts that failed."""
    key = {"the_queue": queue}
    found = {(JobState(s), failed): n for s, failed, n in connection.execute(FAILED, key)}
    for state, number in connection.execute(ALL, key):
        ever = sum(n for (s, _), n in found.items() if s.value == state)
        if number > ever:
            found[JobState(state), 0] = number - ever
    return found
