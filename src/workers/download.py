"""The download processor: a link in, the files behind it out, each of them looked at.

The transfer is yt-dlp's, in a child process (``media.fetch``). What a site calls a video is
believed only after ffprobe has read it: error pages are served as ``video/mp4`` every day.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from consumers.errors import MalformedError, RefusedError
from workers import registry
from workers.media import binaries, downloader, readiness, settings, workspace
from workers.media.binaries import Binaries
from workers.media.faults import fault
from workers.media.fetch_faults import judge
from workers.media.probe import Media, probe
from workers.media.settings import Settings
from workers.media.wire import Done, Fetched, FetchRequest
from workers.media.workspace import Places
from workers.processor import Job, JobContext, Result, ResultFile


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What a download job says; limits left out come from the pool's options."""

    link: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    max_height: Annotated[int, msgspec.Meta(ge=16, le=8192)] | None = None
    audio_only: bool = False
    max_items: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None

    def __post_init__(self) -> None:
        """Refuse links that yt-dlp would take for a search, a file or an option."""
        if not _is_web_link(self.link):
            raise MalformedError("link", f"must be an http or https link, is {self.link[:80]!r}")


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file that arrived and is media."""

    fetched: Fetched
    media: Media


check_host = readiness.examine


async def handle(job: Job, context: JobContext) -> Result:
    """Download what is behind a job's link, once.

    Raises:
        RefusedError: what another attempt cannot mend: gone, private, live, not media.
        TransientError: what it may: network, server errors, timeout.
        HostError: ffmpeg missing, disk full, media folder not writable.
    """
    request = registry.read(Request, job.data)
    return await workspace.once(job, context, partial(_download, request, context), resumable=True)


async def _download(request: Request, context: JobContext, places: Places) -> Result:
    chosen = settings.read(context.options)
    tools = await asyncio.to_thread(binaries.find, chosen.ffmpeg)
    resumed = any(places.stage.glob("*.part"))
    context.progress(0, "looking at the link")
    done = await downloader.fetch(_asked(request, chosen, tools, places.stage), context)
    warnings = _missing(done)
    context.progress(downloader.REACH, "checking the files")
    kept, strange = await _examine(done.files, tools, context)
    if not kept:
        await _nothing_kept(strange, places, resumed=resumed)
    files = await asyncio.to_thread(_collect, kept, places.out)
    data = {"title": done.title, "site": done.site, "link": request.link}
    doubts = tuple(doubt for one in kept for doubt in _doubts(one))
    warnings += tuple(error.message for error in strange) + doubts
    return Result(files=files, data=data, warnings=warnings)


def _asked(request: Request, chosen: Settings, tools: Binaries, stage: Path) -> FetchRequest:
    """Return the request to the child; what the job leaves open, the pool decides."""
    return FetchRequest(
        link=request.link,
        folder=str(stage),
        ffmpeg=tools.ffmpeg,
        max_height=request.max_height or chosen.max_height,
        max_items=request.max_items or chosen.max_items,
        audio_only=request.audio_only,
        proxy=chosen.proxy,
    )


def _missing(done: Done) -> tuple[str, ...]:
    """Return warnings for entries that are gone for good, or raise what stops the job.

    A list with one dead entry is still worth having; one that may yet arrive is waited for.
    """
    errors = [(entry.index, judge(entry.causes)) for entry in done.missed]
    for _, error in errors:
        if not isinstance(error, RefusedError) or not done.files:
            raise error
    if not done.files:
        raise fault("unsupported", "nothing was found to download behind this link")
    return tuple(f"entry {index}: {error.message}" for index, error in errors)


async def _examine(
    files: tuple[Fetched, ...], tools: Binaries, context: JobContext
) -> tuple[list[_Kept], list[RefusedError]]:
    kept: list[_Kept] = []
    strange: list[RefusedError] = []
    for fetched in files:
        try:
            kept.append(_Kept(fetched, await probe(tools, Path(fetched.path), context)))
        except RefusedError as error:
            if error.code == "cancelled":
                raise
            strange.append(error)
    return kept, strange


async def _nothing_kept(strange: list[RefusedError], places: Places, *, resumed: bool) -> None:
    if resumed:
        # The half that lay there may have been of another file: servers change them.
        await asyncio.to_thread(_forget, places.stage)
        raise fault("incomplete", f"a resumed download was not readable: {strange[0].message}")
    raise fault("not_media", f"what arrived is not media: {strange[0].message}")


def _forget(stage: Path) -> None:
    for path in stage.iterdir():
        if path.is_file():
            path.unlink()


def _collect(kept: list[_Kept], out: Path) -> tuple[ResultFile, ...]:
    return tuple(_placed(one.media, out) for one in kept)


def _placed(media: Media, out: Path) -> ResultFile:
    path = media.path.rename(out / media.path.name)
    return ResultFile(
        path=str(path),
        size=path.stat().st_size,
        duration=round(media.duration, 3),
        width=media.video.width if media.video else None,
        height=media.video.height if media.video else None,
        kind=media.kind,
    )


def _doubts(one: _Kept) -> tuple[str, ...]:
    claimed, name = one.fetched.duration, Path(one.fetched.path).name
    if claimed is None or claimed - one.media.duration <= max(2.0, claimed / 20):
        return ()
    return (f"{name}: the site says {claimed:.0f} s, the file has {one.media.duration:.0f} s",)


def _is_web_link(link: str) -> bool:
    if not link.isprintable() or any(character.isspace() for character in link):
        return False
    try:
        parts = urlsplit(link)
        return parts.scheme.lower() in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
