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
from workers.media.cutting import containers, cuts
from workers.media.cutting.cuts import Piece
from workers.media.cutting.exact import seam_commands, seams, sewing
from workers.media.cutting.exact.likeness import understand
from workers.media.cutting.exact.reel import Reel, Structure
from workers.media.cutting.exact.seam_commands import FILM, Division
from workers.media.cutting.exact.seams import Plan, Sewing
from workers.media.cutting.exact.sewing import Look, SewingTable
from workers.media.faults import broken_off, fault, from_ffmpeg
from workers.media.files.probe import Media, Video
from workers.media.files.spans import Span
from workers.media.tools import tool
from workers.media.tools.binaries import Binaries
from workers.media.tools.conversion import Share, convert
from workers.processor import JobContext

AT_ONCE = 2  # pieces in the making, each by one ffmpeg at a time
MENDABLE = frozenset({"ffmpeg_failed", "not_media"})  # by encoding the piece as a whole
PIECE = "piece-{:04d}"


class NotExactError(Exception):
    """A piece is not what it should be, however it was made."""


@dataclass(slots=True)
class Exact:
    """One cut: the source, the table, the spans, and the pieces made so far."""

    media: Media
    picture: Video
    table: SewingTable
    spans: tuple[Span, ...]
    out: Path
    structure: Structure
    made: dict[int, Piece] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[int, ...]:
        """The spans that have no piece yet."""
        return tuple(turn for turn in range(len(self.spans)) if turn not in self.made)

    async def keep(self, turn: int, piece: Sewing, length: float) -> None:
        """Take a finished piece out of the table's folder, and count it as made."""
        name, span, frames = name_of(turn, piece), piece.span, len(piece.times)
        path = await asyncio.to_thread((self.table.folder / name).rename, self.out / name)
        size = (await asyncio.to_thread(path.stat)).st_size
        kind = "video" if frames else "audio"
        self.made[turn] = Piece(name, span.start, span.end, length, frames, kind, size)
        share = 10 + 85 * len(self.made) / len(self.spans)
        note = f"made {len(self.made)} of {len(self.spans)} pieces"
        self.table.context.progress(share, note)


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
        NotExactError: a piece that was encoded as a whole is wrong all the same; some of the
            film's frames are not to be shown.
    """
    if media.video is None:
        raise fault("no_video", f"{media.path.name} has no picture to cut on the frame")
    folder = await asyncio.to_thread(_folder, out)
    try:
        table = await _table(media, media.video, tools, context, folder)
        cut = Exact(media, media.video, table, tuple(spans), out, Structure(table.reel))
        await _cut(cut)
        return tuple(cut.made[turn] for turn in sorted(cut.made))
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _table(
    media: Media, picture: Video, tools: Binaries, context: JobContext, folder: Path
) -> SewingTable:
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
        raise fault("truncated", broken_off(media.path, said, end))
    sounds = tuple(sound.is_default for sound in media.sounds)
    return SewingTable(reel, likeness, sounds, tools, context, folder)


async def _cut(cut: Exact) -> None:
    table = cut.table
    if table.reel.hides:  # neither counting packets nor frames tells the other
        message = "an edit list hides some of its frames"
        raise NotExactError(message)
    obstacle = table.likeness.obstacle or cut.structure.obstacle
    plan = None if obstacle else seams.plan(table.reel, cut.structure, cut.spans)
    if plan is not None:
        obstacle = seams.hindrance(cut.structure, plan)
    if plan is not None and not obstacle:
        await _sew(cut, plan)
    else:
        table.context.log(f"the whole film is encoded: {obstacle}")
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
    table = cut.table
    try:
        seen = await sewing.sew(table, piece, name_of(turn, piece))
    except WorkError as error:
        if error.code not in MENDABLE:
            raise
        seen = Look(str(error), 0.0)
    if seen.fault:
        table.context.log(f"piece {turn + 1} is encoded as a whole: {seen.fault}")
        return
    await cut.keep(turn, piece, seen.length)


async def _encode(cut: Exact) -> None:
    """Encode the film once, and make of it the pieces that are missing."""
    table = cut.table
    turns = cut.missing
    plan = seams.whole(table.reel, cut.structure, [cut.spans[turn] for turn in turns])
    encoder = seam_commands.plain_encoder(odd=cut.picture.odd, colours=table.likeness.colours())
    first = 10 + 85 * len(cut.made) / len(cut.spans)
    await _divide(cut, plan, encoder, first=first, last=95)
    for turn, piece in zip(turns, plan.pieces, strict=True):
        names = [FILM.format(part.segment) for part in piece.parts]
        seen = await sewing.join(table, piece, names, name_of(turn, piece))
        if seen.fault:
            message = f"piece {turn + 1}, encoded as a whole: {seen.fault}"
            raise NotExactError(message)
        await cut.keep(turn, piece, seen.length)


async def _divide(
    cut: Exact, plan: Plan, encoder: tuple[str, ...], *, first: float, last: float
) -> None:
    table = cut.table
    division = Division(
        source=cut.media.path,
        picture=cut.picture.index,
        sounds=tuple(sound.index for sound in cut.media.sounds),
        marks=plan.marks,
        clock=table.clock,
        sound=containers.encoding(cut.media).audio,
        encoder=encoder,
    )
    command = seam_commands.divide(table.tools, division)
    share = Share(cut.media.duration, first, last, "encoding" if encoder else "dividing the film")
    most = containers.most(cut.media, len(table.reel.pts)) if encoder else 0
    await convert(tool.Call(command, folder=table.folder, most=most), table.context, share)


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
