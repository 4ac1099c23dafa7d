"""What is kept of what a download brought: every file is looked into before it is believed.

A list with a dead entry is still worth having. What may yet arrive is waited for once; what is
missing then is named in the result, with its place in the list and the reason.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consumers.errors import HostError, RefusedError, WorkError
from workers.media.faults import broken_off, fault
from workers.media.fetching import continuity, naming
from workers.media.fetching.fetch_faults import judge
from workers.media.fetching.playlists import LEEWAY, SHARE
from workers.media.fetching.wire import Done, Fetched
from workers.media.files.packets import is_cut_off, last, scan
from workers.media.files.probe import Media, probe
from workers.media.tools.binaries import Binaries
from workers.processor import JobContext, ResultFile

_LINES = 4096  # bytes of subtitles that are looked at
_NO_ENTRY_ALONE = frozenset({"cancelled", "rate_limited", "timeout"})  # they are of the whole job


@dataclass(frozen=True, slots=True)
class Failure:
    """An entry that is missing, and why."""

    index: int
    error: WorkError

    @property
    def told(self) -> Mapping[str, object]:
        """What the result says of it."""
        return {"index": self.index, "code": self.error.code, "message": self.error.message}


@dataclass(slots=True)
class Arrivals:
    """What can be published, and what is missing."""

    media: list[tuple[Fetched, Media]] = field(default_factory=list)
    texts: list[Fetched] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


async def examine(done: Done, tools: Binaries, context: JobContext, *, longest: float) -> Arrivals:
    """Look into everything that a download brought.

    Raises:
        WorkError: what stops the whole job: cancelled, out of time, the machine's fault.
    """
    arrived = Arrivals(warnings=list(done.warnings))
    arrived.failures += [Failure(entry.index, judge(entry.causes)) for entry in done.missed]
    for fetched in done.files:
        if fetched.language:
            await asyncio.to_thread(_take_text, fetched, arrived)
            continue
        try:
            media = await _whole(fetched, tools, context, longest=longest)
            arrived.media.append((fetched, media))
            arrived.warnings += _doubts(fetched, media)
        except WorkError as error:
            await asyncio.to_thread(_distrust, fetched, error)
            arrived.failures.append(Failure(fetched.index, error))
    for failure in arrived.failures:
        if isinstance(failure.error, HostError) or failure.error.code in _NO_ENTRY_ALONE:
            raise failure.error
    return arrived


def settle(arrived: Arrivals, *, is_first_attempt: bool) -> None:
    """Return when what arrived is worth publishing as it is.

    Raises:
        WorkError: the reason why it is not.
    """
    errors = [failure.error for failure in arrived.failures]
    passing = [error for error in errors if not isinstance(error, RefusedError)]
    if passing and (is_first_attempt or not arrived.media):
        raise passing[0]
    if arrived.media:
        return
    raise errors[0] if errors else _nothing()


def told(arrived: Arrivals) -> tuple[str, ...]:
    """Return what the user is told besides the files."""
    failures = sorted(arrived.failures, key=lambda failure: failure.index)
    missing = tuple(f"entry {one.index}: {one.error.message}" for one in failures)
    return missing + tuple(arrived.warnings)


def items(arrived: Arrivals) -> list[Mapping[str, object]]:
    """Return the entries that arrived, each with its place in the list and its files."""
    found: dict[int, dict[str, object]] = {}
    named = [(fetched, naming.name_of(media)) for fetched, media in arrived.media]
    for fetched, name in (*named, *((text, Path(text.path).name) for text in arrived.texts)):
        item = found.setdefault(fetched.index, {"index": fetched.index, "title": "", "files": []})
        item["title"] = item["title"] or fetched.title
        names = item["files"]
        if isinstance(names, list):
            names.append(name)
    return [found[index] for index in sorted(found)]


def place(arrived: Arrivals, out: Path) -> tuple[ResultFile, ...]:
    """Move the files to where they are published from."""
    return tuple(_placed(arrived, out))


def missing_languages(wanted: Sequence[str], arrived: Arrivals) -> Iterator[str]:
    """Yield a warning for each language that no entry has."""
    there = {text.language for text in arrived.texts}
    for language in wanted:
        if language not in there:
            yield f"there are no subtitles in {language!r}"


async def _whole(
    fetched: Fetched, tools: Binaries, context: JobContext, *, longest: float
) -> Media:
    """Return what a file holds, if it is media, not too long, and all of it."""
    path = Path(fetched.path)
    media = await _probed(path, tools, context)
    if media.duration > longest:
        why = f"{path.name} plays {media.duration:.0f} s, the limit is {longest:.0f} s"
        raise fault("too_long", why)
    if fetched.least is not None and media.duration < fetched.least:
        why = (
            f"{path.name} has {media.duration:.1f} s, its playlist has {fetched.least:.1f} or more"
        )
        raise fault("incomplete", why)
    if fetched.seamless:
        await continuity.require(media, tools, context)
    if fetched.unsized:
        await _reach_the_end(media, tools, context)
    elif not fetched.seamless:
        await _have_an_end(media, tools, context)
    return media


async def _probed(path: Path, tools: Binaries, context: JobContext) -> Media:
    try:
        return await probe(tools, path, context)
    except RefusedError as error:
        if error.code in _NO_ENTRY_ALONE or error.code.startswith("too_"):
            raise
        raise fault("not_media", f"what arrived is not media: {error.message}") from error


async def _reach_the_end(media: Media, tools: Binaries, context: JobContext) -> None:
    """Compare a file with its own header: a connection that ends looks like the end of a file.

    Only where the site did not say how many bytes there are.
    """
    stream, claimed = _promised(media)
    seen = await scan(tools, media.path, stream, context, origin=media.origin)
    if claimed - seen.end > max(LEEWAY, SHARE * claimed):
        why = f"{media.path.name} ends after {seen.end:.1f} of {claimed:.1f} s"
        raise fault("incomplete", why)


async def _have_an_end(media: Media, tools: Binaries, context: JobContext) -> None:
    """Refuse the beginning of a film that a site offers as all of it, with the right size.

    The end is looked for first, which takes no time; a film without one is read to be sure.
    """
    stream, claimed = _promised(media)
    since = media.origin + max(0.0, claimed - LEEWAY)
    try:
        seen = await last(tools, media.path, stream, context, since=since)
    except WorkError as error:
        if isinstance(error, HostError) or error.code in _NO_ENTRY_ALONE:
            raise
        return  # no place can be looked for in it: it has no index to break
    missing = claimed + media.origin - seen.end
    if missing > max(LEEWAY, SHARE * claimed) and await is_cut_off(tools, media.path, context):
        whole = await scan(tools, media.path, stream, context, origin=media.origin)
        raise fault("truncated", broken_off(media.path, claimed, whole.end))


def _promised(media: Media) -> tuple[int, float]:
    """Return the stream that tells how long a file is, and when that says that it ends."""
    if media.video is None:
        return media.sounds[0].index, media.duration
    return media.video.index, media.video.start + media.video.duration


def _distrust(fetched: Fetched, error: WorkError) -> None:
    """Remove a file that is not what it should be: no other attempt shall go on with it."""
    if not isinstance(error, HostError) and error.code not in _NO_ENTRY_ALONE:
        Path(fetched.path).unlink(missing_ok=True)


def _take_text(fetched: Fetched, arrived: Arrivals) -> None:
    """Keep subtitles that are such: sites send pages in their place, too."""
    path = Path(fetched.path)
    with path.open("rb") as file:
        head = file.read(_LINES)
    if path.suffix in {".vtt", ".srt"} and (b"WEBVTT" in head[:16] or b"-->" in head):
        arrived.texts.append(fetched)
    else:
        arrived.warnings.append(f"{path.name} does not hold subtitles we can read")


def _placed(arrived: Arrivals, out: Path) -> Iterator[ResultFile]:
    for _, media in arrived.media:
        path = media.path.rename(out / naming.name_of(media))
        yield ResultFile(
            path=str(path),
            size=path.stat().st_size,
            duration=round(media.duration, 3),
            width=media.video.width if media.video else None,
            height=media.video.height if media.video else None,
            kind=media.kind,
        )
    for text in arrived.texts:
        path = Path(text.path).rename(out / Path(text.path).name)
        yield ResultFile(path=str(path), size=path.stat().st_size, kind="subtitles")


def _doubts(fetched: Fetched, media: Media) -> tuple[str, ...]:
    claimed, name = fetched.duration, Path(fetched.path).name
    if claimed is None or claimed - media.duration <= max(2.0, claimed / 20):
        return ()
    return (f"{name}: the site says {claimed:.0f} s, the file has {media.duration:.0f} s",)


def _nothing() -> WorkError:
    return fault("unsupported", "nothing was found to download behind this link")
