"""Which coordinators share a ledger: who we are, and whether another one is there.

SQLite has one coordinator, whose name is empty. On PostgreSQL a coordinator is there as long as its
connection holds its node's lock, and what it writes carries its node id.
"""

from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, Select, String, cast, column, func, select, table
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

NODE_LOCK: Final = 7_270_001  # the kind of the advisory locks; which one, the node id says

_locks = table(
    "pg_locks",
    column("locktype"),
    column("database"),
    column("classid"),
    column("objid"),
    column("objsubid"),
    column("granted", Boolean()),
)
_databases = table("pg_database", column("oid"), column("datname"))


class here(FunctionElement[str]):  # noqa: N801 - reads as the SQL function it is
    """The node id of the coordinator whose connection this is."""

    type = String()
    inherit_cache = True


class is_gone(FunctionElement[bool]):  # noqa: N801
    """Whether no coordinator with the node id in a column is there."""

    type = Boolean()
    inherit_cache = True


@compiles(here, "sqlite")
def _here_sqlite(_element: here, _compiler: SQLCompiler, **_: Any) -> str:
    return "''"


@compiles(here, "postgresql")
def _here_postgresql(_element: here, _compiler: SQLCompiler, **_: Any) -> str:
    return "coalesce(current_setting('supervisor.node', true), '')"


@compiles(is_gone, "sqlite")
def _is_gone_sqlite(_element: is_gone, _compiler: SQLCompiler, **_: Any) -> str:
    return "0"


@compiles(is_gone, "postgresql")
def _is_gone_postgresql(element: is_gone, compiler: SQLCompiler, **keywords: Any) -> str:
    (node,) = element.clauses
    return compiler.process(lock_of(node).not_in(present()), **keywords)


def lock_of(node: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the number of a node's lock."""
    return cast(func.hashtext(node), OID)


def present() -> Select[Any]:
    """Return the query for the locks that are held in this database."""
    ours = select(_databases.c.oid).where(_databases.c.datname == func.current_database())
    return select(_locks.c.objid).where(
        _locks.c.locktype == "advisory",
        _locks.c.database == ours.scalar_subquery(),
        _locks.c.classid == NODE_LOCK,
        _locks.c.objsubid == 2,
        _locks.c.granted,
    )
