"""Which jobs a list shows, and in which order: the conditions that a filter stands for.

A file's planner knows no numbers: by which index a list is read is decided here. Jobs that have
something in common (a user, a type) lie in the index of that by their state. So a list of them in
all states is the newest of what is the newest in each.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    TextClause,
    UnaryExpression,
    func,
    literal,
    select,
)

from supervisor.core.records import JobFilter
from supervisor.ledger.tables.jobs import FEW, HAS_PARENT, HAS_ROOT, LONGEST_SHARED, jobs
from supervisor.ledger.values import stamp

A_FEW: Final = 10_000  # jobs whose numbers are looked through in some milliseconds
_other = jobs.alias("other")


def narrowed(query: Select[Any], wanted: JobFilter) -> Select[Any]:
    """Return a query for jobs with all of a filter but their state, in its order and length."""
    conditions = [*_exact(wanted)]
    conditions.extend(_related(wanted))
    conditions.extend(_entered_in(jobs.c.created_at + 0, wanted))
    if wanted.since is not None or wanted.until is not None:
        conditions.extend(_bounds(wanted))
    if wanted.after is not None:
        number = jobs.c.number
        conditions.append(number > wanted.after if wanted.oldest else number < wanted.after)
    return query.where(*conditions).order_by(in_order(wanted)).limit(wanted.limit)


def _entered_in(moment: ColumnElement[int], wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.since is not None:
        yield moment >= stamp(wanted.since)
    if wanted.until is not None:
        yield moment < stamp(wanted.until)


def _bounds(wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    """Yield between which numbers the jobs of a while lie, if there are few of them.

    Those of a long while need not be looked for, unless it is long past; and others find their own.
    """
    if index_of(wanted) is None and wanted.parent is None and wanted.root is None:
        yield jobs.c.number >= _edge(wanted, func.min, 0)
        yield jobs.c.number <= _edge(wanted, func.max, sys.maxsize)


def _edge(wanted: JobFilter, edge: Callable[..., Any], far: int) -> ColumnElement[int]:
    """Return the first or the last number of a while, or one that is beyond all if it is long."""
    within = [*_entered_in(_other.c.created_at, wanted)]
    is_long = select(literal(far, BigInteger)).select_from(_other).where(*within)
    is_long = is_long.order_by(_other.c.created_at).limit(1).offset(A_FEW)
    # The sum keeps PostgreSQL from looking for it among all jobs by their numbers.
    number = select(edge(_other.c.number + 0)).where(*within)
    return func.coalesce(is_long.scalar_subquery(), number.scalar_subquery())


def index_of(wanted: JobFilter) -> str | None:
    """Return what jobs have in common by which a list of them is read; None: nothing such."""
    if wanted.parent is not None or wanted.root is not None:
        return None
    few = _few(wanted)
    return next((name for name in FEW if is_indexed(few.get(name))), None)


def is_indexed(value: str | None) -> bool:
    """Answer whether the jobs with this in common lie in an index, as ``FEW`` has it."""
    return value is not None and 0 < len(value) <= LONGEST_SHARED


def _exact(wanted: JobFilter) -> Iterator[ColumnElement[bool] | TextClause]:
    index = index_of(wanted)
    if wanted.pool is not None:
        yield (jobs.c.pool if index is None else _hidden("pool")) == wanted.pool
    for name, value in _few(wanted).items():
        if name == index:
            yield FEW[name]
            yield jobs.c[name] == value
        else:
            yield _hidden(name) == value


def _few(wanted: JobFilter) -> dict[str, str]:
    said = {
        "sender": wanted.sender,
        "error_group": wanted.group,
        "origin": wanted.origin,
        "name": wanted.name,
    }
    return {name: value for name, value in said.items() if value is not None}


def _hidden(column: str) -> ColumnElement[str]:
    """Return a column as no index has it."""
    return jobs.c[column].concat("")


def _related(wanted: JobFilter) -> Iterator[ColumnElement[bool] | TextClause]:
    # The texts name the indexes.
    if wanted.parent is not None:
        yield HAS_PARENT
        yield jobs.c.parent_queue == wanted.parent.queue
        yield jobs.c.parent_id == wanted.parent.id
    if wanted.root is not None:
        yield HAS_ROOT
        yield jobs.c.root_queue == wanted.root.queue
        yield jobs.c.root_id == wanted.root.id


def in_order(wanted: JobFilter) -> UnaryExpression[int]:
    """Return what a list is sorted by: as the jobs were entered, or the other way round."""
    return jobs.c.number.asc() if wanted.oldest else jobs.c.number.desc()
