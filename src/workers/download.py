"""The download processor: a link in, the files behind it out, each of them looked at.

The transfer is yt-dlp's, in a child process (``fetching.child``). What a site calls a video is
believed only after ffprobe has read it: error pages are served as ``video/mp4`` every day.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from consumers.clock import SystemClock
from consumers.errors import MalformedError, RefusedError
from workers import registry
from workers.media import amounts, readiness, settings
from workers.media.amounts import Size
from workers.media.faults import fault
from workers.media.fetching import (
    arrivals,
    cookies,
    dedupe,
    downloader,
    finished,
    origin,
    politeness,
    wishes,
)
from workers.media.fetching.arrivals import Arrivals
from workers.media.fetching.wire import Done, FetchRequest
from workers.media.files import workspace
from workers.media.files.workspace import Places
from workers.media.settings import Settings
from workers.media.tools import binaries, ffmpeg
from workers.media.tools.binaries import Binaries
from workers.processor import Job, JobContext, Result

Language = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9-]{1,20}\Z")]


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What a download job says; limits left out come from the pool's options."""

    link: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    max_height: Annotated[int, msgspec.Meta(ge=16, le=8192)] | None = None
    audio_only: bool = False
    max_items: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    # A selector in yt-dlp's language, such as "bv*[ext=webm]+ba"; it decides before the height.
    format: Annotated[
        str,
        msgspec.Meta(
            pattern=r"\A[\w+/*\[\]<>=!^$~.,:?()&| -]{0,300}\Z", examples=["bv*[ext=webm]+ba"]
        ),
    ] = ""
    subtitles: Annotated[
        tuple[Language, ...], msgspec.Meta(max_length=20, examples=[["en", "pt-BR"]])
    ] = ()
    max_size: int | str | None = None  # of all files together; bytes, or such as 500MB
    max_duration: Annotated[float, msgspec.Meta(gt=0)] | None = None  # seconds
    fresh: bool = False  # download, even if another job has done so

    def __post_init__(self) -> None:
        """Refuse links that yt-dlp would take for a search, a file or an option."""
        if not _is_web_link(self.link):
            raise MalformedError("link", f"must be an http or https link, is {self.link[:80]!r}")
        _ = self.most_bytes

    @property
    def most_bytes(self) -> int | None:
        """Return ``max_size`` in bytes."""
        if self.max_size is None:
            return None
        try:
            size = amounts.read(Size, self.max_size)
        except ValueError as error:
            raise MalformedError("maxSize", str(error)) from error
        if not isinstance(size, int) or size < 1:
            raise MalformedError("maxSize", f"must be at least 1 byte, is {self.max_size}")
        return size


check_host = readiness.examine


async def handle(job: Job, context: JobContext) -> Result:
    """Download what is behind a job's link, once.

    Raises:
        RefusedError: what another attempt cannot mend: gone, private, live, not media.
        TransientError: what it may: network, server errors, timeout.
        HostError: ffmpeg missing, disk full, media folder not writable.
    """
    request = registry.read(Request, job.data)
    chosen = settings.read(context.options)
    tools = await asyncio.to_thread(binaries.find, chosen.ffmpeg)
    places = Places.of(job, context.media)
    jar = await asyncio.to_thread(cookies.for_link, request.link, chosen.cookies)
    asked = _asked(request, chosen, tools, places.stage, jar)
    key = dedupe.key(asked)
    once = partial(workspace.once, job, context, resumable=True, wishes=key)
    ready = await asyncio.to_thread(workspace.published, places)
    if not chosen.dedupe or ready is not None:
        result = await once(partial(_download, asked, job, context))
        if chosen.dedupe:
            await asyncio.to_thread(_remember_late, key, job, context, result)
        return result
    async with dedupe.alone(context.media, key):
        known = "" if request.fresh else key
        result = await once(partial(_download_or_recall, asked, known, job, context))
        await asyncio.to_thread(_remember, key, job, context, result)
    return result


def _remember_late(key: str, job: Job, context: JobContext, result: Result) -> None:
    """Note a result of before, whose worker was killed when it had published it."""
    wishes, made = workspace.made_by(Places.of(job, context.media))
    if wishes == key and not dedupe.is_known(context.media, key):
        _remember(key, job, context, result, made=made)


def _remember(
    key: str, job: Job, context: JobContext, result: Result, *, made: float | None = None
) -> None:
    """Note a result that lacks nothing. Those of pages and lists have an age: they change."""
    is_list = bool(result.data.get("list"))
    if result.data.get("failed") or result.warnings or (is_list and "sameAs" in result.data):
        return
    until = (made or _now()) + dedupe.REMEMBERED if is_list else None
    dedupe.remember(context.media, key, job, until=until)


def _now() -> float:
    return SystemClock().utcnow().timestamp()


async def _download_or_recall(
    asked: FetchRequest, key: str, job: Job, context: JobContext, places: Places
) -> Result:
    """Return what another job downloaded from the same link, or download it."""
    if key:
        recall = partial(dedupe.recall, context.media, key, places.out, now=_now())
        found = await asyncio.to_thread(recall)
        if found is not None:
            known, result = found
            context.log(f"this link was downloaded by job {known.id}: its files are linked")
            data = {**result.data, "link": job.data["link"], "sameAs": known.id}
            return msgspec.structs.replace(result, data=data)
    return await _download(asked, job, context, places)


async def _download(asked: FetchRequest, job: Job, context: JobContext, places: Places) -> Result:
    try:
        return await _downloaded(asked, job, context, places)
    except RefusedError as error:
        raise wishes.owned(error, asked, settings.read(context.options)) from error


async def _downloaded(asked: FetchRequest, job: Job, context: JobContext, places: Places) -> Result:
    tools = await asyncio.to_thread(binaries.find, asked.ffmpeg)
    resumed = await asyncio.to_thread(_keep_what_counts, places.stage)
    context.progress(0, "looking at the link")
    treated = settings.read(context.options).sites
    async with politeness.visit(asked.link, treated, places.stage, context):
        closed = await asyncio.to_thread(politeness.closed, context.media, treated)
        told = msgspec.structs.replace(asked, closed=closed, sites=tuple(treated))
        done = await downloader.fetch(told, context)
        context.progress(downloader.REACH, "checking the files")
        arrived = await arrivals.examine(done, tools, context, longest=asked.max_duration)
        if resumed and done.files and not arrived.media:
            await _begin_again(arrived, places)
        arrivals.settle(arrived, is_first_attempt=job.attempt <= 1)
    return await asyncio.to_thread(_result, asked, done, arrived, places.out)


def _result(asked: FetchRequest, done: Done, arrived: Arrivals, out: Path) -> Result:
    failed = sorted(arrived.failures, key=lambda failure: failure.index)
    data: dict[str, object] = {"title": done.title, "site": done.site, "link": asked.link}
    data["items"] = arrivals.items(arrived)
    if done.is_list:
        data["list"] = True
    if failed:
        data["failed"] = [failure.told for failure in failed]
    absent = tuple(arrivals.missing_languages(asked.subtitles, arrived))
    files = arrivals.place(arrived, out)
    return Result(files=files, data=data, warnings=arrivals.told(arrived) + absent)


def _asked(
    request: Request, chosen: Settings, tools: Binaries, stage: Path, jar: str
) -> FetchRequest:
    """Return the request to the child; what the job leaves open, the pool decides."""
    return FetchRequest(
        link=request.link,
        folder=str(stage),
        ffmpeg=tools.ffmpeg,
        max_height=request.max_height or chosen.max_height,
        max_items=request.max_items or chosen.max_items,
        audio_only=request.audio_only,
        proxy=chosen.proxy,
        allow=chosen.allow,
        formats=ffmpeg.FORMATS,
        format=request.format,
        subtitles=request.subtitles,
        # What protects the machine a job may only make less of.
        max_size=int(min(request.most_bytes or chosen.max_size, chosen.max_size)),
        max_duration=float(min(request.max_duration or chosen.max_duration, chosen.max_duration)),
        min_rate=float(chosen.min_rate),
        patience=float(chosen.patience),
        cookies=jar,
    )


async def _begin_again(arrived: Arrivals, places: Places) -> None:
    """Forget a half that lay there and did not fit: the next attempt begins with nothing."""
    await asyncio.to_thread(_forget, places.stage)
    why = "; ".join(failure.error.message for failure in arrived.failures)
    raise fault("incomplete", f"a resumed download was not readable: {why}")


def _keep_what_counts(stage: Path) -> tuple[Path, ...]:
    """Remove from a stage what no attempt can go on with; return the unfinished files."""
    return origin.keep_resumable(stage, finished.kept(stage))


def _forget(stage: Path) -> None:
    for path in stage.iterdir():
        if path.is_file():
            path.unlink()


def _is_web_link(link: str) -> bool:
    if not link.isprintable() or any(character.isspace() for character in link):
        return False
    try:
        parts = urlsplit(link)
        port = parts.port  # the others are looked at when they are asked for: 99999 is none
    except ValueError:
        return False
    return parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and port != 0
