"""The engine room of a ledger in PostgreSQL: shared by several machines, each with its own node id.

Whoever writes for a node holds that node's advisory lock, which goes with the connection: it keeps
a second coordinator of that id off, and tells the others who is there.
"""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from psycopg.adapt import Dumper
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    cast,
    create_engine,
    delete,
    event,
    func,
    literal,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool
from typing_extensions import override

from supervisor.core.troubles import Fault, Trouble
from supervisor.ledger.dialects import insert
from supervisor.ledger.errors import LedgerError, UnwritableError
from supervisor.ledger.presence import NODE_LOCK, here, lock_of, present
from supervisor.ledger.tables.jobs import job_changes, job_counts

MIGRATION_LOCK: Final = 7_270_002
PATIENCE: Final = 5  # seconds to wait for a connection, and for a row that another session holds
LEAVING: Final = 2.0  # seconds that the server may need to see that a killed coordinator is gone
SILENCE: Final = 20  # seconds until a connection that answers nothing any more counts as lost

TO_THE_SERVER: Final = {
    "connect_timeout": PATIENCE,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": SILENCE * 1000,
}
# The server, too, is to notice that we are gone: until it does, our lock is taken.
_SESSION: Final = (
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("lock_timeout", f"{PATIENCE}s"),
    ("idle_in_transaction_session_timeout", "60s"),
)
_KINDS: Final = {  # by SQLSTATE, the longest beginning that fits
    "08": Fault.AWAY,
    "25006": Fault.READ_ONLY,
    "28": Fault.REFUSED,
    "3D": Fault.REFUSED,
    "40": Fault.BUSY,
    "42501": Fault.READ_ONLY,
    "53": Fault.BUSY,
    "53100": Fault.FULL,
    "55P03": Fault.BUSY,
    "57": Fault.AWAY,
    "57014": Fault.BUSY,
    "58": Fault.UNUSABLE,
    "XX001": Fault.DAMAGED,
    "XX002": Fault.DAMAGED,
}
# A connection that is refused has no SQLSTATE; these words are those of an English server.
_REFUSALS: Final = {
    "password authentication failed": Fault.REFUSED,
    "no password supplied": Fault.REFUSED,
    "no pg_hba.conf entry": Fault.REFUSED,
    "does not exist": Fault.REFUSED,
    "not permitted to log in": Fault.REFUSED,
    "permission denied": Fault.REFUSED,
    "too many": Fault.BUSY,
    "connection slots": Fault.BUSY,
}
_ADVICE: Final = {
    Fault.AWAY: "see whether the server runs and can be reached from here",
    Fault.BUSY: "see what else uses this server: pg_stat_activity names every session",
    Fault.FULL: "free some space on the server's disk",
    Fault.READ_ONLY: "name a server that may be written to, and a user who owns the tables",
    Fault.REFUSED: "see the user, the password and the database in ledger:",
    Fault.UNUSABLE: "its disk or file system fails: see the server's log",
    Fault.DAMAGED: "stop the supervisors and restore a backup: see the server's log",
}
_PASSING: Final = {"40P01", "40001"}  # a deadlock, a serialization failure
# What no column, or no index of one, has room for.
_HOPELESS: Final = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded)


class PostgresRoom:
    """One database of a PostgreSQL server."""

    errors = (SQLAlchemyError, psycopg.Error)
    folder: Path | None = None
    is_shared = True

    def __init__(self, url: URL, node: str) -> None:
        self.node = node
        self._url = url.set(drivername="postgresql+psycopg")
        self.name = url.set(drivername="postgresql").render_as_string()

    @cached_property
    def writing(self) -> Engine:
        """The engine of the one connection that writes."""
        return self._engine("supervisor", _SESSION)

    @cached_property
    def reading(self) -> Engine:
        """The engine of a connection that cannot write."""
        only = ("default_transaction_read_only", "on")
        return self._engine("supervisor (reads)", (*_SESSION, only))

    def take(self) -> None:
        """Be the coordinator of this node. Raises LedgerError."""
        until = time.monotonic() + LEAVING
        while not self._is_taken(is_last=time.monotonic() >= until):
            time.sleep(LEAVING / 20)

    def _is_taken(self, *, is_last: bool) -> bool:
        """Answer whether the node is ours now; the connection of a life before may still end."""
        try:
            with self.writing.begin() as connection:
                self.begin(connection)
        except self.errors as error:
            raise self.explain(error) from error
        except LedgerError:
            if is_last:
                raise
            return False
        return True

    def refuse_others(self, connection: Connection) -> None:
        """Be alone with the tables until the transaction ends. Raises LedgerError."""
        connection.execute(select(func.set_config("lock_timeout", "0", true())))
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        held = present().subquery()
        others = select(func.count()).select_from(held).where(held.c.objid != lock_of(here()))
        if connection.scalar(others):
            message = (
                f"{self.name}: its tables must be changed for this version, and supervisors of "
                "another one are at work on it; stop them all first"
            )
            raise LedgerError(message)

    def begin(self, connection: Connection) -> int:
        """Hold the node's lock, and return the transaction's id."""
        if not connection.info.get("is_ours"):
            if not connection.scalar(select(func.pg_try_advisory_lock(*self._key()))):
                raise self._occupied()
            connection.info["is_ours"] = True  # goes with this very connection, as the lock does
        return int(connection.scalar(_XID) or 0)

    def is_committed(self, mark: int) -> bool:
        """Answer what became of a transaction by its id. Raises LedgerError."""
        try:
            with self.writing.begin() as connection:
                status = connection.scalar(_STATUS, {"the_mark": mark})
        except self.errors as error:
            raise self.explain(error) from error
        if status == "in progress":  # the server has not noticed yet that its client is gone
            message = f"{self.name}: the last transaction is not ended yet"
            raise LedgerError(message, Trouble(Fault.BUSY, message))
        return bool(status == "committed")

    def stir(self, connection: Connection) -> None:
        """Write one row as it is."""
        connection.execute(_STIR)

    def tidy(self, connection: Connection) -> None:
        """Add up the changes that nobody else is adding up just now."""
        connection.execute(_ADD_UP)

    def is_passing(self, error: Exception) -> bool:
        """Answer whether two coordinators were in each other's way."""
        return getattr(getattr(error, "orig", error), "sqlstate", None) in _PASSING

    def explain(self, error: Exception) -> LedgerError:
        """Return the ledger's error for a database's: which server, its words, what to do."""
        origin = getattr(error, "orig", None) or error
        fault = fault_of(origin)
        words = " ".join(str(origin).split())
        if self._url.password:
            words = words.replace(str(self._url.password), "***")
        message = f"{self.name}: {words}; {_ADVICE[fault] if fault else 'see the log'}"
        is_hopeless = isinstance(origin, _HOPELESS)
        kind = UnwritableError if is_hopeless else LedgerError
        explained = kind(message, None if fault is None else Trouble(fault, message))
        explained.__cause__ = error  # for those who hand it on instead of raising it
        return explained

    def refuse_missing(self) -> None:
        """Do nothing: the server does not make what it does not have."""

    def database(self, connection: Connection) -> str:
        """Return the version of the server."""
        return f"PostgreSQL {connection.scalar(_SERVER_VERSION)}"

    def size(self, connection: Connection) -> int:
        """Return what the database takes on the server's disk."""
        return connection.scalar(select(func.pg_database_size(func.current_database()))) or 0

    def coordinators(self, connection: Connection) -> int:
        """Count the locks."""
        return connection.scalar(select(func.count()).select_from(present().subquery())) or 0

    def counted_to(self, connection: Connection, table: Table) -> int:
        """Return the last number that was given."""
        sequence = self._sequence(connection, table)
        if sequence is None:
            return 0
        last = select(func.pg_sequence_last_value(cast(sequence, REGCLASS)))
        return connection.scalar(last) or 0

    def count_from(self, connection: Connection, table: Table, number: int) -> None:
        """Set the sequence."""
        sequence = self._sequence(connection, table)
        if number and sequence is not None:
            connection.execute(select(func.setval(cast(sequence, REGCLASS), number)))

    def _sequence(self, connection: Connection, table: Table) -> str | None:
        (key, *_) = table.primary_key.columns
        return connection.scalar(select(func.pg_get_serial_sequence(table.name, key.name)))

    def pour(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Copy them, which is one statement for all of them."""
        names = tuple(rows[0])
        words = sql.SQL("COPY {} ({}) FROM STDIN").format(
            sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
        )
        wire = connection.connection.driver_connection
        assert isinstance(wire, psycopg.Connection)  # noqa: S101 - there is no other driver
        with wire.cursor() as cursor, cursor.copy(words) as pouring:
            for row in rows:
                pouring.write_row([row[name] for name in names])

    def release(self) -> None:
        """Close the connections; the lock goes with them."""
        self.reading.dispose()
        self.writing.dispose()

    def _key(self) -> tuple[object, object]:
        return literal(NODE_LOCK), func.hashtext(self.node)

    def _occupied(self) -> LedgerError:
        message = (
            f"{self.name}: another supervisor with this node id ({self.node}) is at work on this "
            "ledger; stop it, or delete the file node.id in the state folder of the copy. If there "
            "is none, the server will soon notice that our last connection is gone"
        )
        return LedgerError(message, Trouble(Fault.BUSY, message))

    def _engine(self, name: str, settings: tuple[tuple[str, str], ...]) -> Engine:
        engine = create_engine(
            self._url,
            poolclass=QueuePool,
            pool_size=1,  # one connection, for one thread
            max_overflow=0,
            pool_reset_on_return=None,  # every transaction is ended by who began it
            connect_args={**TO_THE_SERVER, "application_name": f"{name} {self.node}".strip()},
        )
        values = (("supervisor.node", self.node), *settings)

        def prepare(connection: psycopg.Connection[object], _record: object) -> None:
            connection.adapters.register_dumper(str, _Text)
            for key, value in values:
                connection.execute("SELECT set_config(%s, %s, false)", (key, value))
            connection.commit()

        event.listen(engine, "connect", prepare)
        return engine


class _Text(Dumper):
    """Texts as a column can hold them: the server refuses NUL, and what is no character."""

    @override
    def dump(self, obj: str) -> bytes:
        """Return the text, with what cannot be stored written out."""
        return obj.replace("\0", r"\0").encode(errors="backslashreplace")


_SERVER_VERSION = text("SHOW server_version")
_XID = text("SELECT pg_current_xact_id()::text::bigint")
_STATUS = text("SELECT pg_xact_status(CAST(CAST(:the_mark AS text) AS xid8))")
_CHANGES = (
    delete(job_changes)
    .where(
        job_changes.c.number.in_(
            select(job_changes.c.number).with_for_update(skip_locked=True).scalar_subquery()
        )
    )
    .returning(job_changes.c.queue, job_changes.c.state, job_changes.c.change)
    .cte("changes")
)
_SUMS = (
    select(_CHANGES.c.queue, _CHANGES.c.state, here().label("node"), func.sum(_CHANGES.c.change))
    .group_by(_CHANGES.c.queue, _CHANGES.c.state)
    .having(func.sum(_CHANGES.c.change) != 0)
)
_ADDING = insert(job_counts).from_select(["queue", "state", "node", "count"], _SUMS)
_ADD_UP = _ADDING.on_conflict_do_update(
    index_elements=["queue", "state", "node"],
    set_={"count": job_counts.c.count + _ADDING.excluded.count},
)
_STIR = text("UPDATE alembic_version SET version_num = version_num")


def fault_of(error: BaseException) -> Fault | None:
    """Return what an error of psycopg says about the server; None if it is about the operation."""
    state = getattr(error, "sqlstate", None)
    if state:
        fits = [kind for kind in _KINDS if state.startswith(kind)]
        return _KINDS[max(fits, key=len)] if fits else None
    if not isinstance(error, psycopg.OperationalError):
        return None
    said = str(error)
    return next((fault for words, fault in _REFUSALS.items() if words in said), Fault.AWAY)
