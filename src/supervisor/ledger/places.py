"""Where a job stands in its queue: exactly in the embedded queues, about so in the broker's."""

from dataclasses import dataclass

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from consumers.topology import PoolQueues
from supervisor.core.records import JobRecord, JobState
from supervisor.ledger.messages import Place
from supervisor.ledger.tables.jobs import WAITING, jobs
from supervisor.ledger.tables.queues import embedded_messages as messages

MOST = 100_000  # jobs that are counted; who stands behind more of them waits long anyway
SAMPLE = 50  # jobs whose mean duration is taken for that of the next one

_lanes: BindParameter[list[str]] = bindparam("the_lanes", expanding=True)
_here = (Place.READY.value, Place.CLAIMED.value)
_mine = (
    select(messages.c.level, messages.c.tag)
    .where(
        messages.c.queue.in_(_lanes),
        messages.c.job_id == bindparam("the_job"),
        messages.c.state.in_(_here),
    )
    .order_by(messages.c.tag.desc())
    .limit(1)
)
_runs = exists().where(
    jobs.c.queue == bindparam("the_queue"),
    jobs.c.id == messages.c.job_id,
    jobs.c.state == JobState.ACTIVE.value,
)
_before = select(func.count()).where(
    messages.c.queue.in_(_lanes),
    # What a worker has at hand and has not begun waits like the others.
    messages.c.state.in_(_here),
    or_(messages.c.state == Place.READY.value, not_(_runs)),
    or_(
        messages.c.level < bindparam("the_level"),
        and_(messages.c.level == bindparam("the_level"), messages.c.tag < bindparam("the_tag")),
    ),
)
_rival = (jobs.c.queue == bindparam("the_queue"), WAITING)  # names the index
_number = (
    select(jobs.c.number)
    .where(jobs.c.queue == bindparam("the_queue"), jobs.c.id == bindparam("the_job"))
    .scalar_subquery()
)
_goes_first = or_(
    jobs.c.priority < bindparam("the_level"),
    and_(jobs.c.priority == bindparam("the_level"), jobs.c.number < _number),
)


def _counted(rivals: Select[int]) -> Select[int]:
    return select(func.count()).select_from(rivals.limit(MOST).subquery())


_one: ColumnElement[int] = literal_column("1")
_ahead = _counted(select(_one).where(*_rival, _goes_first))
_all = _counted(select(_one).where(*_rival))
_latest = (
    select(jobs.c.duration)
    .where(jobs.c.queue == bindparam("the_queue"), jobs.c.state == JobState.COMPLETED.value)
    .order_by(jobs.c.finished_at.desc())
    .limit(SAMPLE)
    .subquery()
)
_typical = select(func.avg(_latest.c.duration))


@dataclass(frozen=True, slots=True)
class Rivals:
    """How many jobs of a queue go before one, and how many come after it, as the ledger has it."""

    ahead: int
    behind: int


def exactly_before(connection: Connection, queues: PoolQueues, job_id: str) -> int | None:
    """Return how many messages go before that of a job; None if it is not in its queue."""
    lanes = {"the_lanes": [queues.public, queues.priority]}
    mine = connection.execute(_mine, lanes | {"the_job": job_id}).one_or_none()
    if mine is None:
        return None
    place = {"the_level": mine.level, "the_tag": mine.tag}
    return connection.scalar(_before, lanes | place | {"the_queue": queues.public}) or 0


def rivals(connection: Connection, job: JobRecord) -> Rivals:
    """Return who else waits in the queue of a job, of those that the ledger knows."""
    key = {"the_queue": job.queue, "the_job": job.id, "the_level": job.priority.value}
    ahead = connection.scalar(_ahead, key) or 0
    everybody = connection.scalar(_all, {"the_queue": job.queue}) or 0
    return Rivals(ahead, max(0, everybody - ahead - 1))


def typical(connection: Connection, queue: str) -> float | None:
    """Return how many seconds the newest jobs of a queue took on average; None if none did."""
    mean = connection.scalar(_typical, {"the_queue": queue})
    return None if mean is None else float(mean)
