"""The folders a supervisor needs: made if they are missing, and tried before anything starts."""

import os
import tempfile
import uuid
from pathlib import Path

NODE_ID = "node.id"


class FolderError(Exception):
    """A folder cannot be written; the message names it and says what to do."""


def prepare(key: str, folder: Path) -> None:
    """Make sure the folder that ``key`` configures is there and takes files.

    Otherwise every job would find out for itself, and be a dead letter.

    Raises:
        FolderError: it cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Writing is tried: permission bits say nothing about root, read-only mounts and quotas.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = (
            f"{key}: {folder} cannot be written ({error.strerror}); "
            f"make it writable for user {os.getuid()}, or choose another folder"
        )
        raise FolderError(message) from error


def node_id(state: Path) -> str:
    """Return the name of this supervisor, made at its first start and kept in its state folder."""
    file = state / NODE_ID
    if file.exists() and (known := file.read_text().strip()):
        return known
    made = uuid.uuid4().hex[:12]
    file.write_text(f"{made}\n")
    return made
