"""What a finished download brought: yt-dlp's open-ended answer, as files and missing entries."""

from collections.abc import Iterator
from pathlib import Path

from workers.media.fetching.child.bounds import Info, NothingArrivedError
from workers.media.fetching.child.causes import describe
from workers.media.fetching.child.transfer import Transfers
from workers.media.fetching.wire import Fetched, Missed

OF_ANY_PAGE = frozenset({"Generic", "HTML5MediaEmbed"})  # what looks for films in it
LONGEST_TITLE = 500  # characters
_JOINERS = "\u200c\u200d"  # unseen, but letters and emoji are put together with them
THERE = "there"  # the files of an entry that an earlier attempt finished


def fetched(info: Info, transfers: Transfers) -> Iterator[Fetched]:
    """Yield the files that are there, in the order of their entries."""
    for entry in _entries(info):
        yield from entry.get(THERE, ())
        for download in entry.get("requested_downloads") or ():
            if "filepath" in download:
                yield _file(entry, download, transfers)
        yield from _texts(entry)


def absent(info: Info) -> Iterator[Missed]:
    """Yield the entries of which yt-dlp says nothing, although they left no file."""
    for entry in _entries(info):
        downloads = entry.get("requested_downloads") or ()
        if entry.get("url") and not any("filepath" in download for download in downloads):
            title = entry.get("title") or entry.get("id")
            yield Missed(_index(entry), describe(NothingArrivedError(f"{title} did not arrive")))


def is_list(info: Info) -> bool:
    """Answer whether a link leads to a list or to any page, not to a file or a site's video."""
    is_page = info.get("extractor_key") in OF_ANY_PAGE and not info.get("direct")
    return "entries" in info or is_page


def title(info: Info) -> str:
    """Return what a site calls something, on one line; nothing in it acts on a screen."""
    said = str(info.get("title") or "")
    seen = (one if one.isprintable() or one in _JOINERS else " " for one in said)
    return " ".join("".join(seen).split())[:LONGEST_TITLE]


def _entries(info: Info) -> Iterator[Info]:
    """Yield what a link leads to, one by one; a link that is no list leads to itself."""
    if "entries" not in info:
        yield info
    for entry in info.get("entries") or ():
        if entry:
            yield from _entries(entry)


def _file(entry: Info, download: Info, transfers: Transfers) -> Fetched:
    path, parts = Path(download["filepath"]), download.get("requested_formats") or (download,)
    links = [part.get(key) for part in parts for key in ("url", "manifest_url")]
    lengths = [transfers.lengths[link] for link in links if link in transfers.lengths]
    longest = max(lengths, key=lambda length: length.seconds, default=None)
    return Fetched(
        path=str(path),
        index=_index(entry),
        title=title(entry),
        duration=entry.get("duration"),
        least=longest.seconds - longest.leeway if longest else None,
        seamless=bool(lengths) and not any(length.is_broken for length in lengths),
        unsized=f"{path.name}.part" in transfers.unsized,
    )


def _texts(entry: Info) -> Iterator[Fetched]:
    """Yield the subtitles of an entry."""
    for language, text in (entry.get("requested_subtitles") or {}).items():
        if "filepath" in text:
            path = str(text["filepath"])
            yield Fetched(path=path, index=_index(entry), language=str(language))


def _index(entry: Info) -> int:
    return int(entry.get("playlist_index") or 1)
