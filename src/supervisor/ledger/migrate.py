"""Bring a ledger's tables up to this program's: inside one transaction, under the ledger's lock."""

import logging
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table
from sqlalchemy.exc import SQLAlchemyError

from supervisor.ledger.database import explain
from supervisor.ledger.errors import LedgerError

HEAD = "0005"  # the newest migration; a test compares it with the folder
_versions = table("alembic_version", column("version_num"))


def migrate(engine: Engine, path: Path) -> None:
    """Apply the migrations that are missing.

    Raises:
        LedgerError: the ledger was written by a newer program, or is no ledger.
    """
    try:
        with engine.begin() as connection:
            found = _version(connection)
            if found != HEAD:  # Alembic is only loaded when there is something to do
                _upgrade(connection, path, found)
    except SQLAlchemyError as error:
        raise explain(path, error) from error


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_versions.name):
        return None
    version = connection.scalar(select(_versions.c.version_num))
    return None if version is None else str(version)


def _upgrade(connection: Connection, path: Path, found: str | None) -> None:
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
            f"{path}: was written by a newer version of this program (ledger version {found}, "
            f"this program knows up to {HEAD}); install that version, or use another ledger"
        )
        raise LedgerError(message)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
