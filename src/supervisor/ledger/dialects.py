"""The SQL that SQLite and PostgreSQL share, though SQLAlchemy's core has no word for it.

Statements of the ledger are made of these words and of plain SQLAlchemy, and run on both.
"""

from typing import Any

from sqlalchemy import String, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["insert", "random_id", "utc_text"]


def insert(table: Table) -> postgresql.Insert:
    """Return an insert that may have ``on_conflict_...``; its ``rowcount`` tells what it did.

    SQLite took ON CONFLICT over from PostgreSQL as it is, ``excluded`` included, and SQLAlchemy
    writes this construct down for both (SQLite's own it does not); a test reads both.
    """
    # Inline: otherwise PostgreSQL is asked for the new row's number, which nobody needs.
    return postgresql.insert(table).inline().execution_options(preserve_rowcount=True)


class random_id(FunctionElement[str]):  # noqa: N801 - reads as the SQL function it is
    """32 hexadecimal digits that nobody else has."""

    type = String()
    inherit_cache = True


class utc_text(FunctionElement[str]):  # noqa: N801
    """The moment as ``2026-01-31 23:59:59``, UTC."""

    type = String()
    inherit_cache = True


@compiles(random_id, "sqlite")
def _random_id_sqlite(_element: random_id, _compiler: SQLCompiler, **_: Any) -> str:
    return "(lower(hex(randomblob(16))))"


@compiles(random_id, "postgresql")
def _random_id_postgresql(_element: random_id, _compiler: SQLCompiler, **_: Any) -> str:
    return "replace(gen_random_uuid()::text, '-', '')"


@compiles(utc_text, "sqlite")
def _utc_text_sqlite(_element: utc_text, _compiler: SQLCompiler, **_: Any) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(utc_text, "postgresql")
def _utc_text_postgresql(_element: utc_text, _compiler: SQLCompiler, **_: Any) -> str:
    return "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
