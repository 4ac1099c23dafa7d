"""The preview processor: a film in, a short silent clip and a poster out."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec

from consumers.errors import MalformedError, WorkError
from workers import registry
from workers.media import (
    binaries,
    cuts,
    ffmpeg,
    readiness,
    samples,
    settings,
    source,
    tool,
    workspace,
)
from workers.media.binaries import Binaries
from workers.media.conversion import Share, convert
from workers.media.faults import fault, from_ffmpeg, lacked_room, last_line
from workers.media.ffmpeg import Picture
from workers.media.probe import Video, probe
from workers.media.samples import Look, Luma, Sample
from workers.media.workspace import Places
from workers.processor import Job, JobContext, Result, ResultFile

POSTER = "poster.jpg"

# What another way of asking ffmpeg may mend; a full disk or a cancelled job it cannot.
MENDABLE = frozenset({"ffmpeg_failed", "not_media", "no_streams"})


@dataclass(frozen=True, slots=True)
class _Film:
    """The file at work: its picture, the programs to use and where results go."""

    path: Path
    video: Video
    tools: Binaries
    out: Path

    def picture(self, tallest: int) -> Picture:
        """Return the picture, made at most so many pixels high."""
        size = samples.fit(self.video.width, self.video.height, tallest)
        return Picture(self.path, self.video.index, size)


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What a preview job says."""

    file_path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]

    def __post_init__(self) -> None:
        """Refuse what no file system knows."""
        if "\0" in self.file_path:
            raise MalformedError("filePath", "must not contain a NUL character")


check_host = readiness.examine


async def handle(job: Job, context: JobContext) -> Result:
    """Make the clip and the poster of a job's file, once.

    Raises:
        RefusedError: no such file, not media, no picture in it.
        TransientError: ffmpeg killed, timeout.
        HostError: ffmpeg missing, disk full, media folder not writable.
    """
    request = registry.read(Request, job.data)
    return await workspace.once(job, context, partial(_preview, request, context))


async def _preview(request: Request, context: JobContext, places: Places) -> Result:
    path = await source.locate(request.file_path, context.media)
    chosen = settings.read(context.options)
    tools = await asyncio.to_thread(binaries.find, chosen.ffmpeg)
    media = await probe(tools, path, context)
    if media.video is None:
        raise fault("no_video", f"{path.name} has no picture to preview")
    film = _Film(path, media.video, tools, places.out)
    clip = await _clip(film, context)
    context.progress(75, "choosing a poster")
    poster, brightness = await _poster(film, context)
    dark = () if brightness.shows_something else ("the poster is dark: so is the film",)
    return Result(files=(clip, poster), data={"duration": media.duration}, warnings=dark)


async def _clip(film: _Film, context: JobContext) -> ResultFile:
    """Make the clip the quickest way that gives one; the last way's failure is the failure."""
    *ways, last = samples.clips(film.video.start, film.video.duration)
    for parts in ways:
        try:
            return await _sampled(film, parts, context, whole=True)
        except WorkError as error:
            if error.code not in MENDABLE:
                raise
            context.log(f"sampling another way: {error.message}")
    return await _sampled(film, last, context, whole=False)


async def _sampled(
    film: _Film, parts: tuple[Sample, ...], context: JobContext, *, whole: bool
) -> ResultFile:
    """Make the clip from these parts; unless ``whole`` is asked for, some of it will do."""
    length = sum(part.length for part in parts)
    command = ffmpeg.clip(film.tools, film.picture(samples.CLIP_HEIGHT), parts)
    share = Share(length, first=2, last=74, note=f"sampling {film.path.name}")
    await convert(tool.Call(command, folder=film.out), context, share)
    made = await probe(film.tools, film.out / ffmpeg.CLIP, context)
    if made.video is None or (whole and cuts.is_short(made.duration, length)):
        raise fault("ffmpeg_failed", f"{film.path.name}: a sample came out empty")
    return ResultFile(
        path=str(made.path),
        size=made.size,
        duration=round(made.duration, 3),
        width=made.video.width,
        height=made.video.height,
    )


async def _poster(film: _Film, context: JobContext) -> tuple[ResultFile, Luma]:
    """Take the first picture that shows something, else the brightest there was."""
    seen: list[tuple[Luma, str]] = []
    for look in samples.looks(film.video.start, film.video.duration):
        brightness = await _pictured(film, look, context)
        if brightness is not None:
            seen.append((brightness, look.name))
        if brightness is not None and brightness.shows_something:
            break
    if not seen:
        raise fault("ffmpeg_failed", f"{film.path.name}: no picture could be taken from it")
    brightness, name = max(seen, key=lambda one: (one[0].shows_something, one[0].mean))
    return await asyncio.to_thread(_kept, film, name), brightness


async def _pictured(film: _Film, look: Look, context: JobContext) -> Luma | None:
    """Return how bright the picture taken there is; None where there was none to take."""
    picture = film.picture(samples.POSTER_HEIGHT)
    report: list[str] = []
    call = tool.Call(ffmpeg.poster(film.tools, picture, look), folder=film.out)
    finished = await tool.run(call, context, report.append)
    if lacked_room(finished.complaint):
        raise from_ffmpeg("taking a picture", finished.code, finished.complaint)
    if finished.code != 0:
        context.log(f"no picture at {look.at:.1f} s: {last_line(finished.complaint)}")
        return None
    there = await asyncio.to_thread((film.out / look.name).is_file)
    return samples.luma(report) if there else None


def _kept(film: _Film, name: str) -> ResultFile:
    """Give the chosen picture its name and drop the others."""
    size = film.picture(samples.POSTER_HEIGHT).size
    path = (film.out / name).rename(film.out / POSTER)
    for other in film.out.glob("poster-*.jpg"):
        other.unlink()
    return ResultFile(
        path=str(path),
        size=path.stat().st_size,
        width=size.width,
        height=size.height,
        kind="image",
    )
