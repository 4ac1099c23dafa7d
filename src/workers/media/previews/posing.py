"""The poster of a film: taken from where something is to be seen."""

import asyncio

from consumers.errors import WorkError
from workers.media.faults import fault, from_ffmpeg, lacked_room, last_line
from workers.media.previews import posters, preview_commands
from workers.media.previews.posters import Look, Luma
from workers.media.previews.studio import Studio
from workers.media.tools import tool
from workers.processor import ResultFile

POSTER = "poster.jpg"
PATIENCE = 60.0  # seconds for one look; the last ones go through the whole film


async def poster(studio: Studio) -> tuple[ResultFile, tuple[str, ...]]:
    """Take the first picture that shows something, else the best there was, with a warning."""
    seen: list[tuple[Luma, str]] = []
    for look in posters.looks(studio.video.start, studio.video.duration):
        brightness = await _pictured(studio, look)
        if brightness is not None:
            seen.append((brightness, look.name))
        if brightness is not None and brightness.shows_something:
            break
    if not seen:
        raise fault("ffmpeg_failed", f"{studio.path.name}: no picture could be taken from it")
    brightness, name = max(seen, key=lambda one: one[0].worth)
    size = studio.size(posters.HEIGHT)
    file = await studio.publish(name, POSTER, width=size.width, height=size.height, kind="image")
    dark = () if brightness.shows_something else ("the poster is dark: so is the film",)
    return file, dark


async def _pictured(studio: Studio, look: Look) -> Luma | None:
    """Return how bright the picture taken there is; None where there was none to take."""
    size = studio.size(posters.HEIGHT)
    command = preview_commands.poster(studio.tools, studio.picture, look, size)
    call = tool.Call(command, folder=studio.places.stage, limit=PATIENCE)
    report: list[str] = []
    try:
        finished = await tool.run(call, studio.context, report.append)
    except WorkError as error:
        if error.code != "timeout":
            raise
        return None  # too long a film to look at every picture; the job's own end comes anyway
    if lacked_room(finished.complaint):
        raise from_ffmpeg("taking a picture", finished.code, finished.complaint)
    if finished.code != 0:
        studio.context.log(f"no picture at {look.at:.1f} s: {last_line(finished.complaint)}")
        return None
    there = await asyncio.to_thread((studio.places.stage / look.name).is_file)
    return posters.luma(report) if there else None
