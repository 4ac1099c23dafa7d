"""The clip of a film: samples taken one by one and joined; and the moving picture made of it.

Every quick way has a slow one behind it: a sample that did not come out, or began where another
one does, is taken again exactly; when too few came out, the clip is the film's beginning.
"""

import asyncio

from consumers.errors import WorkError
from workers.media.faults import fault
from workers.media.files.probe import probe
from workers.media.previews import preview_commands, samples, sprites
from workers.media.previews.preview_commands import PARTS, SAMPLES
from workers.media.previews.samples import Sample, Size
from workers.media.previews.studio import MENDABLE, Studio
from workers.media.previews.wishes import Kind, Wish
from workers.processor import ResultFile

CLIP = "clip.mp4"
MOVING_HEIGHT = 320
FIRST, LAST = 2.0, 70.0  # per cent of the job


async def clip(studio: Studio, wish: Wish) -> ResultFile:
    """Make the clip.

    Raises:
        WorkError: no way gave a picture; the last way's failure is the failure.
    """
    size = studio.size(wish.height)
    chosen = samples.choose(studio.video.start, studio.video.duration, wish.seconds, wish.samples)
    parts = [PARTS.format(0)] if not chosen and await _whole(studio, size) else []
    for number, sample in enumerate(chosen):
        share = number / len(chosen)
        studio.context.progress(FIRST + (LAST - FIRST) * share, f"sampling {studio.path.name}")
        name = PARTS.format(number)
        if await _came_out(studio, sample, size, name):
            parts.append(name)
    if not parts or len(parts) * 2 < len(chosen):
        studio.context.log("sampling another way: the film's beginning")
        parts = [PARTS.format(0)]
        await _taken(studio, samples.beginning(wish.seconds), size, parts[0])
    return await _published(studio, parts, size)


async def animation(
    studio: Studio, made: ResultFile, kind: Kind
) -> tuple[ResultFile, tuple[str, ...]]:
    """Make a moving picture of the clip; a GIF, with a word, where ffmpeg knows no WebP."""
    size = samples.fit(made.width or MOVING_HEIGHT, made.height or MOVING_HEIGHT, MOVING_HEIGHT)
    try:
        return await _moving(studio, kind, size), ()
    except WorkError as error:
        if error.code != "ffmpeg_unfit" or kind == "gif":
            raise
        return await _moving(studio, "gif", size), ("this ffmpeg writes no WebP: it is a GIF",)


async def _whole(studio: Studio, size: Size) -> bool:
    frames = int(samples.LONGEST * samples.RATE)
    name = PARTS.format(0)
    command = preview_commands.whole(studio.tools, studio.picture, size, frames, name)
    try:
        shown = await studio.run(command, f"sampling {studio.path.name}")
    except WorkError as error:
        _mend(studio, error)
        return False
    return bool(sprites.times_of_frames(shown))


async def _came_out(studio: Studio, sample: Sample, size: Size, name: str) -> bool:
    """Take a sample, the exact way if the quick one fails; say whether there is one."""
    for way in dict.fromkeys((sample, sample.exactly())):
        try:
            await _taken(studio, way, size, name)
        except WorkError as error:
            _mend(studio, error)
        else:
            return True
    return False


async def _taken(studio: Studio, sample: Sample, size: Size, name: str) -> None:
    command = preview_commands.sample(studio.tools, studio.picture, sample, size, name)
    shown = await studio.run(command, f"sampling {studio.path.name}")
    times = sprites.times_of_frames(shown)
    if not times:
        raise fault("ffmpeg_failed", f"{studio.path.name}: a sample came out empty")
    if sample.reach and -times[0] > sample.reach:
        says = f"no keyframe within {sample.reach:.0f} s before {sample.at:.1f} s"
        raise fault("ffmpeg_failed", f"{studio.path.name}: {says}")


def _mend(studio: Studio, error: WorkError) -> None:
    """Return when another way may do better.

    Raises:
        WorkError: the error, when no other way can.
    """
    if error.code not in MENDABLE:
        raise error
    studio.context.log(f"sampling another way: {error.message}")


async def _published(studio: Studio, parts: list[str], size: Size) -> ResultFile:
    name = parts[0]
    if len(parts) > 1:
        listing = "".join(f"file {part}\n" for part in parts)
        await asyncio.to_thread((studio.places.stage / SAMPLES).write_text, listing)
        name = CLIP
        await studio.run(preview_commands.joined(studio.tools, name), "joining the samples")
    made = await probe(studio.tools, studio.places.stage / name, studio.context)
    return await studio.publish(
        name, CLIP, duration=round(made.duration, 3), width=size.width, height=size.height
    )


async def _moving(studio: Studio, kind: Kind, size: Size) -> ResultFile:
    name = f"preview.{kind}"
    clip_made = studio.places.out / CLIP
    command = preview_commands.animation(studio.tools, clip_made, kind, size, name)
    await studio.run(command, f"animating {studio.path.name}")
    return await studio.publish(name, name, width=size.width, height=size.height, kind="image")
