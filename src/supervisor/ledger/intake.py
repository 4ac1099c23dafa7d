"""The intake table: rows of other programs become jobs, each of them once.

Row and job change in one transaction. What becomes of the job later is written into its row by a
trigger (migration 0007), in the transaction that changes the job; or, if another program has locked
the row just then, that it is owed, and it is written later.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from supervisor.core import intake as rules
from supervisor.core.bounds import LONGEST_ID
from supervisor.core.intake import ORIGIN, BadRowError, Terms
from supervisor.core.records import JobState, NewJob
from supervisor.ledger import pending
from supervisor.ledger.conditions import THIS_JOB, job_key
from supervisor.ledger.presence import here
from supervisor.ledger.publishing import LARGEST_BATCH
from supervisor.ledger.tables.entries import intake, intake_owed
from supervisor.ledger.tables.jobs import PENDING, jobs
from supervisor.ledger.values import stamp

NEW = "pending"  # the status of a row that nobody has looked at


class address(FunctionElement[Any]):  # noqa: N801 - reads as the SQL function it is
    """Which row it is, also one whose id is no text."""

    inherit_cache = True


class arrival(FunctionElement[Any]):  # noqa: N801
    """What sorts rows of the same second in the order in which they came, by and large."""

    inherit_cache = True


class raw(FunctionElement[bytes]):  # noqa: N801
    """The bytes of a column, whatever lies there."""

    type = LargeBinary()
    inherit_cache = True


@compiles(address, "sqlite")
@compiles(arrival, "sqlite")
def _rowid(_element: FunctionElement[Any], _compiler: SQLCompiler, **_: Any) -> str:
    return "intake.rowid"


@compiles(address, "postgresql")
def _id(_element: address, _compiler: SQLCompiler, **_: Any) -> str:
    return "intake.id"


@compiles(arrival, "postgresql")
def _ctid(_element: arrival, _compiler: SQLCompiler, **_: Any) -> str:
    return "intake.ctid"


@compiles(raw, "sqlite")
def _raw_sqlite(element: raw, compiler: SQLCompiler, **keywords: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **keywords)} AS BLOB)"


@compiles(raw, "postgresql")
def _raw_postgresql(element: raw, compiler: SQLCompiler, **keywords: Any) -> str:
    return f"convert_to(CAST({compiler.process(element.clauses, **keywords)} AS text), 'UTF8')"


_COLUMNS: dict[str, ColumnElement[Any]] = {name: intake.c[name] for name in rules.Row.__slots__}
# Of what is too large, as much as shows that it is.
_COLUMNS["data"] = func.substr(intake.c.data, 1, bindparam("the_most"))
_new = intake.c.status == NEW
_ours = intake.c.queue_name.in_(bindparam("the_names", expanding=True))
_rows = (
    select(address().label("place"), *(raw(each).label(name) for name, each in _COLUMNS.items()))
    .where(_new)
    .order_by(intake.c.created_at, arrival())
    .limit(bindparam("the_limit"))
    .with_for_update(skip_locked=True)  # what another coordinator has just in hand
)
_some = select(func.count()).select_from(select(intake.c.id).where(_new).limit(1).subquery())
_strangers = select(intake.c.queue_name).where(_new, ~_ours).distinct().limit(10)
_here = update(intake).where(address() == bindparam("the_place"))
_entered = _here.values(
    status=bindparam("the_status"), updated_at=bindparam("the_moment"), error=None
)
_refused = _here.values(
    status=JobState.FAILED.value,
    error=bindparam("the_error"),
    updated_at=bindparam("the_moment"),
    finished_on=bindparam("the_moment"),
)
_namesakes = select(jobs.c.queue, jobs.c.origin).where(jobs.c.id == bindparam("the_id"))
_show = update(jobs).where(THIS_JOB).values(state=jobs.c.state)  # for the trigger's sake
_is_owed = select(intake_owed.c.id).limit(1)
_repaid = delete(intake_owed).returning(intake_owed.c.id)
_show_all = (
    update(jobs)
    .where(jobs.c.id.in_(bindparam("the_ids", expanding=True)), jobs.c.origin == ORIGIN)
    .values(state=jobs.c.state)
)
_unpublished = (
    select(jobs.c.number)
    .where(
        PENDING,
        jobs.c.node == here(),
        jobs.c.post_at <= bindparam("the_now"),
        jobs.c.origin == ORIGIN,
        jobs.c.pool.in_(bindparam("the_pools", expanding=True)),
    )
    .limit(bindparam("the_limit"))
)
_on_the_way = select(func.count()).select_from(_unpublished.subquery())


@dataclass(frozen=True, slots=True)
class Batch:
    """How many rows at the most, which of them (all of them if no names are said), and by what."""

    limit: int
    terms: Terms
    names: Collection[str] | None = None


@dataclass(slots=True)
class Loaded:
    """What became of a batch: how many rows it had, how many jobs were new, what was refused."""

    rows: int = 0
    entered: int = 0
    may_be_more: bool = False
    refused: list[tuple[str, str]] = field(default_factory=list)  # id and why


def has_some(connection: Connection, names: Collection[str] | None) -> bool:
    """Answer whether rows wait to be taken in."""
    question = _some if names is None else _some_of(names)
    return bool(connection.scalar(question))


def _some_of(names: Collection[str]) -> Any:
    one = select(intake.c.id).where(_new, intake.c.queue_name.in_(names)).limit(1)
    return select(func.count()).select_from(one.subquery())


def load(connection: Connection, batch: Batch, *, now: datetime) -> Loaded:
    """Take rows in, those first that were created first; whatever they say, all are dealt with."""
    rows, may_be_more = _next(connection, batch)
    found = Loaded(len(rows), may_be_more=may_be_more)
    for row in rows:
        try:
            job = rules.order(_plain(row), batch.terms, now=now)
            found.entered += _enter_alone(connection, row.place, job, now=now)
        except BadRowError as error:
            name = (row.id or b"").decode(errors="replace")[:LONGEST_ID]
            found.refused.append((name, str(error)))
            refusal = {"the_place": row.place, "the_error": str(error), "the_moment": written(now)}
            connection.execute(_refused, refusal)
    return found


def _next(connection: Connection, batch: Batch) -> tuple[list[Row[*tuple[Any, ...]]], bool]:
    """Return the rows of a batch, and whether there may be more."""
    rows = _rows
    values: dict[str, object] = {"the_limit": batch.limit, "the_most": batch.terms.body_limit + 1}
    if batch.names is not None:
        rows, values = rows.where(_ours), values | {"the_names": list(batch.names)}
    found: list[Row[*tuple[Any, ...]]] = []
    size = 0
    with connection.execute(rows, values) as result:
        for row in result:
            found.append(row)
            size += len(row.data or b"")
            if size > LARGEST_BATCH:
                break
    return found, size > LARGEST_BATCH or len(found) == batch.limit


def _enter_alone(connection: Connection, place: object, job: NewJob, *, now: datetime) -> bool:
    """Enter a row's job; what the database does not take of it is no other row's affair."""
    try:
        with connection.begin_nested():
            return _enter(connection, place, job, now=now)
    except (DataError, IntegrityError) as error:
        raise BadRowError("data", f"is not taken by the database: {error.orig}") from error


def _enter(connection: Connection, place: object, job: NewJob, *, now: datetime) -> bool:
    """Enter a row's job; a row whose job is known already shows what became of that."""
    _refuse_namesakes(connection, job)
    status = JobState.DELAYED if job.delay > 0 else JobState.WAITING
    entry = {"the_place": place, "the_status": status.value, "the_moment": written(now)}
    connection.execute(_entered, entry)
    if pending.enter(connection, job, now=now):
        return True
    connection.execute(_show, job_key(job.queue, job.id))
    return False


def _refuse_namesakes(connection: Connection, job: NewJob) -> None:
    """Make sure that no other job's changes would be written into this row."""
    for other in connection.execute(_namesakes, {"the_id": job.id}):
        if other.origin == ORIGIN and other.queue != job.queue:
            raise BadRowError("id", f"is that of an earlier row, for queue {other.queue}")
        if other.origin != ORIGIN and other.queue == job.queue:
            raise BadRowError("id", f"queue {job.queue} has a job of this id, not of this table")


def on_the_way(connection: Connection, pools: Collection[str], limit: int, *, now: datetime) -> int:
    """Return how many jobs of rows are still to be published, counted up to a limit."""
    wanted = {"the_now": stamp(now), "the_pools": list(pools), "the_limit": limit}
    return connection.scalar(_on_the_way, wanted) or 0


def is_owing(connection: Connection) -> bool:
    """Answer whether rows are behind their jobs."""
    return connection.scalar(_is_owed) is not None


def repay(connection: Connection) -> None:
    """Have rows catch up with their jobs; those that are still locked are owed again."""
    ids = connection.scalars(_repaid).all()
    connection.execute(_show_all, {"the_ids": ids})


def strangers(connection: Connection, names: Collection[str]) -> Sequence[str]:
    """Return some names that rows wait for and that are not among these."""
    return connection.scalars(_strangers, {"the_names": list(names)}).all()


def written(moment: datetime) -> str:
    """Return a moment as rows have it, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03}"


def _plain(row: Row[*tuple[Any, ...]]) -> rules.Row:
    return rules.Row(*(getattr(row, name) for name in _COLUMNS))
