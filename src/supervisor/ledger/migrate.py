"""Bring a ledger's tables up to this program's: inside one transaction, under the ledger's lock."""

import logging
from importlib.resources import files

from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.exc import SQLAlchemyError

from supervisor.ledger.errors import LedgerError
from supervisor.ledger.rooms import Room

HEAD = "0010"  # the newest migration; a test compares it with the folder
_versions = table("alembic_version", column("version_num"))


def migrate(room: Room) -> None:
    """Apply the migrations that are missing.

    Raises:
        LedgerError: the ledger was written by a newer program, is no ledger, or is in use.
    """
    try:
        with room.writing.begin() as connection:
            if version(connection) == HEAD:
                return
            room.refuse_others(connection)
            found = version(connection)  # another coordinator may have been at it meanwhile
            if found != HEAD:  # Alembic is only loaded when there is something to do
                _upgrade(connection, room.name, found)
    except SQLAlchemyError as error:
        raise room.explain(error) from error


def version(connection: Connection) -> str | None:
    """Return the newest migration that was applied; None for an empty database."""
    if not inspect(connection).has_table(_versions.name):
        return None
    version = connection.scalar(select(_versions.c.version_num))
    return None if version is None else str(version)


def _upgrade(connection: Connection, name: str, found: str | None) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it narrates every step otherwise
    # Loaded here: it takes a fifth of a second that an up-to-date ledger need not wait for.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(files("supervisor.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        message = (
            f"{name}: was written by a newer version of this program (ledger version {found}, "
            f"this program knows up to {HEAD}); install that version, or use another ledger"
        )
        raise LedgerError(message)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
