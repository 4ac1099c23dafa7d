"""The poster of a sound without a picture: its waveform."""

import asyncio

from workers.media.faults import fault
from workers.media.files.probe import Media
from workers.media.files.workspace import Places
from workers.media.previews import preview_commands, waveform
from workers.media.previews.studio import run
from workers.media.tools import tool
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext, ResultFile

POSTER = "poster.png"


async def poster(
    media: Media, tools: Binaries, places: Places, context: JobContext
) -> tuple[ResultFile, tuple[str, ...]]:
    """Draw the first sound track.

    Raises:
        WorkError: nothing of it can be decoded, and what else went wrong.
    """
    context.progress(5, f"listening to {media.path.name}")
    samples = waveform.window(media.duration)
    command = preview_commands.loudness(tools, media.path, media.sounds[0].index, samples)
    call = tool.Call(command, folder=places.stage)
    peaks = waveform.levels(await run(call, context, f"listening to {media.path.name}"))
    if not peaks:
        raise fault("ffmpeg_failed", f"{media.path.name}: nothing of the sound can be decoded")
    drawn = await asyncio.to_thread(waveform.picture, waveform.bars(peaks))
    path = places.out / POSTER
    await asyncio.to_thread(path.write_bytes, drawn)
    silent = () if waveform.is_heard(peaks) else ("the sound is silent",)
    file = ResultFile(
        path=str(path),
        size=len(drawn),
        width=waveform.WIDTH,
        height=waveform.HEIGHT,
        kind="image",
    )
    return file, silent
