"""What a pool's ``options`` may say to the media processors."""

from collections.abc import Mapping

import msgspec

from workers.media.faults import fault


class Settings(msgspec.Struct, frozen=True):
    """The options all three share; each reads its own and ignores the rest."""

    ffmpeg: str = ""  # path of ffmpeg; ffprobe is expected beside it. Empty: search
    proxy: str = ""  # for downloads; empty: direct
    max_height: int = 1080  # of a download, when the job does not say
    max_items: int = 20  # of one link that leads to many


def read(options: Mapping[str, object]) -> Settings:
    """Return the options, checked.

    Raises:
        HostError: ``bad_options``; the jobs wait for the operator, they are not to blame.
    """
    try:
        return msgspec.convert(options, Settings)
    except msgspec.ValidationError as error:
        raise fault("bad_options", f"options: {error}") from error
