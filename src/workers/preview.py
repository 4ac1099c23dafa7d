"""The preview processor: a film in, a short silent clip and a poster out.

On demand also a sheet of small pictures, and a moving picture. Of a sound it draws the waveform.
"""

import asyncio
from functools import partial

from workers import registry
from workers.media import readiness, settings
from workers.media.files import intake, workspace
from workers.media.files.intake import Door
from workers.media.files.workspace import Places
from workers.media.previews import clipping, extent, posing, sounding, tiling, wishes
from workers.media.previews.studio import Studio
from workers.media.previews.wishes import Request, Wish
from workers.media.tools import binaries
from workers.processor import Job, JobContext, Result, ResultFile

__all__ = ["Request", "check_host", "handle"]

check_host = readiness.examine


async def handle(job: Job, context: JobContext) -> Result:
    """Make the preview of a job's file, once.

    Raises:
        RefusedError: no such file, not media, neither picture nor sound in it.
        TransientError: ffmpeg killed, timeout.
        HostError: ffmpeg missing, disk full, media folder not writable, wrong options.
    """
    request = registry.read(Request, job.data)
    wish = wishes.resolve(request, wishes.of_pool(context.options))
    work = partial(_preview, request.file_path, wish, context)
    return await workspace.once(job, context, work)


async def _preview(name: str, wish: Wish, context: JobContext, places: Places) -> Result:
    tools = await asyncio.to_thread(binaries.find, settings.read(context.options).ffmpeg)
    media = await intake.take(name, Door(tools, context, places), share=0.0)
    duration = media.duration
    if media.video is None:
        drawn, warnings = await sounding.poster(media, tools, places, context)
        files: tuple[ResultFile, ...] = (drawn,)
    else:
        video, broken = await extent.there(media, media.video, tools, context)
        studio = Studio(media.path, video, tools, context, places, media.container)
        files, warnings = await _shown(studio, wish)
        warnings = (*broken, *warnings)
        duration = round(video.start + video.duration, 3) if broken else duration
    return Result(files=files, data={"duration": duration}, warnings=warnings)


async def _shown(studio: Studio, wish: Wish) -> tuple[tuple[ResultFile, ...], tuple[str, ...]]:
    """Make what is wished of a film; the files, and what to say of them."""
    files = [await clipping.clip(studio, wish)]
    warnings: tuple[str, ...] = ()
    if wish.poster:
        studio.context.progress(70, "choosing a poster")
        poster, warnings = await posing.poster(studio)
        files.append(poster)
    if wish.sprite:
        studio.context.progress(80, "laying out pictures")
        files += await tiling.sprite(studio, wish.sprite)
    if wish.animated:
        studio.context.progress(95, "animating the clip")
        moving, replaced = await clipping.animation(studio, files[0], wish.animated)
        files.append(moving)
        warnings += replaced
    return tuple(files), warnings
