"""Which jobs a list shows, and in which order: the conditions that a filter stands for."""

from typing import Any

from sqlalchemy import ColumnElement, Select, UnaryExpression

from supervisor.core.records import JobFilter
from supervisor.ledger.tables import jobs
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
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in exact.items() if value is not None
    ]
    if wanted.since is not None:
        conditions.append(jobs.c.created_at >= stamp(wanted.since))
    if wanted.until is not None:
        conditions.append(jobs.c.created_at < stamp(wanted.until))
    if wanted.after is not None:
        number = jobs.c.number
        conditions.append(number > wanted.after if wanted.oldest else number < wanted.after)
    return query.where(*conditions).order_by(in_order(wanted)).limit(wanted.limit)


def in_order(wanted: JobFilter) -> UnaryExpression[int]:
    """Return what a list is sorted by: as the jobs were entered, or the other way round."""
    return jobs.c.number.asc() if wanted.oldest else jobs.c.number.desc()
