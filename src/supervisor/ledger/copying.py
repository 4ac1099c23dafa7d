"""Copying a whole ledger into an empty one of another kind, in one transaction of the target.

Whose rows they were is not copied: coordinators of the new ledger have names of their own, and the
first one that opens it takes up what nobody has in hand. Rows of other programs are copied as they
can be read: a file takes anything anywhere, a server does not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    Integer,
    RowMapping,
    SmallInteger,
    Table,
    func,
    select,
)

from supervisor.ledger.errors import LedgerError
from supervisor.ledger.intake import arrival, raw
from supervisor.ledger.migrate import migrate, version
from supervisor.ledger.rooms import Room, room_of
from supervisor.ledger.tables.columns import metadata
from supervisor.ledger.tables.entries import intake
from supervisor.ledger.tables.jobs import job_changes, job_counts
from supervisor.ledger.tables.queues import embedded_messages

AT_ONCE: Final = 2_000  # rows that are read and written together
OURSELVES: Final = "ledger copy"  # the node that copies
_OWNERS: Final = {"node", "drain_node"}  # the columns that say whose a row is

_NUMBERS: Final = {
    column.name: 63 if isinstance(column.type, BigInteger) else 31  # bits
    for column in intake.columns
    if isinstance(column.type, (Integer, SmallInteger))
}

Progress = Callable[[str, int, int], None]  # of which table, how many rows of how many

# Triggers of the target count the jobs as they come.
_COUNTS: Final = {job_counts.name, job_changes.name}
_TABLES: Final = tuple(table for table in metadata.sorted_tables if table.name not in _COUNTS)


def copy(source: str, target: str, progress: Progress) -> Mapping[str, int]:
    """Copy the ledger of one URL into that of another; return how many rows of each table.

    Raises:
        LedgerError: a supervisor holds one of them, there is no source, the target is not empty,
            or it went wrong; the target is as it was then.
    """
    if source == target:
        raise LedgerError("a ledger cannot be copied into itself")
    _refuse_none(source)
    with _held(source) as (whence, reading), _held(target) as (whither, writing):
        _refuse_full(whither, writing)
        if whither.is_shared:
            _refuse_embedded(whence, reading)
        copied: dict[str, int] = {}
        for table in _TABLES:
            done, total = 0, _count(reading, table)
            for rows in _read(table, whence, reading):
                whither.pour(writing, table, rows)
                done += len(rows)
                progress(table.name, done, total)
            copied[table.name] = _compare(table, reading, writing)
            whither.count_from(writing, table, whence.counted_to(reading, table))
        whither.tidy(writing)
    return copied


@contextmanager
def _held(url: str) -> Iterator[tuple[Room, Connection]]:
    """Hold a ledger as its only user, in one transaction."""
    room = room_of(url, OURSELVES)
    try:
        room.take()
        migrate(room)
        try:
            with room.writing.begin() as connection:
                room.refuse_others(connection)
                yield room, connection
        except room.errors as error:
            raise room.explain(error) from error
    finally:
        room.release()


def _refuse_none(source: str) -> None:
    """Make sure that there is something to copy: a new ledger would be made of a mistyped name."""
    room = room_of(source)
    room.refuse_missing()
    try:
        with room.reading.begin() as connection:
            found = version(connection)
    except room.errors as error:
        raise room.explain(error) from error
    finally:
        room.release()
    if found is None:
        message = f"{room.name}: there is no ledger in it; name the one that is to be copied"
        raise LedgerError(message)


def _refuse_full(room: Room, connection: Connection) -> None:
    for table in _TABLES:
        if connection.execute(select(table).limit(1)).first() is not None:
            message = f"{room.name}: is not empty ({table.name}); name a ledger that is"
            raise LedgerError(message)


def _refuse_embedded(room: Room, connection: Connection) -> None:
    left = _count(connection, embedded_messages)
    if left:
        message = (
            f"{room.name}: {left} messages wait in the embedded queues, which only a file can "
            "have; let the supervisor finish them first, or drain the queues"
        )
        raise LedgerError(message)


def _read(table: Table, room: Room, reading: Connection) -> Iterator[list[dict[str, object]]]:
    if table is intake:
        columns = (raw(column).label(column.name) for column in intake.columns)
        # As they came: what is still to be taken in is taken in that order.
        rows = select(*columns).order_by(intake.c.created_at, arrival())
        yield from ([_legible(row) for row in part] for part in _parts(rows, room, reading))
        return
    for part in _parts(select(table).order_by(*table.primary_key.columns), room, reading):
        yield [_ownerless(row) for row in part]


def _parts(query: Executable, room: Room, reading: Connection) -> Iterator[Sequence[RowMapping]]:
    try:
        rows = reading.execution_options(yield_per=AT_ONCE).execute(query)
        parts = rows.mappings().partitions()
        while part := next(parts, None):
            yield part
    except room.errors as error:  # which would be taken for one of the target
        raise room.explain(error) from error


def _ownerless(row: RowMapping) -> dict[str, object]:
    return {name: "" if name in _OWNERS else value for name, value in row.items()}


def _legible(row: RowMapping) -> dict[str, object]:
    """Return a row of the intake as a server can have it. Raises LedgerError."""
    found: dict[str, object] = {}
    for name, value in row.items():
        said = None if value is None else value.decode(errors="backslashreplace")
        found[name] = said
        if said is not None and name in _NUMBERS:
            found[name] = _number(said, _NUMBERS[name])
            if found[name] is None:
                known = (row["id"] or b"").decode(errors="backslashreplace")
                message = (
                    f"intake: {name} of the row {known!r} is {said[:40]!r}, not a number that a "
                    "server takes; correct it or delete that row, then copy again"
                )
                raise LedgerError(message)
    return found


def _number(said: str, bits: int) -> int | None:
    try:
        number = int(said)
    except ValueError:
        return None
    return number if -(2**bits) <= number < 2**bits else None


def _compare(table: Table, reading: Connection, writing: Connection) -> int:
    """Return how many rows there are on both sides."""
    here, there = _count(reading, table), _count(writing, table)
    if here != there:
        message = f"{table.name}: {here} rows were read and {there} are there; nothing was copied"
        raise LedgerError(message)
    return there


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0
