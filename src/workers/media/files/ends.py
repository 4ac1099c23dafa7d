"""Where picture and sound really end: a Matroska file says how long it is, not each of its streams.

Subtitles that go on after the film make the file longer, and sound makes it longer than its
picture. Neither breaks off: in a film that does, the packets of all streams end too early.
"""

from collections.abc import Mapping
from dataclasses import replace

from workers.media.files.probe import NEAR, Media
from workers.media.tools import ffmpeg, tool
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext

TAIL = 10.0  # seconds before the end that are looked at first


class Ends:
    """When the last packet of each stream ends."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}

    def read(self, line: str) -> None:
        """Take one line ``stream,pts,dts,duration,size,flags`` as ffprobe prints it."""
        stream, shown, decoded, lasts, *_ = (*line.split(","), "", "", "")
        moment = _seconds(shown, _seconds(decoded, None))
        if moment is None or not stream.isdigit():
            return
        end = moment + (_seconds(lasts, 0.0) or 0.0)
        self.seconds[int(stream)] = max(end, self.seconds.get(int(stream), end))


async def known(tools: Binaries, media: Media, context: JobContext) -> Media:
    """Return what a file holds with the ends that its packets tell, where it does not say itself.

    Raises:
        WorkError: cancelled, out of time, the machine's fault.
    """
    if media.video is None or media.video.is_timed:
        return media
    for since in (media.origin + max(0.0, media.duration - TAIL), None):
        seen = Ends()
        call = tool.Call(ffmpeg.packets(tools, media.path, since=since))
        finished = await tool.run(call, context, seen.read)
        ends = {stream: round(end - media.origin, 6) for stream, end in seen.seconds.items()}
        if finished.code == 0 and max(ends.values(), default=0.0) >= media.duration - NEAR:
            return as_far_as(media, ends)
    return media


def as_far_as(media: Media, ends: Mapping[int, float]) -> Media:
    """Return a film that ends with its picture and sound, its picture where that ends; pure.

    Args:
        media: what the file says.
        ends: the second at which each stream ends, of those that were seen to.
    """
    video = media.video
    shown = ends.get(video.index, 0.0) if video else 0.0
    if video is None or shown <= video.start:
        return media
    played = max((shown, *(ends.get(sound.index, 0.0) for sound in media.sounds)))
    if shown < video.start + video.duration - NEAR:
        video = replace(video, duration=shown - video.start)
    duration = played if played < media.duration - NEAR else media.duration
    return replace(media, video=video, duration=duration)


def _seconds(text: str, otherwise: float | None) -> float | None:
    try:
        return float(text)
    except ValueError:  # absent, or N/A
        return otherwise
