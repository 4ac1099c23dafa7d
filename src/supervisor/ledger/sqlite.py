"""The engine room of a ledger in a file: SQLite, one connection that writes and one that reads.

One coordinator holds the file, by a lock beside it; there is no other to share it with.
"""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Table,
    bindparam,
    column,
    create_engine,
    event,
    func,
    insert,
    select,
    table,
    update,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from supervisor.core.troubles import Fault, Trouble
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.lock import Lock, is_held

_RESCUE = (
    "stop the supervisor, keep a copy, and put a backup in its place, or what `sqlite3 FILE "
    ".recover` saves, or move it away with its -wal and -shm to begin with an empty one"
)
_FAULTS = {
    sqlite3.SQLITE_BUSY: Fault.BUSY,
    sqlite3.SQLITE_LOCKED: Fault.BUSY,
    sqlite3.SQLITE_PROTOCOL: Fault.BUSY,
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_PERM: Fault.READ_ONLY,
    sqlite3.SQLITE_IOERR: Fault.UNUSABLE,
    sqlite3.SQLITE_CANTOPEN: Fault.UNUSABLE,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
}

Prepare = Callable[[sqlite3.Connection, object], None]

BUSY: Final = 5.0  # seconds to wait for another program that writes
LONGEST_LOOK: Final = 5.0  # seconds for a look at every page at the start; enough for gigabytes


class SqliteRoom:
    """One SQLite file."""

    errors = (SQLAlchemyError, sqlite3.Error)
    node = ""
    is_shared = False

    def __init__(self, url: URL) -> None:
        self.path = sqlite_path(url)
        self._lock: Lock | None = None
        self._file: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def folder(self) -> Path:
        """The folder it lies in."""
        return self.path.parent

    @cached_property
    def writing(self) -> Engine:
        """The engine of the one connection that writes; its transactions begin IMMEDIATE."""
        return _engine(self.path, begin="BEGIN IMMEDIATE", prepare=_prepare_writing)

    @cached_property
    def reading(self) -> Engine:
        """The engine of a connection that cannot write."""
        return _engine(self.path, begin="BEGIN", prepare=_prepare_reading)

    def take(self) -> None:
        """Lock the file, made if need be, and look for damage in it. Raises LedgerError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"{self.folder}: cannot be made ({error.strerror}); check its permissions"
            raise LedgerError(message) from error
        self._lock = Lock.take(self._lock_file())
        examine(self.writing, self.path)
        self._file = identity(self.path)

    def refuse_others(self, _: Connection) -> None:
        """Do nothing: the file is locked."""

    def begin(self, _: Connection) -> None:
        """Refuse to write into a file that nobody will ever open again, as SQLite would."""
        if identity(self.path) != self._file:
            raise vanished(self.path)

    def is_committed(self, _: int) -> bool:
        """Answer no: what is not committed when SQLite says so never will be."""
        return False

    def stir(self, connection: Connection) -> None:
        """Write one page that means nothing, to see whether it can be written."""
        connection.exec_driver_sql("PRAGMA user_version = 1")  # a number that SQLite leaves to us

    def tidy(self, _: Connection) -> None:
        """Do nothing: what gathers here is what there is."""

    def is_passing(self, _: Exception) -> bool:
        """Answer no: nobody else writes."""
        return False

    def explain(self, error: Exception) -> LedgerError:
        """Return the ledger's error for SQLite's."""
        return explain(self.path, error)

    def refuse_missing(self) -> None:
        """Make sure that there is a file. Raises LedgerError."""
        if not self.path.is_file():
            message = f"{self.path}: there is no such file"
            raise LedgerError(message)

    def database(self, _: Connection) -> str:
        """Return the version of the library; the file has none."""
        return f"SQLite {sqlite3.sqlite_version}"

    def size(self, _: Connection) -> int:
        """Return what the file and what is not yet in it take."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def coordinators(self, _: Connection) -> int:
        """Try the lock that a coordinator holds."""
        lock = self._lock_file()
        return int(lock.exists() and is_held(lock))

    def counted_to(self, connection: Connection, table: Table) -> int:
        """Return the last number, of rows that are gone, too, where it is remembered."""
        (key, *more) = table.primary_key.columns
        if more or not isinstance(key.type, BigInteger):
            return 0
        highest = connection.scalar(select(func.max(key))) or 0
        if not table.dialect_options["sqlite"]["autoincrement"]:
            return int(highest)
        remembered = connection.scalar(_REMEMBERED, {"the_table": table.name}) or 0
        return max(int(highest), int(remembered))

    def count_from(self, connection: Connection, table: Table, number: int) -> None:
        """Remember it, where it is remembered; elsewhere the highest number is what counts."""
        if number and table.dialect_options["sqlite"]["autoincrement"]:
            values = {"the_table": table.name, "the_number": number}
            if not connection.execute(_REMEMBER, values).rowcount:
                connection.execute(_BEGIN_WITH, values)

    def _lock_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    def pour(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Insert them."""
        connection.execute(insert(table), rows)

    def release(self) -> None:
        """Close the file and unlock it."""
        self.reading.dispose()
        self.writing.dispose()
        if self._lock is not None:
            self._lock.release()


_sequence = table("sqlite_sequence", column("name"), column("seq"))
_REMEMBERED = select(_sequence.c.seq).where(_sequence.c.name == bindparam("the_table"))
_REMEMBER = (
    update(_sequence)
    .where(_sequence.c.name == bindparam("the_table"))
    .values(seq=bindparam("the_number"))
)
_BEGIN_WITH = insert(_sequence).values(name=bindparam("the_table"), seq=bindparam("the_number"))


def sqlite_path(url: URL) -> Path:
    """Return the file a ledger URL names.

    Raises:
        LedgerError: it is not ``sqlite:///path``.
    """
    if url.get_driver_name() not in {"", "pysqlite"}:
        message = (
            f"ledger: {url.render_as_string()} is not supported; write sqlite:///path/to/ledger.db"
        )
        raise LedgerError(message)
    if not url.database or url.database == ":memory:":
        message = f"ledger: {url} names no file; write sqlite:///path/to/ledger.db"
        raise LedgerError(message)
    return Path(url.database)


def fault_of(error: BaseException | None) -> Fault | None:
    """Return what an error of SQLite says about the file; None if it is about the operation."""
    code = getattr(error, "sqlite_errorcode", None)
    # The low byte is the kind, what is above says more precisely what happened.
    return None if code is None else _FAULTS.get(code & 0xFF)


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
