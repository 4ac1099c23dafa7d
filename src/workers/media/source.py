"""The file a job names: found, regular, and below nothing yet but its own path.

Which roots a path may lie in is decided here, in one place.
"""

import asyncio
import stat
from pathlib import Path

from workers.media.faults import EXHAUSTED, fault, from_os_error


async def locate(name: str, media: Path) -> Path:
    """Return the real path of a readable file named absolutely, or relative to the media root.

    Raises:
        RefusedError: ``not_found`` or ``not_regular``, naming the field and the path.
        HostError: ``exhausted``, when the system has no means left to look.
    """
    return await asyncio.to_thread(_locate, name, media)


def _locate(name: str, media: Path) -> Path:
    path = media / name  # an absolute name replaces the root
    try:
        path = path.resolve(strict=True)
        is_regular = stat.S_ISREG(path.stat().st_mode)
        if is_regular:
            path.open("rb").close()  # afterwards nobody can say any more whose fault it is
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        if isinstance(error, OSError) and error.errno in EXHAUSTED:
            raise from_os_error(error, "looking at filePath") from error
        raise fault("not_found", f"filePath: {path} does not exist or cannot be read") from error
    if not is_regular:
        raise fault("not_regular", f"filePath: {path} is not a regular file")
    return path
