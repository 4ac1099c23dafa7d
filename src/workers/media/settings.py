"""What a pool's ``options`` may say to the media processors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from workers.media import addresses, amounts
from workers.media.amounts import Seconds, Size
from workers.media.faults import fault
from workers.media.manners import SiteOptions
from workers.media.presets import Preset


class Settings(msgspec.Struct, frozen=True):
    """The options all three share; each reads its own and ignores the rest."""

    ffmpeg: str = ""  # path of ffmpeg; ffprobe is expected beside it. Empty: search
    proxy: str = ""  # for downloads; empty: direct
    allow: tuple[str, ...] = ()  # that downloads may reach although not public; see addresses
    max_height: int = 1080  # of a download, when the job does not say
    max_items: int = 20  # of one link that leads to many
    presets: Mapping[str, Preset] = {}  # for cutting, beside the ones there are
    max_size: Size = Size(10_000_000_000)  # of all files of one link
    max_duration: Seconds = Seconds(12 * 3600)  # of a download's file
    min_rate: Size = Size(1000)  # bytes a second that must arrive; 0: never mind
    patience: Seconds = Seconds(60)  # over how long that is looked at
    dedupe: bool = True  # a link that another job downloaded is not downloaded again
    sites: Mapping[str, SiteOptions] = {}  # how each is treated, by host; "*" for all others
    cookies: Mapping[str, str] = {}  # a cookies.txt for each site, by its host
    # What is taken from a job's file path, and how its tools are held; see confinement.
    roots: tuple[str, ...] = ()  # folders that paths may lie in, beside the media root
    confine: bool = True  # tools, by Landlock where the kernel has it
    strict: bool = False  # decode a file to its end before any work, and refuse it if damaged


def read(options: Mapping[str, object]) -> Settings:
    """Return the options, checked.

    Raises:
        HostError: ``bad_options``; the jobs wait for the operator, they are not to blame.
    """
    try:
        chosen = msgspec.convert(options, Settings, dec_hook=amounts.read)
        addresses.read(chosen.allow)
        addresses.proxy_at(chosen.proxy)
        _require_absolute(chosen.roots)
    except ValueError as error:  # msgspec's errors are such, too
        raise fault("bad_options", f"options: {error}") from error
    return chosen


def _require_absolute(roots: Sequence[str]) -> None:
    for root in roots:
        if not Path(root).is_absolute():
            message = f"roots: {root!r} must be an absolute path"
            raise ValueError(message)
