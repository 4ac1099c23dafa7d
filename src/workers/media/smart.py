"""Cut on the frame, and encode only what lies between a cut and the next clean keyframe.

``seams`` says which frames of a piece are encoded and which copied; here it is done, and then
looked at again: every piece must show exactly its frames, in order, and decode across its seams.
One that does not is encoded as a whole, and so is all of a film whose frames cannot be imitated.
What does not come out right even then is nobody's piece: the cut is given up.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from consumers.errors import WorkError
from workers.media import containers, cuts, seam_commands, seams, sewing, tool
from workers.media.binaries import Binaries
from workers.media.conversion import Share, convert
from workers.media.cuts import Piece
from workers.media.faults import fault, from_ffmpeg
from workers.media.likeness import understand
from workers.media.probe import Media, Video
from workers.media.reel import Order, Reel
from workers.media.seam_commands import FILM, Division
from workers.media.seams import Plan, Sewing
from workers.media.sewing import Bench, Look
from workers.media.spans import Span
from workers.processor import JobContext

AT_ONCE = 2  # pieces in the making, each by one ffmpeg at a time
MENDABLE = frozenset({"ffmpeg_failed", "not_media"})  # by encoding the piece as a whole
PIECE = "piece-{:04d}"


class NotExactError(Exception):
    """A piece is not what it should be, however it was made."""


@dataclass(slots=True)
class Exact:
    """One cut: the source, the bench, the spans, and the pieces made so far."""

    media: Media
    picture: Video
    bench: Bench
    spans: tuple[Span, ...]
    out: Path
    order: Order
    made: dict[int, Piece] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[int, ...]:
        """The spans that have no piece yet."""
        return tuple(turn for turn in range(len(self.spans)) if turn not in self.made)

    async def keep(self, turn: int, piece: Sewing, length: float) -> None:
        """Take a finished piece out of the bench's folder, and count it as made."""
        name, span, frames = name_of(turn, piece), piece.span, len(piece.times)
        path = await asyncio.to_thread((self.bench.folder / name).rename, self.out / name)
        size = (await asyncio.to_thread(path.stat)).st_size
        kind = "video" if frames else "audio"
        self.made[turn] = Piece(name, span.start, span.end, length, frames, kind, size)
        share = 10 + 85 * len(self.made) / len(self.spans)
        note = f"made {len(self.made)} of {len(self.spans)} pieces"
        self.bench.context.progress(share, note)


def name_of(turn: int, piece: Sewing) -> str:
    """Return the file name of a piece; where the picture is over, it has sound alone."""
    return PIECE.format(turn + 1) + (".mp4" if piece.times else ".m4a")


async def cut_exactly(
    media: Media, spans: Sequence[Span], tools: Binaries, context: JobContext, out: Path
) -> tuple[Piece, ...]:
    """Make one mp4 for each span, with exactly the frames that begin in it, and return them.

    The files lie in ``out``, alone; what is needed on the way lies beside it and is removed. It
    takes as much room as the source.

    Raises:
        RefusedError: ``no_video``, ``truncated``, ``cancelled``.
        TransientError: ``ffmpeg_failed``, ``timeout`` and the like.
        HostError: the disk is full, ffmpeg is missing.
        NotExactError: a piece that was encoded as a whole is wrong all the same.
    """
    if media.video is None:
        raise fault("no_video", f"{media.path.name} has no picture to cut on the frame")
    folder = await asyncio.to_thread(_folder, out)
    try:
        bench = await _bench(media, media.video, tools, context, folder)
        cut = Exact(media, media.video, bench, tuple(spans), out, Order(bench.reel))
        await _cut(cut)
        return tuple(cut.made[turn] for turn in sorted(cut.made))
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _bench(
    media: Media, picture: Video, tools: Binaries, context: JobContext, folder: Path
) -> Bench:
    """Read how the picture was encoded, and all its packets.

    Raises:
        RefusedError: ``truncated`` when the packets end long before the film is said to.
    """
    context.progress(1, "reading the packets")
    asked = seam_commands.details(tools, media.path, picture.index)
    likeness = understand("\n".join(await _lines(asked, context)))
    tick = likeness.tick or Fraction(1, 90_000)
    reel = Reel(Fraction(1, tick.denominator), tick.numerator, media.origin)
    command = seam_commands.packets(tools, media.path, picture.index)
    finished = await tool.run(tool.Call(command), context, reel.add)
    if finished.code != 0 or not reel.pts:
        raise from_ffmpeg("reading the packets", finished.code, finished.complaint)
    end, said = reel.seconds(reel.ends), picture.start + picture.duration
    if cuts.is_short(end, said):
        says = f"{media.path.name} says {said:.1f} s but breaks off after {end:.1f} s"
        raise fault("truncated", says)
    return Bench(reel, likeness, len(media.sounds), tools, context, folder)


async def _cut(cut: Exact) -> None:
    bench = cut.bench
    obstacle = bench.likeness.obstacle or cut.order.obstacle
    plan = None if obstacle else seams.plan(bench.reel, cut.order, cut.spans)
    if plan is not None:
        obstacle = seams.hindrance(cut.order, plan)
    if plan is not None and not obstacle:
        await _sew(cut, plan)
    else:
        bench.context.log(f"the whole film is encoded: {obstacle}")
    if cut.missing:
        await _encode(cut)


async def _sew(cut: Exact, plan: Plan) -> None:
    """Make all pieces of copied and encoded parts that can be made so."""
    await _divide(cut, plan, (), first=2, last=10)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(turn: int) -> None:
        async with gate:
            await _sew_one(cut, turn, plan.pieces[turn])

    try:
        async with asyncio.TaskGroup() as group:
            for turn in range(len(cut.spans)):
                group.create_task(one(turn))
    except ExceptionGroup as several:  # the first has ended the others
        raise several.exceptions[0] from several


async def _sew_one(cut: Exact, turn: int, piece: Sewing) -> None:
    bench = cut.bench
    try:
        seen = await sewing.sew(bench, piece, name_of(turn, piece))
    except WorkError as error:
        if error.code not in MENDABLE:
            raise
        seen = Look(str(error), 0.0)
    if seen.fault:
        bench.context.log(f"piece {turn + 1} is encoded as a whole: {seen.fault}")
        return
    await cut.keep(turn, piece, seen.length)


async def _encode(cut: Exact) -> None:
    """Encode the film once, and make of it the pieces that are missing."""
    bench = cut.bench
    turns = cut.missing
    plan = seams.whole(bench.reel, cut.order, [cut.spans[turn] for turn in turns])
    encoder = seam_commands.plain_encoder(odd=cut.picture.odd, colours=bench.likeness.colours())
    first = 10 + 85 * len(cut.made) / len(cut.spans)
    await _divide(cut, plan, encoder, first=first, last=95)
    for turn, piece in zip(turns, plan.pieces, strict=True):
        names = [FILM.format(part.segment) for part in piece.parts]
        seen = await sewing.join(bench, piece, names, name_of(turn, piece))
        if seen.fault:
            message = f"piece {turn + 1}, encoded as a whole: {seen.fault}"
            raise NotExactError(message)
        await cut.keep(turn, piece, seen.length)


async def _divide(
    cut: Exact, plan: Plan, encoder: tuple[str, ...], *, first: float, last: float
) -> None:
    bench = cut.bench
    division = Division(
        source=cut.media.path,
        picture=cut.picture.index,
        sounds=tuple(sound.index for sound in cut.media.sounds),
        marks=plan.marks,
        clock=bench.clock,
        sound=containers.encoding(cut.media).audio,
        encoder=encoder,
    )
    command = seam_commands.divide(bench.tools, division)
    share = Share(cut.media.duration, first, last, "encoding" if encoder else "dividing the film")
    await convert(tool.Call(command, folder=bench.folder), bench.context, share)


async def _lines(command: tuple[str, ...], context: JobContext) -> list[str]:
    lines: list[str] = []
    finished = await tool.run(tool.Call(command), context, lines.append)
    if finished.code != 0:
        raise from_ffmpeg("looking at the picture", finished.code, finished.complaint)
    return lines


def _folder(out: Path) -> Path:
    for earlier in out.iterdir():
        earlier.unlink()
    return Path(tempfile.mkdtemp(prefix="seams-", dir=out.parent))
