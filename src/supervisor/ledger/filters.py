"""Which jobs a list shows, and in which order: the conditions that a filter stands for."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, TextClause, UnaryExpression

from supervisor.core.records import JobFilter
from supervisor.ledger.tables import HAS_PARENT, HAS_ROOT, jobs
from supervisor.ledger.values import stamp


def narrowed(query: Select[Any], wanted: JobFilter) -> Select[Any]:
    """Return a query for jobs with all of a filter but their state, in its order and length."""
    exact = {
        jobs.c.pool: wanted.pool,
        jobs.c.name: wanted.name,
        jobs.c.sender: wanted.sender,
        jobs.c.error_group: wanted.group,
        jobs.c.origin: wanted.origin,
    }
    conditions: list[ColumnElement[bool] | TextClause] = [
        column == value for column, value in exact.items() if value is not None
    ]
    conditions.extend(_related(wanted))
    if wanted.since is not None:
        conditions.append(jobs.c.created_at >= stamp(wanted.since))
    if wanted.until is not None:
        conditions.append(jobs.c.created_at < stamp(wanted.until))
    if wanted.after is not None:
        number = jobs.c.number
        conditions.append(number > wanted.after if wanted.oldest else number < wanted.after)
    return query.where(*conditions).order_by(in_order(wanted)).limit(wanted.limit)


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
