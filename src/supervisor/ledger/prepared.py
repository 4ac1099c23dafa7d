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
        compiled = self._compiled.get(connection.dialect.name)
        if compiled is None:
            compiled = self._compile(connection.dialect)
            self._compiled[connection.dialect.name] = compiled
        return connection.exec_driver_sql(compiled.text, compiled.values(values))

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
        order = getattr(compiled, "positiontup", None)
        return _Compiled(str(compiled), compiled.params, order)
