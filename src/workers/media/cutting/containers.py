"""Which container holds which codecs: what the pieces of a file are wrapped in.

Pure. mp4 wherever it can be, because that is what messengers and browsers play.
"""

from collections.abc import Sequence
from dataclasses import replace

from workers.media.files.probe import Media
from workers.media.files.spans import Span
from workers.media.tools.ffmpeg import Cut

DENSEST = 1.0  # bits that a pixel of a frame may take where we encode: films take a tenth
MOST_SOUND = 2  # times the source
_IN_MP4 = frozenset({"h264", "hevc", "av1", "mpeg4", "aac", "mp3", "ac3", "eac3", "alac"})
_IN_WEBM = frozenset({"vp8", "vp9", "av1", "vorbis", "opus"})


def copying(media: Media) -> Cut:
    """Return how to wrap the streams as they are."""
    sounds = {sound.codec for sound in media.sounds}
    if media.video is None:
        container, suffix = _of_sound(sounds)
    else:
        container, suffix = _of_film({media.video.codec, *sounds})
    return Cut(media.path, _streams(media), container, suffix)


def sounding(media: Media) -> Cut:
    """Return how to wrap the sound of a film alone, as it is."""
    return copying(replace(media, video=None))


def encoding(
    media: Media, height: int | None = None, rate: float | None = None, ahead: float = 2.0
) -> Cut:
    """Return how to wrap an encoded picture; sound that fits is copied.

    Args:
        media: the source.
        height: lines that the picture may have at most.
        rate: bits a second that it may take.
        ahead: seconds that it may be ahead of its rate.
    """
    fits = {sound.codec for sound in media.sounds} <= _IN_MP4
    return Cut(
        media.path,
        _streams(media),
        "mp4",
        ".mp4",
        audio="copy" if fits else "aac",
        pixels=_pixels(media),
        filters=_filters(media, height),
        rate=rate,
        ahead=ahead,
    )


def heft(media: Media, height: int | None, spans: Sequence[Span]) -> float:
    """Return how many times the source's size encoded pieces may be: as dense, as it is seen."""
    scaled = is_scaled(media, height) and media.video is not None and height is not None
    lines = height / media.video.height if scaled and media.video and height else 1.0
    played = sum(span.length for span in spans)
    return lines**2 * played / media.duration if media.duration > 0 else 0.0


def most(media: Media, frames: int) -> int:
    """Return the bytes that a film may have encoded, whatever its source was encoded with.

    Denser codecs make a source many times smaller than what we make of it. Sound is copied, or
    encoded to hardly more.
    """
    if media.video is None:
        return 0
    pixels = media.video.width * media.video.height * frames
    return int(pixels * DENSEST / 8) + MOST_SOUND * media.size


def is_scaled(media: Media, height: int | None) -> bool:
    """Say whether a picture is taller than wanted."""
    return height is not None and media.video is not None and media.video.height > height


def shown(media: Media, height: int | None) -> tuple[int | None, int | None]:
    """Return the width and height of the pieces, None without a picture."""
    if media.video is None:
        return None, None
    wide, high = media.video.width, media.video.height
    if height is None or high <= height:
        return wide, high
    return round(wide * height / high / 2) * 2, height // 2 * 2


def _pixels(media: Media) -> str:
    """Keep the full range of those who use it; else what every player shows."""
    full = media.video is not None and media.video.pixels.startswith("yuvj")
    return "yuvj420p" if full else "yuv420p"


def _filters(media: Media, height: int | None) -> tuple[str, ...]:
    if is_scaled(media, height) and height is not None:
        return (f"scale=-2:{height // 2 * 2}",)
    odd = media.video is not None and media.video.odd
    return ("pad=ceil(iw/2)*2:ceil(ih/2)*2",) if odd else ()


def _of_film(codecs: set[str]) -> tuple[str, str]:
    if codecs <= _IN_MP4:
        return "mp4", ".mp4"
    return ("webm", ".webm") if codecs <= _IN_WEBM else ("matroska", ".mkv")


def _of_sound(codecs: set[str]) -> tuple[str, str]:
    if codecs == {"mp3"}:
        return "mp3", ".mp3"
    if codecs <= _IN_MP4:
        return "mp4", ".m4a"
    return ("ogg", ".ogg") if codecs <= {"opus", "vorbis"} else ("matroska", ".mka")


def _streams(media: Media) -> tuple[int, ...]:
    picture = (media.video.index,) if media.video else ()
    return picture + tuple(sound.index for sound in media.sounds)
