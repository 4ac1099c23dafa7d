"""Finished pieces are written to the disk while the next ones are made.

A result is published when all of it lies on the disk. Most of it can be there when the last piece
is finished; waiting for the whole film to be written then would take as long as copying it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from workers import holdings
from workers.media.tools import ffmpeg

PAUSE = 0.05  # seconds between two looks for finished pieces


@contextlib.asynccontextmanager
async def meanwhile(folder: Path, wanted: Collection[str]) -> AsyncIterator[None]:
    """Have those of a folder's files that are finished written while others are being made.

    Raises:
        OSError: what the disk said; it says it once, so whoever asks again hears nothing.
    """
    over = asyncio.Event()
    following = asyncio.ensure_future(_follow(folder, wanted, over))
    try:
        yield
    finally:
        over.set()
        await asyncio.wait({following})
        failure = following.exception()
    if failure is not None:
        raise failure


async def _follow(folder: Path, wanted: Collection[str], over: asyncio.Event) -> None:
    written: set[str] = set()
    is_over = False
    while not is_over:
        with contextlib.suppress(TimeoutError):
            is_over = await asyncio.wait_for(over.wait(), PAUSE)
        with contextlib.suppress(FileNotFoundError):  # the job was given up meanwhile
            written |= await asyncio.to_thread(write, folder, set(wanted) - written)


def write(folder: Path, wanted: Collection[str]) -> set[str]:
    """Write the finished ones of these files to the disk, and return them.

    A piece is finished when there is the next one: they are made in the order of their names.
    """
    there = sorted(path for path in folder.iterdir() if path.name != ffmpeg.SEGMENTS)
    finished = [path for path in there[:-1] if path.name in wanted]
    for path in finished:
        holdings.sync(path)
    return {path.name for path in finished}
