"""What a worker and its download child say to each other: one request in, JSON lines out.

Kept apart from the child itself, so that the worker never loads yt-dlp.
"""

from collections.abc import Mapping

import msgspec
from typing_extensions import override


class FetchRequest(msgspec.Struct, frozen=True):
    """What to fetch, and within which bounds."""

    link: str
    folder: str  # absolute; partial files of an earlier attempt may lie there
    ffmpeg: str  # path of the program, for joining picture and sound
    max_height: int = 1080
    max_items: int = 20
    audio_only: bool = False
    proxy: str = ""  # empty: direct, whatever the environment says
    allow: tuple[str, ...] = ()  # addresses that may be reached although they are not public
    formats: str = ""  # what ffmpeg may take a downloaded file for, in its own words
    format: str = ""  # yt-dlp's selector; empty: the best up to ``max_height``
    subtitles: tuple[str, ...] = ()  # languages
    max_size: int = 10_000_000_000  # bytes of all files together
    max_duration: float = 12 * 3600.0  # seconds of one
    min_rate: float = 1000.0  # bytes a second that must come,
    patience: float = 60.0  # over so many seconds of waiting; a rate of 0: never mind
    cookies: str = ""  # the text of a cookie file
    closed: Mapping[str, float] = {}  # sites that are left alone just now, for so many seconds
    sites: tuple[str, ...] = ()  # those the pool names: what is below them belongs to them

    @override
    def __repr__(self) -> str:
        """Say nothing but the folder: whoever prints a request would print its cookies."""
        return f"FetchRequest(folder={self.folder!r})"


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One exception of a chain, as far as it matters for what to do next."""

    kind: str  # the class name
    text: str = ""
    status: int | None = None  # HTTP
    errno: int | None = None
    expected: bool = False  # yt-dlp foresaw it: the site's answer, not a broken extractor
    retry_after: float | None = None  # seconds, from the HTTP header
    host: str = ""  # that said it, wherever the link led before


class Fetched(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file that arrived."""

    path: str
    index: int
    title: str = ""
    duration: float | None = None  # what the site claims
    least: float | None = None  # seconds it must play, by its playlist
    seamless: bool = False  # made of segments that follow each other without a break
    unsized: bool = False  # nobody said how many bytes it has
    language: str = ""  # of subtitles


class Missed(msgspec.Struct, frozen=True):
    """One entry of a list that did not arrive; ``causes`` run from the outermost inwards."""

    index: int
    causes: tuple[Cause, ...]


class Moved(msgspec.Struct, frozen=True, tag="progress"):
    """How far the download is."""

    percent: float
    note: str = ""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """All that could be fetched is there."""

    files: tuple[Fetched, ...]
    missed: tuple[Missed, ...] = ()
    title: str = ""
    site: str = ""
    warnings: tuple[str, ...] = ()
    is_list: bool = False  # the link leads to a list or a page, which may show others tomorrow


class Broke(msgspec.Struct, frozen=True, tag="error"):
    """Nothing could be fetched; ``causes`` run from the outermost exception inwards."""

    causes: tuple[Cause, ...]


Said = Moved | Done | Broke
