"""The sheet of a film's pictures: of its keyframes where they suffice, else of all its frames."""

import asyncio
from dataclasses import dataclass

from consumers.errors import WorkError
from workers.media.faults import fault
from workers.media.previews import preview_commands, sprites
from workers.media.previews.sprites import Sheet
from workers.media.previews.studio import MENDABLE, Studio
from workers.media.previews.wishes import Grid
from workers.processor import ResultFile

SHEET, CUES = "sprite.jpg", "sprite.vtt"


@dataclass(frozen=True, slots=True)
class _Picked:
    """The frames for the tiles, in a file of ours, and when each is shown in the film."""

    name: str
    times: tuple[float, ...]


async def sprite(studio: Studio, grid: Grid) -> tuple[ResultFile, ResultFile]:
    """Make the sheet, and the WebVTT that says where in it is what.

    Raises:
        WorkError: the film has no frame that can be decoded, and what else went wrong.
    """
    video = studio.video
    sheet = sprites.plan((video.width, video.height), video.start, video.duration, grid)
    picked = await _keyframes(studio, sheet) if sprites.by_keyframes(video.duration) else None
    shape = await _laid_out(studio, sheet, picked) if picked else None
    if picked is None or shape is None:
        picked = await _frames(studio, sheet)
        shape = await _laid_out(studio, sheet, picked)
    if shape is None:
        raise fault("ffmpeg_failed", f"{studio.path.name}: its pictures cannot be laid out")
    end = video.start + video.duration
    text = sprites.vtt(picked.times, shape[0], sheet.tile, end, SHEET)
    await asyncio.to_thread((studio.places.stage / CUES).write_text, text)
    width, height = shape[0] * sheet.tile.width, shape[1] * sheet.tile.height
    image = await studio.publish(SHEET, SHEET, width=width, height=height, kind="image")
    return image, await studio.publish(CUES, CUES, kind="text")


async def _keyframes(studio: Studio, sheet: Sheet) -> _Picked | None:
    """Take keyframes out of the film; None when they are too few, or not to be had."""
    wanted = sprites.picked(sheet, studio.picture.clock)
    try:
        said = await studio.run(
            preview_commands.keyframes(studio.tools, studio.picture, wanted),
            f"taking keyframes of {studio.path.name}",
        )
    except WorkError as error:
        if error.code not in MENDABLE:
            raise
        studio.context.log(f"decoding every frame for the sheet: {error.message}")
        return None
    times = sprites.times_of_packets(said)
    if not sprites.suffices(len(times), sheet, studio.video.duration):
        studio.context.log(f"decoding every frame for the sheet: {len(times)} keyframes serve")
        return None
    return _Picked(preview_commands.keys_name(studio.picture), times[: sheet.tiles])


async def _frames(studio: Studio, sheet: Sheet) -> _Picked:
    """Decode the film from beginning to end, and keep the frames that are due."""
    wanted = sprites.picked(sheet, "t")
    command = preview_commands.frames(studio.tools, studio.picture, wanted, sheet.tile)
    said = await studio.run(command, f"taking pictures of {studio.path.name}")
    times = sprites.times_of_frames(said)[: sheet.tiles]
    if not times:
        raise fault("ffmpeg_failed", f"{studio.path.name}: no picture could be taken from it")
    return _Picked(preview_commands.FRAMES, times)


async def _laid_out(studio: Studio, sheet: Sheet, picked: _Picked) -> tuple[int, int] | None:
    """Make the sheet; return its columns and rows, or None when frames got lost on the way."""
    shape = sprites.shrunk(sheet, len(picked.times))
    command = preview_commands.sheet(studio.tools, picked.name, shape, sheet.tile, SHEET)
    try:
        shown = await studio.run(command, "laying out the sheet")
    except WorkError as error:
        if error.code not in MENDABLE:
            raise
        return None
    came = len(sprites.times_of_frames(shown))
    if came >= len(picked.times):
        return shape
    studio.context.log(f"{came} of {len(picked.times)} pictures for the sheet could be decoded")
    return None
