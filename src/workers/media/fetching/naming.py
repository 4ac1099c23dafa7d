"""What a downloaded file is called where its site did not say of what kind it is. Pure."""

from workers.media.files.probe import Media

UNSAID = ".unknown_video"  # what yt-dlp calls whatever it takes for a film
_OF_CONTAINERS = {
    "mov": ".mp4",
    "mpegts": ".ts",
    **{name: f".{name}" for name in ("mp3", "aac", "ogg", "wav", "flac", "avi", "flv")},
}
_IN_WEBM = frozenset({"vp8", "vp9", "av1", "vorbis", "opus"})


def name_of(media: Media) -> str:
    """Return the name to publish a file under; its beginning stays."""
    if media.path.suffix != UNSAID:
        return media.path.name
    return media.path.with_suffix(_suffix(media)).name


def _suffix(media: Media) -> str:
    kinds = media.container.split(",")
    if "matroska" in kinds:
        codecs = {sound.codec for sound in media.sounds} | {
            media.video.codec if media.video else ""
        }
        if codecs <= _IN_WEBM | {""}:
            return ".webm"
        return ".mkv" if media.video else ".mka"
    if "mov" in kinds and media.video is None:
        return ".m4a"
    return _OF_CONTAINERS.get(kinds[0], UNSAID)
