"""Making the pieces that a plan names: ffmpeg's passes, and what became of them.

Each pass works in a folder of its own; the pieces that were wanted are moved out of it under the
names of their places, and measured by what they say of themselves.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workers.media.cutting import containers, courses
from workers.media.cutting.cuts import Encode, Piece, is_short, recorded
from workers.media.cutting.exact import smart
from workers.media.cutting.passes import Pass, arranged
from workers.media.faults import broken_off, fault
from workers.media.files import beginnings, durations, mp4_index, packets, writing
from workers.media.files.film import Film
from workers.media.files.probe import Media
from workers.media.files.spans import SAME, Span
from workers.media.tools import ffmpeg, tool
from workers.media.tools.binaries import Binaries
from workers.media.tools.conversion import Share, convert
from workers.media.tools.ffmpeg import Course, Cut
from workers.processor import JobContext

MOST_PASSES = 30  # each reads, or encodes, the film from its beginning
Command = Callable[[Binaries, Cut, Course], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and with what pieces are made, and their share of the job's progress."""

    tools: Binaries
    context: JobContext
    out: Path
    first: float = 2.0  # per cent
    last: float = 98.0


class MiscountError(Exception):
    """ffmpeg did not cut where it was told to."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One pass to be run."""

    one: Pass
    course: Course
    cut: Cut
    command: Command
    share: Share
    kind: str
    most: int = 0  # bytes a piece may have, if that is more than any result


async def look(media: Media, bench: Bench, *, weigh: bool = False) -> Film:
    """Read the packets of a file for the planning."""
    stream = media.video.index if media.video else media.sounds[0].index
    bench.context.progress(1, "looking for keyframes")
    seen = None if weigh else await asyncio.to_thread(mp4_index.read, media, stream)
    if seen is None:
        read = packets.weigh if weigh else packets.scan
        seen = await read(bench.tools, media.path, stream, bench.context, origin=media.origin)
    return replace(seen.film(media.duration), has_picture=media.video is not None)


async def copy(media: Media, film: Film, spans: Sequence[Span], bench: Bench) -> tuple[Piece, ...]:
    """Copy spans whose edges are keyframes; the pieces come in the order of the spans.

    Raises:
        WorkError: as ffmpeg fails, and ``truncated``.
        MiscountError: it was not cut everywhere.
    """
    cut = containers.copying(media)

    def work(one: Pass, share: Share) -> _Work:
        course = courses.copying(one, film)
        return _Work(one, course, cut, ffmpeg.copy_pieces, share, media.kind)

    return await _made(media, film, spans, work, bench)


async def encode(
    media: Media, film: Film, plan: Encode, bench: Bench, cut: Cut
) -> tuple[Piece, ...]:
    """Encode the picture of spans that may lie anywhere; sound is copied where it fits.

    Raises:
        WorkError: as ffmpeg fails, and ``truncated``.
        MiscountError: it was not cut everywhere.
    """
    edges = [edge for span in plan.spans for edge in (span.start, span.end)]
    stills = film.stills(edges) if plan.is_steady else ()
    first = courses.standing(film.pace, stills) if stills else ()
    film = film.steadied(stills)
    most = containers.most(media, len(film.frames))

    def work(one: Pass, share: Share) -> _Work:
        course = courses.encoding(one, film)
        course = replace(course, kept=first + course.kept, pace=film.pace if stills else None)
        return _Work(one, course, cut, ffmpeg.encode_pieces, share, media.kind, most)

    return await _made(media, film, plan.spans, work, bench)


async def exactly(media: Media, spans: Sequence[Span], bench: Bench) -> tuple[Piece, ...]:
    """Cut spans on the frame, and encode only around the cuts where that is possible.

    Raises:
        WorkError: as ffmpeg fails, and ``truncated``.
        NotExactError: it cannot be done so: encode all of it.
    """
    return await smart.cut_exactly(media, spans, bench.tools, bench.context, bench.out)


async def _made(
    media: Media,
    film: Film,
    spans: Sequence[Span],
    work: Callable[[Pass, Share], _Work],
    bench: Bench,
) -> tuple[Piece, ...]:
    await asyncio.to_thread(_empty, bench.out)
    shown, heard = _parted(spans, film)
    works = [
        *(((one, work)) for one in _placed(spans, shown)),
        *(((one, _hearing(media, film))) for one in _placed(spans, heard)),
    ]
    if len(works) > MOST_PASSES:
        says = f"ranges: {len(works)} lie over each other, at most {MOST_PASSES} may"
        raise fault("bad_option", f"{says}; mode exact takes more")
    pieces: dict[int, Piece] = {}
    for turn, (one, how) in enumerate(works):
        share = _share(one.end, media.path.name, bench, turn, len(works))
        pieces |= await _run(how(one, share), film, bench)
    return tuple(pieces[place] for place in sorted(pieces))


def _parted(spans: Sequence[Span], film: Film) -> tuple[list[int], list[int]]:
    """Return the places of the spans with a picture, and of those that have only sound left."""
    shown = [at for at, span in enumerate(spans) if span.start <= film.last_frame + SAME]
    return shown, [at for at in range(len(spans)) if at not in set(shown)]


def _placed(spans: Sequence[Span], places: Sequence[int]) -> tuple[Pass, ...]:
    passes = arranged([spans[at] for at in places])
    return tuple(replace(one, places=tuple(places[at] for at in one.places)) for one in passes)


def _hearing(media: Media, film: Film) -> Callable[[Pass, Share], _Work]:
    """Sound that goes on after the picture is copied by itself; it may be cut anywhere."""
    cut = containers.sounding(media)

    def work(one: Pass, share: Share) -> _Work:
        inner = tuple(at for at in one.cuts if at < film.duration - SAME)
        return _Work(one, Course(inner), cut, ffmpeg.copy_pieces, share, "audio")

    return work


def _share(end: float, name: str, bench: Bench, turn: int, turns: int) -> Share:
    part = (bench.last - bench.first) / turns
    first = bench.first + part * turn
    return Share(end, first=first, last=first + part, note=f"cutting {name}")


async def _run(work: _Work, film: Film, bench: Bench) -> dict[int, Piece]:
    """Run one pass and return its pieces by their places in the job's order."""
    folder = bench.out / "pass"
    await asyncio.to_thread(folder.mkdir)
    command = work.command(bench.tools, work.cut, work.course)
    wanted = {ffmpeg.PIECE % (at + 1) + work.cut.suffix for at in work.one.pieces()}
    async with writing.meanwhile(folder, wanted):
        call = tool.Call(command, folder=folder, most=work.most)
        await convert(call, bench.context, work.share)
    return await asyncio.to_thread(_gathered, work, film, folder)


def _gathered(work: _Work, film: Film, folder: Path) -> dict[int, Piece]:
    """Measure the pieces of a pass and move those that were wanted to their names."""
    listed = recorded((folder / ffmpeg.SEGMENTS).read_text())
    made = [_measured(piece, folder / piece.name) for piece in listed]
    _check_end(made[-1].start + made[-1].length if made else 0.0, work, film)
    numbers = work.one.pieces()
    if max(numbers) >= len(made):
        name = work.cut.source.name
        says = f"cutting {name}: {len(made)} pieces came out, {max(numbers) + 1} expected"
        raise MiscountError(says)
    pieces = {}
    for place, span, at in zip(work.one.places, work.one.spans, numbers, strict=True):
        name = f"piece-{place + 1:04d}{work.cut.suffix}"
        path = (folder / made[at].name).rename(folder.parent / name)
        piece = replace(made[at], name=name, start=span.start, end=span.end, kind=work.kind)
        torn = span.start > film.first_frame + SAME and beginnings.builds_up(path)
        pieces[place] = replace(piece, builds_up=torn)
    shutil.rmtree(folder)
    return pieces


def _check_end(end: float, work: _Work, film: Film) -> None:
    # An encoder gives the last picture a moment, however long it stood.
    if is_short(end, min(work.one.end, film.duration - film.last_gap)):
        says = broken_off(work.cut.source, film.duration, end)
        raise fault("truncated", says)


def _measured(piece: Piece, path: Path) -> Piece:
    """Return a piece as it says itself; the muxer's list knows only of the picture."""
    told = durations.read(path)
    return piece if told is None else replace(piece, length=told.length, frames=told.frames)


def _empty(out: Path) -> None:
    for path in out.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
