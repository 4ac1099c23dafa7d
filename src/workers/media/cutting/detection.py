"""Where a film asks to be cut: changes of scene in the picture, silences in the sound."""

from collections.abc import Iterable

from workers.media.cutting.making import Bench
from workers.media.cutting.order import Silence
from workers.media.faults import fault
from workers.media.files.probe import Media
from workers.media.files.spans import Span
from workers.media.tools import ffmpeg, tool
from workers.media.tools.conversion import Share, convert

EDGE = 0.5  # seconds; no cut is worth a piece shorter than this
NEAR = 0.5  # seconds that a cut may lie beside a change of scene


class Listener:
    """What a filter said, line by line."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float]] = []

    def __call__(self, line: str) -> None:
        """Take one line, ``lavfi.NAME=SECONDS`` or anything else."""
        key, _, value = line.strip().partition("=")
        if key.startswith("lavfi."):
            self.said.append((key.removeprefix("lavfi."), float(value)))


async def scenes(media: Media, threshold: float, bench: Bench) -> tuple[Span, ...]:
    """Return where scenes change; a cut may lie half a second beside.

    Raises:
        RefusedError: ``no_video``.
    """
    if media.video is None:
        raise fault("no_video", f"scenes: {media.path.name} has no picture")
    command = ffmpeg.scenes(bench.tools, media.path, media.video.index, threshold)
    said = await _listened(command, media, bench, "looking for scenes")
    return as_points(said, media.duration)


async def silences(media: Media, asked: Silence, bench: Bench) -> tuple[Span, ...]:
    """Return the silences of the first sound track; a cut may lie anywhere in them.

    Raises:
        RefusedError: ``bad_option``, when there is no sound.
    """
    if not media.sounds:
        raise fault("bad_option", f"silence: {media.path.name} has no sound")
    heard = (asked.noise, asked.length)
    command = ffmpeg.silences(bench.tools, media.path, media.sounds[0].index, heard)
    said = await _listened(command, media, bench, "listening for silence")
    return as_silences(said, media.duration)


def as_points(said: Iterable[tuple[str, float]], duration: float) -> tuple[Span, ...]:
    """Return the changes of scene that are far enough from each other and from the ends."""
    points: list[float] = []
    for key, at in said:
        after = points[-1] if points else 0.0
        if key == "scd.time" and at >= after + EDGE and at <= duration - EDGE:
            points.append(at)
    return tuple(Span(at - NEAR, at + NEAR) for at in points)


def as_silences(said: Iterable[tuple[str, float]], duration: float) -> tuple[Span, ...]:
    """Return the silences between sounds: neither before the first nor after the last."""
    found: list[Span] = []
    start = None
    for key, at in said:
        if key.startswith("silence_start"):
            start = at
        elif key.startswith("silence_end") and start is not None:
            found.append(Span(start, at))
            start = None
    return tuple(span for span in found if span.start > EDGE and span.end < duration - EDGE)


async def _listened(
    command: tuple[str, ...], media: Media, bench: Bench, note: str
) -> list[tuple[str, float]]:
    listener = Listener()
    share = Share(media.duration, first=bench.first, last=bench.last, note=note)
    await convert(tool.Call(command), bench.context, share, listener)
    return listener.said
