"""The next copies of known jobs: entered as new jobs are, with a number of their own.

Older copies may lie in a queue for long; a claim recognises them by their number
(``core/claims.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, case, null, true, update

from consumers.errors import MalformedError
from consumers.jobs import Priority, Properties, read
from supervisor.core.records import JobState
from supervisor.ledger.conditions import THIS_JOB, UNFINISHED, job_key
from supervisor.ledger.messages import withdraw, withdraw_some
from supervisor.ledger.numbers import newest
from supervisor.ledger.presence import here
from supervisor.ledger.tables.jobs import jobs
from supervisor.ledger.values import stamp, stamp_after

# A copy of it may lie there, which is not to run any more.
_IN_A_QUEUE = jobs.c.state.in_(
    [JobState.PENDING.value, JobState.WAITING.value, JobState.DELAYED.value]
)


@dataclass(frozen=True, slots=True)
class Again:
    """The next copy of a known job, and what is different about it.

    ``delay`` None keeps when it is sent and due. ``forgets``: a finished job begins a new life,
    with a clean count of attempts and crashes; that it took workers down is kept, and it runs
    alone. ``among`` are the states in which it may be done; never while it runs.
    """

    delay: float | None = 0.0  # seconds
    priority: Priority | None = None
    body: bytes | None = None
    post_at: datetime | None = None
    replay: int | None = None
    forgets: bool = True
    among: frozenset[JobState] = frozenset(
        {
            *(JobState.PENDING, JobState.WAITING, JobState.DELAYED),
            *(JobState.FAILED, JobState.CANCELLED),
        }
    )


def again(connection: Connection, queue: str, job_id: str, copy: Again, *, now: datetime) -> int:
    """Enter the next copy of a known job; return its number, 0 if it cannot be.

    Older copies that may still lie in a queue are dropped when they are met; those of the embedded
    queues are taken out of them here.
    """
    states = [state.value for state in copy.among - {JobState.ACTIVE}]
    step = update(jobs).where(THIS_JOB, jobs.c.state.in_(states)).values(_following(copy, now=now))
    if connection.execute(step, job_key(queue, job_id)).rowcount != 1:
        return 0
    withdraw(connection, queue, job_id)
    return newest(connection, queue, job_id)


def again_at(
    connection: Connection,
    turns: Sequence[tuple[str, str, datetime]],
    copy: Again,
    *,
    now: datetime,
) -> None:
    """Enter the next copies of many failed jobs, each to be published at a moment of its own.

    Which they are the caller has just read, to be updated: so that none of them changes meanwhile.
    """
    moments = {"post_at": bindparam("the_post_at"), "loose": jobs.c.loose}
    step = update(jobs).where(THIS_JOB, jobs.c.state == JobState.FAILED.value)
    connection.execute(
        step.values(_following(copy, now=now) | moments),
        [job_key(queue, job_id) | {"the_post_at": stamp(at)} for queue, job_id, at in turns],
    )
    for queue in {queue for queue, _, _ in turns}:
        withdraw_some(connection, queue, [job_id for its, job_id, _ in turns if its == queue])


def _following(copy: Again, *, now: datetime) -> dict[str, object]:
    values: dict[str, object] = {
        "state": JobState.PENDING.value,
        "node": here(),
        "seq": jobs.c.seq + 1,
        "confirmed": False,
        "worker": "",
        "post_at": stamp(copy.post_at or now),
        "progress": 0,
        "note": "",
        "given_up": False,
        "finished_at": null(),
        "loose": case((_IN_A_QUEUE, true()), else_=jobs.c.loose),
        "life": case((UNFINISHED, jobs.c.life), else_=jobs.c.seq + 1),
    }
    if copy.delay is None:
        values["post_at"] = case((jobs.c.post_at > stamp(now), jobs.c.post_at), else_=stamp(now))
    else:
        values["due_at"] = stamp_after(now, copy.delay) if copy.delay > 0 else null()
    if copy.priority is not None:
        values["priority"] = copy.priority.value
    if copy.replay is not None:
        values["replay"] = copy.replay
    if copy.body is not None:
        values |= {"body": copy.body, **_named_in(copy.body)}
    return values | (_forgotten() if copy.forgets else {})


def _forgotten() -> dict[str, object]:
    """Return a clean record for a finished job, which begins a new life; others keep theirs."""
    fresh = {"attempts": 0, "crashes": 0, "timeouts": 0, "memory_crashes": 0, "error_group": ""}
    kept: dict[str, object] = {
        name: case((UNFINISHED, jobs.c[name]), else_=value) for name, value in fresh.items()
    }
    for name in ("error", "result", "duration"):
        kept[name] = case((UNFINISHED, jobs.c[name]), else_=null())
    return kept


def _named_in(body: bytes) -> dict[str, object]:
    """Return who is told of a job with another body; as before if that cannot be read."""
    try:
        envelope = read(body, Properties(), limit=len(body))
    except MalformedError:
        return {}
    return {"sender": envelope.sender, "noreply": envelope.noreply}
