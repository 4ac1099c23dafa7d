"""Statements that run for every job: compiled once, then handed to the driver as they are.

Executed the ordinary way, a statement costs four times what SQLite itself takes for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, Delete, Dialect, Insert, Update

Statement = Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in one database's words, and how its values are handed over."""

    text: str
    constants: Mapping[str, object]
    order: Sequence[str] | None  # None: by name

    def values(self, given: Mapping[str, object]) -> Any:
        """Return the parameters as the driver takes them."""
        if self.order is None:
            return {**self.constants, **given}
        constants = self.constants
        return tuple([given[n] if n in given else constants[n] for n in self.order])


class Prepared:
    """An insert, update or delete with fixed parameters; ``columns`` are those of an insert."""

    def __init__(self, statement: Statement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Mapping[str, object]) -> CursorResult[Any]:
        """Execute the statement with these values."""
        compiled = self._in_words_of(connection.dialect)
        return connection.exec_driver_sql(compiled.text, compiled.values(values))

    def run_many(self, connection: Connection, many: Sequence[Mapping[str, object]]) -> int:
        """Execute the statement with each of these values; return how many rows were concerned."""
        if not many:
            return 0
        compiled = self._in_words_of(connection.dialect)
        given = [compiled.values(values) for values in many]
        return connection.exec_driver_sql(compiled.text, given).rowcount

    def _in_words_of(self, dialect: Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = self._compile(dialect)
        return compiled

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
        order = getattr(compiled, "positiontup", None)
        return _Compiled(str(compiled), compiled.params, order)
