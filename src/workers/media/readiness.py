"""Whether the machine has what media jobs need: a folder that takes files, room, and ffmpeg."""

import os
import tempfile
from pathlib import Path

from workers.media import settings
from workers.media.faults import from_os_error
from workers.media.fetching import cookies
from workers.media.tools import binaries
from workers.processor import Host

ROOM = 1_000_000  # bytes that are really written: quotas and read-only mounts show only then


def examine(host: Host) -> None:
    """Return when all is there.

    Raises:
        HostError: naming what is missing.
    """
    chosen = settings.read(host.options)
    binaries.find(chosen.ffmpeg)
    cookies.check(chosen.cookies)
    _write(host.media)


def _write(media: Path) -> None:
    try:
        media.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=media, prefix=".room-") as file:
            file.write(b"\0" * ROOM)
            file.flush()
            os.fsync(file.fileno())  # some file systems find out late that they are full
    except OSError as error:
        raise from_os_error(error, f"writing below the media root {media}") from error
