"""The SQLite file: how its two connections are opened, one that writes and one that reads."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from supervisor.core.troubles import Fault, Trouble
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.troubles import fault_of

_RESCUE = (
    "stop the supervisor, keep a copy, and put a backup in its place, or what `sqlite3 FILE "
    ".recover` saves, or move it away with its -wal and -shm to begin with an empty one"
)

Prepare = Callable[[sqlite3.Connection, object], None]

BUSY: Final = 5.0  # seconds to wait for another program that writes
LONGEST_LOOK: Final = 5.0  # seconds for a look at every page at the start; enough for gigabytes


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


def stir(connection: Connection) -> None:
    """Write one page that means nothing, to see whether it can be written."""
    connection.exec_driver_sql("PRAGMA user_version = 1")  # a number that SQLite leaves to us


def explain(path: Path, error: Exception) -> LedgerError:
    """Return the ledger's error for a database's: which file, its words, what to do."""
    origin = getattr(error, "orig", None) or error
    message = f"{path}: {origin}; {_advice(str(origin))}"
    fault = fault_of(origin)
    explained = LedgerError(message, None if fault is None else Trouble(fault, message))
    explained.__cause__ = error  # for those who hand it on instead of raising it
    return explained


def identity(path: Path) -> tuple[int, int] | None:
    """Return which file lies there, by device and inode; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def vanished(path: Path) -> LedgerError:
    """Return the error for a file that is open here and no longer lies where it did."""
    message = (
        f"{path}: was removed or replaced while in use; put the same file back, or stop the "
        "supervisor and start it again: it then takes what lies there, or begins an empty one"
    )
    return LedgerError(message, Trouble(Fault.GONE, message))


def examine(engine: Engine, path: Path) -> None:
    """Look for damage in the whole file, for a few seconds at the most.

    Raises:
        LedgerError: the file is damaged.
    """
    try:
        found = _look(engine)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise explain(path, error) from error
    if found != "ok":
        raise _damaged(path, " ".join(found.replace("*", " ").split()))


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


def _look(engine: Engine) -> str:
    """Return the first damage found, "ok" if there was none in the time there is."""
    with engine.connect() as connection:
        file = cast(sqlite3.Connection, connection.connection.driver_connection)  # the only driver
        in_time = threading.Timer(LONGEST_LOOK, file.interrupt)
        in_time.start()
        try:
            return str(file.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.Error as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return "ok"  # too large for a look at all of it: whoever meets damage will tell
        finally:
            in_time.cancel()


def _damaged(path: Path, words: str) -> LedgerError:
    message = f"{path}: is damaged ({words}); {_RESCUE}"
    return LedgerError(message, Trouble(Fault.DAMAGED, message))


def _advice(words: str) -> str:
    known = {
        "malformed": _RESCUE,
        "disk I/O error": "its disk or file system fails: see the kernel's log (dmesg)",
        "locked": f"another program wrote to it for more than {BUSY:g} s",
        "full": "free some space on its disk",
        "not a database": "move that file away, or name another one",
        "readonly": "check its permissions",
        "unable to open": "check the folder and its permissions",
    }
    return next((advice for part, advice in known.items() if part in words), "see the log")
