"""Ledgers in files that have their tables already: migrated once in a test run, then copied."""

import functools
import tempfile
from pathlib import Path

from supervisor.ledger.migrate import migrate
from supervisor.ledger.rooms import room_of


def lay(file: Path) -> str:
    """Put an up-to-date ledger without a job there, if there is none; return its URL."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_blank())
    return f"sqlite:///{file}"


@functools.cache
def _blank() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.db"
        room = room_of(f"sqlite:///{file}")
        room.take()
        migrate(room)
        room.release()
        return file.read_bytes()
