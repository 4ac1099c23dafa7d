"""A job's source, taken in: found, kept from being tidied away, given room, and looked into."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from workers import holdings
from workers.media import settings
from workers.media.faults import STORAGE, fault, from_ffmpeg, from_os_error, last_line
from workers.media.files import ends, source
from workers.media.files.probe import Media, probe
from workers.media.files.workspace import Places
from workers.media.tools import ffmpeg, room, tool
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext


@dataclass(frozen=True, slots=True)
class Door:
    """What a source is taken in with."""

    tools: Binaries
    context: JobContext
    places: Places


async def take(name: str, door: Door, *, share: float) -> Media:
    """Return what the named file holds, once it is sure that it can be worked on.

    Args:
        name: the job's ``filePath``.
        door: what it is taken in with.
        share: how many times its size the results are expected to need.

    Raises:
        RefusedError: what ``source`` and ``probe`` refuse; ``does_not_fit``; ``damaged``, where
            the pool's options are ``strict``.
        HostError: ``disk_full`` when there is no room at the moment, and the like.
    """
    path = await source.locate(name, door.context)
    await asyncio.to_thread(_settle_in, path, door, share)
    media = await probe(door.tools, path, door.context)
    media = await ends.known(door.tools, media, door.context)
    if settings.read(door.context.options).strict:
        await _require_whole(media, door)
    return media


async def _require_whole(media: Media, door: Door) -> None:
    """Decode all of it. Copying would not notice damage, and encoding would pass over it."""
    door.context.progress(0, "looking for damage")
    call = tool.Call(ffmpeg.decode(door.tools, media.path))
    finished = await tool.run(call, door.context)
    if finished.code > 0:
        why = last_line(finished.complaint)
        says = f"{media.path.name} is damaged: {why}"
        raise fault("damaged", says)
    if finished.code:
        doing = f"decoding {media.path.name}"
        raise from_ffmpeg(doing, finished.code, finished.complaint)


def _settle_in(path: Path, door: Door, share: float) -> None:
    try:
        is_there = holdings.note_source(door.context.media, door.places.stage, path)
        needed = int(path.stat().st_size * share) if is_there else 0
        room.require(door.places.stage, needed, f"working on {path.name}")
    except OSError as error:
        if error.errno not in STORAGE:
            raise
        raise from_os_error(error, "preparing the work folder") from error
    if not is_there:
        raise fault("not_found", f"filePath: {path} does not exist any more")
