"""The engine room: what the ledger needs of a database, whichever it is, and which URL names which.

One file knows SQLite (``sqlite.py``), one knows PostgreSQL (``postgresql.py``); nobody else does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from supervisor.ledger.errors import LedgerError

ALLOWED = "write sqlite:///path/to/ledger.db or postgresql://user:password@host/database"

MISSING = (
    "ledger: PostgreSQL needs psycopg, which is not installed: "
    "pip install 'rabbit-supervisor[postgres]'"
)


class Room(Protocol):
    """One database, from ``take`` to ``release``."""

    @property
    def name(self) -> str:
        """What messages call it: the file, or the URL without its password."""

    @property
    def folder(self) -> Path | None:
        """The folder whose disk must have room; None if that is another machine's affair."""

    @property
    def node(self) -> str:
        """Which of the coordinators on this ledger we are; empty where there is but one."""

    @property
    def is_shared(self) -> bool:
        """Whether other coordinators may be at work on it."""

    @property
    def writing(self) -> Engine:
        """The engine of the one connection that writes."""

    @property
    def reading(self) -> Engine:
        """The engine of a connection that cannot write."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the database raises, and ``explain`` explains."""

    def take(self) -> None:
        """Keep every other coordinator off that must not be here, and look for damage.

        Raises:
            LedgerError: one is here already, or the database cannot be used.
        """

    def refuse_others(self, connection: Connection) -> None:
        """Make sure that nobody else uses the tables while they are changed.

        Raises:
            LedgerError: another coordinator does.
        """

    def begin(self, connection: Connection) -> int | None:
        """Begin a transaction that writes; return the mark it is known by, if it has one.

        Raises:
            LedgerError: what would be written would be lost, or is not ours to write.
        """

    def is_committed(self, mark: int) -> bool:
        """Answer what became of a transaction whose commit was not answered.

        Raises:
            LedgerError: nobody can tell yet.
        """

    def stir(self, connection: Connection) -> None:
        """Write what means nothing, to see whether it can be written."""

    def tidy(self, connection: Connection) -> None:
        """Put in order what gathers by writing; now and then, within a transaction that writes."""

    def is_passing(self, error: Exception) -> bool:
        """Answer whether an operation failed by a collision, and would succeed a moment later."""

    def explain(self, error: Exception) -> LedgerError:
        """Return the ledger's error for a database's: which ledger, its words, what to do."""

    def refuse_missing(self) -> None:
        """Make sure that looking at it does not make it. Raises LedgerError."""

    def database(self, connection: Connection) -> str:
        """Return which database it is, and of which version."""

    def size(self, connection: Connection) -> int:
        """Return how many bytes it takes."""

    def coordinators(self, connection: Connection) -> int:
        """Return how many coordinators hold it now."""

    def counted_to(self, connection: Connection, table: Table) -> int:
        """Return the last number that a table gave to a row; 0 if it numbers none."""

    def count_from(self, connection: Connection, table: Table, number: int) -> None:
        """Have a table number its next row by what follows, which was given by another ledger."""

    def pour(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Put many whole rows into a table as fast as it goes."""

    def release(self) -> None:
        """Let go; may be called twice."""


def room_of(url: str, node: str = "") -> Room:
    """Return the engine room that a URL names.

    Raises:
        LedgerError: it names none, or what it needs is not installed.
    """
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:  # its words would show the password
        message = f"ledger: is not a URL; {ALLOWED}"
        raise LedgerError(message) from error
    if kind == "postgresql":
        # Loaded when it is asked for: most ledgers are files, and psycopg may not be installed.
        try:
            from supervisor.ledger.postgresql import PostgresRoom  # noqa: PLC0415
        except ImportError as error:
            raise LedgerError(MISSING) from error
        return PostgresRoom(parsed, node)
    if kind == "sqlite":
        from supervisor.ledger.sqlite import SqliteRoom  # noqa: PLC0415

        return SqliteRoom(parsed)
    message = f"ledger: {parsed.render_as_string()} is not supported; {ALLOWED}"
    raise LedgerError(message)
