"""Dead letters in the ledger: which fit, by what they died of, and one with all that befell it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    TextClause,
    and_,
    bindparam,
    func,
    not_,
    or_,
    select,
    update,
)

from consumers.outcome import Failure
from supervisor.core.fingerprints import group_of, prefix
from supervisor.core.letters import LetterFilter, has_text
from supervisor.core.records import Incident, JobState
from supervisor.desks.letters import ErrorGroup, Letter
from supervisor.ledger import incidents, withdrawals
from supervisor.ledger.conditions import IS_OF_OPEN_CHAIN, THIS_JOB, job_key
from supervisor.ledger.filters import is_indexed
from supervisor.ledger.tables.jobs import DEAD, FEW, attempts, jobs
from supervisor.ledger.tables.requests import replayed
from supervisor.ledger.values import failure_of, moment_or_none, stamp

MOST_GROUPS = 500
AT_ONCE = 500  # rows whose groups are found in one transaction
ANY_INCIDENT = 1_000

AnyRow = Row[*tuple[Any, ...]]

_IS_DEAD = jobs.c.state == JobState.FAILED.value
# Where jobs are named: no index of states is of use then, and a planner that knows no numbers would
# take one, and read all dead letters there are.
IS_DEAD_AMONG_THESE = jobs.c.state.concat("") == JobState.FAILED.value
_SHOWN = (
    *(jobs.c.number, jobs.c.id, jobs.c.pool, jobs.c.queue, jobs.c.error_group, jobs.c.error),
    *(jobs.c.name, jobs.c.sender, jobs.c.attempts, jobs.c.crashes, jobs.c.memory_crashes),
    *(jobs.c.created_at, jobs.c.finished_at, func.length(jobs.c.body).label("size")),
)
_last_run = (
    select(attempts.c.traceback)
    .where(attempts.c.queue == bindparam("the_queue"), attempts.c.job_id == bindparam("the_job"))
    .order_by(attempts.c.run.desc())
    .limit(1)
)
_nameless = (
    select(jobs.c.queue, jobs.c.id, jobs.c.error)
    .where(DEAD, jobs.c.error_group == "")
    .limit(bindparam("the_limit"))
)
_naming = update(jobs).where(THIS_JOB, _IS_DEAD).values(error_group=bindparam("the_group"))
_groups = (
    select(
        jobs.c.queue,
        jobs.c.error_group,
        func.count().label("jobs"),
        func.min(jobs.c.finished_at).label("first"),
        func.max(jobs.c.finished_at).label("last"),
    )
    .where(DEAD)
    .group_by(jobs.c.queue, jobs.c.error_group)
    .order_by(func.count().desc(), jobs.c.error_group)
    .limit(MOST_GROUPS)
)
_of_group = (
    DEAD,
    jobs.c.queue == bindparam("the_queue"),
    jobs.c.error_group == bindparam("the_group"),
)
_newest_of = select(*_SHOWN).where(*_of_group).order_by(jobs.c.finished_at.desc()).limit(1)
_alike = select(func.count()).where(*_of_group)
_can_go = select(jobs.c.number).where(THIS_JOB, _IS_DEAD, not_(IS_OF_OPEN_CHAIN))
_whole = (
    select(jobs, replayed.c.original)
    .outerjoin_from(
        jobs, replayed, (replayed.c.queue == jobs.c.queue) & (replayed.c.job_id == jobs.c.id)
    )
    .where(THIS_JOB)
)


def group_for(connection: Connection, queue: str, job_id: str, failure: Failure) -> str:
    """Return the group of a job's last error; where its traceback is, only its last run knows."""
    last = connection.scalar(_last_run, job_key(queue, job_id))
    return group_of(failure.message, failure.code, failure.traceback or last or "")


def name_groups(connection: Connection) -> int:
    """Give some dead letters without a group theirs; return how many that were."""
    found = connection.execute(_nameless, {"the_limit": AT_ONCE}).all()
    for queue, job_id, error in found:
        group = group_for(connection, queue, job_id, failure_of(error) or Failure("no error"))
        connection.execute(_naming, job_key(queue, job_id) | {"the_group": group})
    return len(found)


def page(
    connection: Connection, wanted: LetterFilter, *, limit: int, after: int | None
) -> tuple[tuple[Letter, ...], int | None]:
    """Return the newest dead letters that fit, and where the next page goes on (None: nowhere)."""
    query = _narrowed(wanted, _SHOWN).order_by(jobs.c.number.desc())
    if after is not None:
        query = query.where(jobs.c.number < after)
    shown: list[AnyRow] = []
    for row in _fitting(connection, query, wanted, limit + 1):
        if len(shown) == limit:
            return tuple(map(_letter, shown)), shown[-1].number
        shown.append(row)
    return tuple(map(_letter, shown)), None


@dataclass(frozen=True, slots=True)
class Pick:
    """A dead letter that an order is about."""

    queue: str
    id: str
    pool: str
    group: str
    error: str
    is_kept: bool  # its chain is not over

    @property
    def key(self) -> tuple[str, str]:
        """Return the queue and id of the job."""
        return self.queue, self.id


def pick(connection: Connection, wanted: LetterFilter, *, limit: int) -> tuple[Pick, ...]:
    """Return the dead letters that fit, the one that failed first at the head."""
    columns = (
        *(jobs.c.queue, jobs.c.id, jobs.c.pool, jobs.c.error_group, jobs.c.error),
        IS_OF_OPEN_CHAIN.label("is_kept"),
    )
    query = _narrowed(wanted, columns).order_by(jobs.c.finished_at, jobs.c.number)
    return tuple(
        Pick(
            row.queue,
            row.id,
            row.pool,
            row.error_group,
            _words(row.error).message,
            is_kept=bool(row.is_kept),
        )
        for row in _fitting(connection, query, wanted, limit)
    )


def groups(connection: Connection, wanted: LetterFilter) -> tuple[ErrorGroup, ...]:
    """Return the dead letters by what they died of, the largest group first."""
    rows = connection.execute(_groups.where(*_conditions(wanted))).all()
    return tuple(_group(connection, row) for row in rows)


def alike(connection: Connection, queue: str, group: str) -> int:
    """Return how many dead letters of a queue are of one group."""
    asked = {"the_queue": queue, "the_group": group}
    return connection.scalar(_alike, asked) or 0


def whole(connection: Connection, queue: str, job_id: str) -> AnyRow:
    """Return the row of a job that is there, with its ``original`` body if it was edited."""
    return connection.execute(_whole, job_key(queue, job_id)).one()


def deaths(connection: Connection, job_id: str) -> tuple[Incident, ...]:
    """Return why workers ended that had a job in hand, the newest first."""
    every = incidents.newest(connection, None, ANY_INCIDENT)
    return tuple(each for each in every if job_id in each.jobs)


def erase(connection: Connection, picks: Sequence[Pick], *, now: datetime) -> Mapping[str, int]:
    """Forget dead letters, with their runs and lines; return how many of each queue are gone.

    Those of chains that are not over stay: whoever is told of such a chain is to hear of them.
    """
    gone: Counter[str] = Counter()
    for pick in picks:
        if connection.scalar(_can_go, job_key(*pick.key)) is not None:
            gone[pick.queue] += withdrawals.erase(connection, *pick.key, now=now)
    return gone


def of_queue(queue: str, ids: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a job is one of these."""
    return and_(jobs.c.queue == queue, jobs.c.id.in_(ids))


def by_queue(keys: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    """Return the ids of jobs by their queues."""
    found: dict[str, list[str]] = {}
    for queue, job_id in keys:
        found.setdefault(queue, []).append(job_id)
    return found


# --- inside --------------------------------------------------------------------------------------


def _narrowed(wanted: LetterFilter, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    also = () if wanted.text is None else (jobs.c.body,)
    is_dead = IS_DEAD_AMONG_THESE if wanted.keys else _IS_DEAD
    return select(*columns, *also).where(is_dead, *_conditions(wanted))


def _conditions(wanted: LetterFilter) -> Iterator[ColumnElement[bool] | TextClause]:
    exact = (
        (jobs.c.pool, wanted.pool),
        (jobs.c.error_group, wanted.group),
        (jobs.c.sender, wanted.sender),
    )
    yield from (column == value for column, value in exact if value is not None)
    few = {"error_group": wanted.group, "sender": wanted.sender}
    if not wanted.keys:  # the texts name the indexes
        yield from (FEW[name] for name, value in few.items() if is_indexed(value))
    if wanted.code is not None:
        start = prefix(wanted.code)
        yield func.substr(jobs.c.error_group, 1, len(start)) == start
    if wanted.since is not None:
        yield jobs.c.finished_at >= stamp(wanted.since)
    if wanted.until is not None:
        yield jobs.c.finished_at <= stamp(wanted.until)
    if wanted.keys:
        yield or_(*(of_queue(queue, ids) for queue, ids in by_queue(wanted.keys).items()))


def _fitting(
    connection: Connection, query: Select[Any], wanted: LetterFilter, limit: int
) -> Iterator[AnyRow]:
    """Yield so many rows that fit, the text included: that no database finds as people mean it."""
    if wanted.text is None:
        yield from connection.execute(query.limit(limit))
        return
    left = limit
    with connection.execute(query.execution_options(yield_per=200)) as rows:
        for row in rows:
            if has_text(_texts(row), wanted.text):
                yield row
                left -= 1
            if not left:
                return


def _texts(row: AnyRow) -> Iterable[str | bytes]:
    error = _words(row.error)
    return row.id, error.message, error.hint, row.body


def _letter(row: AnyRow) -> Letter:
    error = _words(row.error)
    return Letter(
        id=row.id,
        pool=row.pool,
        queue=row.queue,
        group=row.error_group,
        code=error.code,
        error=error.message,
        name=row.name,
        sender=row.sender,
        attempts=row.attempts,
        crashes=row.crashes + row.memory_crashes,
        size=row.size,
        created_at=moment_or_none(row.created_at),
        failed_at=moment_or_none(row.finished_at),
    )


def _group(connection: Connection, row: AnyRow) -> ErrorGroup:
    asked = {"the_queue": row.queue, "the_group": row.error_group}
    newest = _letter(connection.execute(_newest_of, asked).one())
    return ErrorGroup(
        group=row.error_group,
        queue=row.queue,
        pool=newest.pool,
        jobs=row.jobs,
        first=moment_or_none(row.first),
        last=moment_or_none(row.last),
        code=newest.code,
        error=newest.error,
        newest=newest.id,
    )


def _words(error: bytes | None) -> Failure:
    return failure_of(error) or Failure("failed without a word")
