"""The SQLite file: how its two connections are opened, one that writes and one that reads."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from supervisor.ledger.errors import LedgerError

Prepare = Callable[[sqlite3.Connection, object], None]

BUSY: Final = 5.0  # seconds to wait for another program that writes


def sqlite_path(url: str) -> Path:
    """Return the file a ledger URL names.

    Raises:
        LedgerError: it is not ``sqlite:///path``.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise LedgerError("ledger: is not a URL; write sqlite:///path/to/ledger.db") from error
    if parsed.get_backend_name() != "sqlite" or parsed.get_driver_name() not in {"", "pysqlite"}:
        message = f"ledger: {parsed.render_as_string()} is not supported; write sqlite:///path/to/ledger.db"
        raise LedgerError(message)
    if not parsed.database or parsed.database == ":memory:":
        message = f"ledger: {url} names no file; write sqlite:///path/to/ledger.db"
        raise LedgerError(message)
    return Path(parsed.database)


def open_writing(path: Path) -> Engine:
    """Return the engine of the one connection that writes; its transactions begin IMMEDIATE."""
    return _engine(path, begin="BEGIN IMMEDIATE", prepare=_prepare_writing)


def open_reading(path: Path) -> Engine:
    """Return the engine of a connection that cannot write."""
    return _engine(path, begin="BEGIN", prepare=_prepare_reading)


def explain(path: Path, error: Exception) -> LedgerError:
    """Return the ledger's error for a database's: which file, its words, what to do."""
    words = str(getattr(error, "orig", None) or error)
    explained = LedgerError(f"{path}: {words}; {_advice(words)}")
    explained.__cause__ = error  # for those who hand it on instead of raising it
    return explained


def _engine(path: Path, *, begin: str, prepare: Prepare) -> Engine:
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(
        url,
        poolclass=StaticPool,  # one connection, for one thread
        connect_args={"timeout": BUSY, "isolation_level": None, "check_same_thread": False},
    )

    def begins(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begins)
    return engine


def _prepare_writing(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing that was reported


def _prepare_reading(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON")


def _advice(words: str) -> str:
    known = {
        "locked": f"another program wrote to it for more than {BUSY:g} s",
        "full": "free some space on its disk",
        "not a database": "move that file away, or name another one",
        "readonly": "check its permissions",
        "unable to open": "check the folder and its permissions",
    }
    return next((advice for part, advice in known.items() if part in words), "see the log")
