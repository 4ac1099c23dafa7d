"""Ledgers with some rows in every table there is, whatever they would mean."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, insert, select

from supervisor.core.records import JobState
from supervisor.ledger.migrate import migrate
from supervisor.ledger.rooms import room_of
from supervisor.ledger.tables.columns import metadata
from supervisor.ledger.tables.jobs import job_changes, job_counts

ROWS = 12
STATES = tuple(state.value for state in JobState)

_COUNTS = {job_counts.name, job_changes.name}  # which triggers fill
_OWNERS = {"node", "drain_node"}


def stuff(url: str, besides: Collection[str] = ()) -> None:
    """Fill all tables of a new ledger, or all besides some."""
    room = room_of(url)
    room.take()
    migrate(room)
    with room.writing.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name not in _COUNTS | set(besides):
                numbers = range(1, ROWS + 1)
                rows = [{c.name: _value(c, number) for c in table.columns} for number in numbers]
                connection.execute(insert(table), rows)
    room.release()


def stuffing(url: str) -> Mapping[str, Sequence[Mapping[str, object]]]:
    """Return all rows of all tables, but for whose they are."""
    room = room_of(url)
    found = {}
    with room.writing.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name not in _COUNTS:
                columns = [column for column in table.columns if column.name not in _OWNERS]
                rows = select(*columns).order_by(*table.primary_key.columns)
                found[table.name] = [dict(row) for row in connection.execute(rows).mappings()]
    room.release()
    return found


def _value(column: Column[object], number: int) -> object:
    found: object = f"{column.name} {number:02} \N{SNOWMAN}"
    match column.type:
        case LargeBinary():
            found = b'{"a": "\x00\xff"}'
        case Boolean():
            found = number % 2 == 0
        case BigInteger() | Integer():
            found = number
        case Double():
            found = number / 3
        case _ if column.name in {"state", "status"}:
            found = STATES[number % len(STATES)]
    return found
