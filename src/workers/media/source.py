"""The file a job names: found, regular, and below nothing yet but its own path.

Which roots a path may lie in is decided here, in one place.
"""

import asyncio
import stat
from pathlib import Path

from workers.media.faults import fault


async def locate(name: str, media: Path) -> Path:
    """Return the real path of a file named absolutely, or relative to the media root.

    Raises:
        RefusedError: ``not_found`` or ``not_regular``, naming the field and the path.
    """
    return await asyncio.to_thread(_locate, name, media)


def _locate(name: str, media: Path) -> Path:
    path = media / name  # an absolute name replaces the root
    try:
        path = path.resolve(strict=True)
        kind = path.stat().st_mode
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise fault("not_found", f"filePath: {path} does not exist or cannot be read") from error
    if not stat.S_ISREG(kind):
        raise fault("not_regular", f"filePath: {path} is not a regular file")
    return path
