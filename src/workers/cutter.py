"""The cutter processor: a file in, pieces no longer than ``segmentTime`` out, in order.

Cutting at keyframes without encoding is a hundred times faster, so ``auto`` does it wherever every
piece then keeps the limit without losing a frame, and encodes where not.
"""

import asyncio
import math
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec

from consumers.errors import MalformedError
from workers import registry
from workers.media import (
    binaries,
    containers,
    cuts,
    ffmpeg,
    readiness,
    settings,
    source,
    tool,
    workspace,
)
from workers.media.binaries import Binaries
from workers.media.conversion import Share, convert
from workers.media.cuts import Copy, Encode, Mode, Piece
from workers.media.faults import fault
from workers.media.packets import scan
from workers.media.probe import Media, probe
from workers.media.workspace import Places
from workers.processor import Job, JobContext, Result, ResultFile


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What a cutting job says; ``segmentTime`` is the longest a piece may be, in seconds."""

    file_path: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    segment_time: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 30.0
    mode: Mode = "auto"

    def __post_init__(self) -> None:
        """Refuse what no file system and no clock knows."""
        if "\0" in self.file_path:
            raise MalformedError("filePath", "must not contain a NUL character")
        if not math.isfinite(self.segment_time):
            raise MalformedError("segmentTime", "must be a number of seconds")


check_host = readiness.examine


async def handle(job: Job, context: JobContext) -> Result:
    """Cut a job's file into pieces, once.

    Raises:
        RefusedError: no such file, not media, too many pieces, a source that breaks off.
        TransientError: ffmpeg killed, timeout.
        HostError: ffmpeg missing, disk full, media folder not writable.
    """
    request = registry.read(Request, job.data)
    return await workspace.once(job, context, partial(_cut, request, context))


async def _cut(request: Request, context: JobContext, places: Places) -> Result:
    path = await source.locate(request.file_path, context.media)
    chosen = settings.read(context.options)
    tools = await asyncio.to_thread(binaries.find, chosen.ffmpeg)
    media = await probe(tools, path, context)
    plan = await _plan(request, media, tools, context)
    pieces = await _make(plan, media, tools, context, places.out)
    if _must_encode(plan, pieces, request):
        plan = Encode(cuts.aim(request.segment_time), why="copied pieces came out too long")
        pieces = await _make(plan, media, tools, context, places.out)
    files = await asyncio.to_thread(_files, pieces, media, places.out)
    data = {"mode": "copy" if isinstance(plan, Copy) else "encode", "duration": media.duration}
    return Result(files=files, data=data, warnings=plan.warnings)


def _must_encode(plan: Copy | Encode, pieces: tuple[Piece, ...], request: Request) -> bool:
    """Say whether copying broke the promise; a source that needed no cut keeps it by itself."""
    copied = isinstance(plan, Copy) and bool(plan.cuts) and request.mode == "auto"
    return copied and bool(cuts.over(pieces, request.segment_time))


async def _plan(
    request: Request, media: Media, tools: Binaries, context: JobContext
) -> Copy | Encode:
    if cuts.pieces_expected(media.duration, request.segment_time) > cuts.MOST_PIECES:
        says = f"{media.duration:.0f} s make over {cuts.MOST_PIECES} pieces"
        raise fault("too_many_pieces", says)
    stream = media.video.index if media.video else media.sounds[0].index
    context.progress(1, "looking for keyframes")
    seen = await scan(tools, media.path, stream, context, origin=media.origin)
    # Every packet of sound is a keyframe: copying is exact enough, and encoding has no picture.
    mode: Mode = request.mode if media.video else "auto"
    plan = cuts.choose(mode, seen.keyframes(), media.duration, request.segment_time)
    if media.video is None and isinstance(plan, Encode):
        raise fault("bad_option", "segmentTime: is shorter than one packet of this sound")
    return plan


async def _make(
    plan: Copy | Encode, media: Media, tools: Binaries, context: JobContext, out: Path
) -> tuple[Piece, ...]:
    """Run the one pass that makes the pieces, and return the muxer's own record of them."""
    if isinstance(plan, Copy):
        command = ffmpeg.copy_pieces(tools, containers.copying(media), plan)
    else:
        context.log(f"encoding: {plan.why}")
        command = ffmpeg.encode_pieces(tools, containers.encoding(media), plan)
    await asyncio.to_thread(_empty, out)
    share = Share(media.duration, first=2, last=98, note=f"cutting {media.path.name}")
    await convert(tool.Call(command, folder=out), context, share)
    listing = await asyncio.to_thread(_take_listing, out)
    pieces = cuts.recorded(listing)
    end = pieces[-1].end if pieces else 0.0
    if cuts.is_short(end, media.duration):
        says = f"{media.path.name} says {media.duration:.1f} s but breaks off after {end:.1f} s"
        raise fault("truncated", says)
    return cuts.aligned(pieces, plan, media.duration) if isinstance(plan, Copy) else pieces


def _empty(out: Path) -> None:
    for path in out.iterdir():
        path.unlink()


def _take_listing(out: Path) -> str:
    listing = out / ffmpeg.SEGMENTS
    text = listing.read_text()
    listing.unlink()
    return text


def _files(pieces: tuple[Piece, ...], media: Media, out: Path) -> tuple[ResultFile, ...]:
    return tuple(_file(piece, media, out / piece.name) for piece in pieces)


def _file(piece: Piece, media: Media, path: Path) -> ResultFile:
    return ResultFile(
        path=str(path),
        size=path.stat().st_size,
        duration=round(piece.length, 3),
        width=media.video.width if media.video else None,
        height=media.video.height if media.video else None,
        start=round(piece.start, 3),
        end=round(piece.end, 3),
        kind=media.kind,
    )
