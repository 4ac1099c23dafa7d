"""Where a film really ends: one that breaks off still says how long it was to be."""

from dataclasses import replace

from consumers.errors import WorkError
from workers.media.faults import broken_off
from workers.media.files.packets import last, scan
from workers.media.files.probe import Media, Video
from workers.media.previews.studio import MENDABLE
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext

TAIL = 10.0  # seconds before the end that are looked at in every film
LEEWAY, SHARE = 1.0, 0.02  # seconds, or a part of it all, that may lack without a word


async def there(
    media: Media, video: Video, tools: Binaries, context: JobContext
) -> tuple[Video, tuple[str, ...]]:
    """Return the picture as far as there is any, and a warning where that is not all.

    A film that is whole is read at its end alone.

    Raises:
        WorkError: cancelled, out of time, the machine's fault.
    """
    claimed = video.start + video.duration
    try:
        since = media.origin + max(0.0, claimed - TAIL)
        tail = await last(tools, media.path, video.index, context, since=since)
        if not _is_short(tail.end - media.origin, claimed):
            return video, ()
        seen = await scan(tools, media.path, video.index, context, origin=media.origin)
    except WorkError as error:
        if error.code not in MENDABLE:
            raise
        context.log(f"where the film ends is not known: {error.message}")
        return video, ()
    if not video.start < seen.end or not _is_short(seen.end, claimed):
        return video, ()
    says = broken_off(media.path, claimed, seen.end)
    return replace(video, duration=seen.end - video.start), (says,)


def _is_short(end: float, claimed: float) -> bool:
    return claimed - end > max(LEEWAY, SHARE * claimed)
