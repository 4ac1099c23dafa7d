"""The file a job names: below an allowed root, regular, not empty, and opened once to be sure.

The one place that decides which paths a job may name. What is returned is free of links; the tools
are started with a right to this very file (``landlock``), not to what its name may mean by then.
"""

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from workers.media import settings
from workers.media.faults import EXHAUSTED, fault, from_os_error
from workers.processor import JobContext

# Not waiting for the other end of a pipe, nor following what took the file's place meanwhile.
_CAREFULLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


async def locate(name: str, context: JobContext) -> Path:
    """Return the real path of a readable file named absolutely, or relative to the media root.

    Raises:
        RefusedError: ``outside_root``, ``not_found``, ``not_regular`` or ``not_media`` for an empty
            file, naming the field and the path.
        HostError: ``bad_options``; ``exhausted``, when the system has no means left to look.
    """
    roots = settings.read(context.options).roots
    return await asyncio.to_thread(_locate, name, context.media, roots)


def _locate(name: str, media: Path, roots: Sequence[str]) -> Path:
    allowed = [root.resolve() for root in (media, *map(Path, roots))]
    try:
        path = (media / name).resolve()  # an absolute name replaces the root
        # Before anything is looked at: whether a file elsewhere exists is nobody's business.
        if not any(path.is_relative_to(root) for root in allowed):
            raise fault("outside_root", f"filePath: {name} is not below the media folder")
        size = _examined(path)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; no name for a file
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            raise from_os_error(error, "looking at filePath") from error
        raise fault("not_found", f"filePath: {name} does not exist or cannot be read") from error
    if size is None:
        raise fault("not_regular", f"filePath: {name} is not a regular file")
    if not size:
        raise fault("not_media", f"filePath: {name} is empty")
    return path


def _examined(path: Path) -> int | None:
    """Return the size of a file that can be read, None for what is no regular file.

    Opening a device can do things: it is looked at before, and again once it is open.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    file = os.open(path, _CAREFULLY)
    try:
        found = os.fstat(file)
        return found.st_size if stat.S_ISREG(found.st_mode) else None
    finally:
        os.close(file)
