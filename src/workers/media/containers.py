"""Which container holds which codecs: what the pieces of a file are wrapped in.

Pure. mp4 wherever it can be, because that is what messengers and browsers play.
"""

from workers.media.ffmpeg import Cut
from workers.media.probe import Media

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


def encoding(media: Media) -> Cut:
    """Return how to wrap an encoded picture; sound that fits is copied."""
    fits = {sound.codec for sound in media.sounds} <= _IN_MP4
    odd = media.video is not None and media.video.odd
    audio = "copy" if fits else "aac"
    return Cut(media.path, _streams(media), "mp4", ".mp4", audio=audio, odd=odd)


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
