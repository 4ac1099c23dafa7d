"""Exact cuts on real films: every piece has its own frames, all of them, in order and in step."""

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from consumers.errors import RefusedError
from tests.support import clip_reader, kept
from tests.support.clip_maker import Recipe, make
from tests.support.clip_reader import Reading
from tests.support.clips import Clip, clip, x264
from tests.support.contexts import FakeContext
from workers.media.cutting.cuts import Piece
from workers.media.cutting.exact import smart
from workers.media.cutting.exact.likeness import Likeness
from workers.media.cutting.exact.reel import Reel
from workers.media.cutting.exact.seams import Part, Sewing
from workers.media.cutting.exact.sewing import SewingTable, sew
from workers.media.files.probe import probe
from workers.media.files.spans import Span
from workers.media.tools import binaries

TOOLS = binaries.find()
IN_STEP = 0.030  # seconds by which sound may be early or late
ROUNDED = 0.001  # seconds by which ffprobe's own figures are off

# Nothing of these is encoded but what must be.
SEWN = (
    Clip.CLOSED_GOP,
    Clip.LONG_GOP,
    Clip.OPEN_GOP,
    Clip.NTSC,
    Clip.UNSTEADY,
    Clip.TWO_TRACKS,
    Clip.TRANSPORT,
    Clip.TURNED,
    Clip.SILENT,
    Clip.LONG_SOUND,
    Clip.LATE_PICTURE,
)
ENCODED = (Clip.ONE_GOP, Clip.OPEN_GOP_HEVC, Clip.WEBM, Clip.ODD_SIZE)


def spans(duration: float, *cuts: float) -> tuple[Span, ...]:
    edges = (0.0, *(cut for cut in cuts if cut < duration), duration + 0.1)
    return tuple(Span(start, end) for start, end in pairwise(edges))


async def cut(
    source: Path, context: FakeContext, *cuts: float
) -> tuple[tuple[Span, ...], tuple[Piece, ...]]:
    out = context.media / "work" / "job" / "out"
    out.mkdir(parents=True)
    media = await probe(TOOLS, source, context)
    asked = spans(media.duration, *cuts)
    return asked, await smart.cut_exactly(media, asked, TOOLS, context, out)


def read(pieces: Sequence[Piece], context: FakeContext) -> tuple[Reading, ...]:
    folder = context.media / "work" / "job" / "out"
    assert sorted(path.name for path in folder.iterdir()) == [piece.name for piece in pieces]
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    return clip_reader.read_all(folder / piece.name for piece in pieces)


def due(source: Reading, origin: float, span: Span) -> list[int | None]:
    """Return the numbers of the frames that begin within a span."""
    near = 5e-6  # seconds by which printed times are rounded
    return [
        frame.number
        for frame in source.frames
        if span.start - near <= frame.time - origin < span.end - near
    ]


async def check(asked: Clip, context: FakeContext) -> None:
    """Cut a clip at unaligned places, and compare the pieces with the source."""
    source = clip_reader.read(clip(asked))
    origin = (await probe(TOOLS, clip(asked), context)).origin
    wanted, made = await cut(clip(asked), context, 3.217, 7.013)
    pieces = read(made, context)

    for span, piece in zip(wanted, pieces, strict=True):
        assert list(piece.numbers) == due(source, origin, span)
        assert max(piece.duration, piece.video_duration) <= span.length + ROUNDED
        assert not piece.complaints
        assert not piece.numbers or clip_reader.jitter(piece, source) <= 2 * ROUNDED
        for track, pips in enumerate(piece.pips):
            if pips and piece.numbers:
                assert abs(clip_reader.lag(piece, source, track)) <= IN_STEP
        assert len(piece.pips) == len(source.pips)
    assert clip_reader.account(pieces, source.numbers).is_exact


@pytest.mark.timeout(120)
@pytest.mark.parametrize("asked", SEWN, ids=lambda asked: asked.name.lower())
async def test_pieces_are_cut_on_the_frame_and_only_the_seams_are_encoded(
    asked: Clip, context: FakeContext
) -> None:
    await check(asked, context)

    assert context.logged == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("asked", ENCODED, ids=lambda asked: asked.name.lower())
async def test_what_cannot_be_sewn_is_encoded_as_a_whole_and_cut_on_the_frame_too(
    asked: Clip, context: FakeContext
) -> None:
    await check(asked, context)

    assert [line for line in context.logged if "the whole film is encoded" in line]


async def test_what_lies_between_clean_keyframes_is_copied_as_it_is(context: FakeContext) -> None:
    source = clip(Clip.CLOSED_GOP)

    _, (_, piece, *_) = await cut(source, context, 3.2, 9.0)

    came = _packets(context.media / "work" / "job" / "out" / piece.name)
    # Two GOPs of fifty between 4 and 8, and the first half of the next; keyframes are told apart
    # by the parameter sets that go with them.
    assert len(came & _packets(source)) >= 2 * 49 + 20


async def test_copied_and_encoded_frames_are_of_the_same_colours(context: FakeContext) -> None:
    source = clip(Clip.COLOUR_2020)

    _, made = await cut(source, context, 3.217)

    out = context.media / "work" / "job" / "out"
    told = {line for piece in made for line in _colours(out / piece.name)}
    assert context.logged == []
    assert told == _colours(source)
    assert len(told) == 1


async def test_two_encoders_parameter_sets_stand_in_the_pieces_own_and_before_its_keyframes(
    context: FakeContext,
) -> None:
    _, (_, piece, *_) = await cut(clip(Clip.CLOSED_GOP), context, 3.2, 9.0)

    made = context.media / "work" / "job" / "out" / piece.name
    started = _decoded_from(made, 2.0)  # a player that seeks behind the seam
    assert started.returncode == 0
    assert not started.stderr


async def test_a_film_with_the_ids_of_our_own_parameter_sets_is_encoded_instead(
    context: FakeContext,
) -> None:
    recipe = Recipe(".mp4", 100, codec=x264(keyint=25, min_keyint=25, sps_id=31))
    source = kept.file("clashing.mp4", repr(recipe), lambda path: make(recipe, path))

    _, made = await cut(source, context, 1.5)

    pieces = read(made, context)
    assert clip_reader.account(pieces, clip_reader.read(source).numbers).is_exact
    assert sorted(context.logged) == [
        f"piece {turn} is encoded as a whole: the source uses the ids of our parameter sets"
        for turn in (1, 2)
    ]


async def test_a_cut_finds_its_keyframe_among_others_hardly_a_frame_apart(
    context: FakeContext,
) -> None:
    near = ("-force_key_frames", "1.2,1.24,3")
    recipe = Recipe(".mp4", 100, codec=(*x264(keyint=9999, bframes=2), *near))
    source = kept.file("crowded.mp4", repr(recipe), lambda path: make(recipe, path))

    asked, made = await cut(source, context, 2.0)

    shown = [list(piece.numbers) for piece in read(made, context)]
    assert shown == [due(clip_reader.read(source), 0.0, span) for span in asked]
    assert context.logged == []


async def test_a_segment_with_other_frames_than_planned_is_not_sewn(
    context: FakeContext, tmp_path: Path
) -> None:
    shutil.copy(clip(Clip.TEN_FRAMES), tmp_path / "film-0000.mp4")
    table = SewingTable(Reel(Fraction(1, 12800)), Likeness(), (), TOOLS, context, tmp_path)
    part = Part(0, 0, 9, encoded=False, held=11)

    seen = await sew(table, Sewing(Span(0.0, 1.0), (part,), (0,), 0.0, 1), "piece-0001.mp4")

    assert seen.fault == "segment 0 has not the 11 frames planned"


async def test_spans_may_overlap_and_come_in_any_order(context: FakeContext) -> None:
    out = context.media / "work" / "job" / "out"
    out.mkdir(parents=True)
    media = await probe(TOOLS, clip(Clip.CLOSED_GOP), context)
    asked = (Span(4.0, 9.5), Span(4.0, 6.3), Span(0.5, 5.0))

    made = await smart.cut_exactly(media, asked, TOOLS, context, out)

    pieces = read(made, context)
    shown = [(piece.numbers[0], piece.numbers[-1], len(piece.numbers)) for piece in pieces]
    assert shown == [(100, 237, 138), (100, 157, 58), (13, 124, 112)]
    assert context.logged == []


async def test_a_film_that_breaks_off_is_refused(context: FakeContext, tmp_path: Path) -> None:
    whole = clip(Clip.CLOSED_GOP).read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(RefusedError) as caught:
        await cut(tmp_path / "half.mp4", context, 3.2)

    assert caught.value.code == "truncated"


async def test_a_cancelled_cut_leaves_no_piece_and_nothing_beside(context: FakeContext) -> None:
    begun = threading.Event()
    context.on_progress = lambda percent: begun.set() if percent >= 10 else None
    running = asyncio.ensure_future(cut(clip(Clip.CLOSED_GOP), context, 3.2, 5.1, 7.7, 9.9))
    await asyncio.to_thread(begun.wait, 20)
    context.cancelled.set()

    with pytest.raises(RefusedError) as caught:
        await running

    assert caught.value.code == "cancelled"
    assert [path.name for path in (context.media / "work" / "job").iterdir()] == ["out"]


async def test_progress_rises_to_the_end(context: FakeContext) -> None:
    context.deadline = time.monotonic() + 60
    await cut(clip(Clip.CLOSED_GOP), context, 3.2)

    percents = [word.percent for word in context.progressed]
    assert percents == sorted(percents)
    assert percents[-1] >= 95


def _packets(film: Path) -> set[str]:
    """Return the hashes of a picture's packets."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(film), "-map", "0:v:0", "-c", "copy"]
    command += ["-bsf:v", "h264_mp4toannexb", "-f", "framemd5", "-"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return {line.split(",")[-1].strip() for line in ran.stdout.splitlines() if line[:1] != "#"}


def _colours(film: Path) -> set[str]:
    """Return what the frames say of their colours."""
    tags = "frame=color_range,color_space,color_transfer,color_primaries"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", tags]
    command += ["-of", "csv=p=0", str(film)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return {line.strip(",") for line in ran.stdout.splitlines() if line}


def _decoded_from(film: Path, second: float) -> subprocess.CompletedProcess[bytes]:
    command = ["ffmpeg", "-nostdin", "-v", "warning", "-xerror", "-ss", str(second)]
    command += ["-i", str(film), "-map", "0:v:0", "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, check=False, timeout=30)
