"""Films whose tracks begin, end or pause where others do not: cut all the same."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from consumers.errors import RefusedError
from tests.media.cutting import Cutting, cut, job
from tests.support import clip_reader, kept
from tests.support.clip_maker import Recipe, make
from tests.support.clips import Clip, clip
from tests.support.contexts import FakeContext
from workers import cutter
from workers.media.cutting import making

# A container that does not say when frames are shown.
UNTIMED = Recipe(
    ".avi",
    200,
    codec=("-c:v", "mpeg4", "-bf", "2", "-g", "50", "-q:v", "3"),
    sound_codec=("-c:a", "libmp3lame"),
)


async def cut_untimed(context: FakeContext, **asked: object) -> Cutting:
    path = kept.file("untimed.avi", repr(UNTIMED), lambda made: make(UNTIMED, made))
    result = await cutter.handle(job(path, "1", **asked), context)
    pieces = clip_reader.read_all([Path(file.path) for file in result.files])
    return Cutting(result, clip_reader.read(path), pieces)


async def test_exact_pieces_have_the_sound_that_goes_on_after_the_picture(
    context: FakeContext,
) -> None:
    cutting = await cut(Clip.LONG_SOUND, context, segmentTime=3.3, mode="exact")

    assert cutting.result.data["mode"] == "exact"
    assert cutting.account.is_exact
    assert cutting.longest() <= 3.3
    lengths = [file.duration for file in cutting.result.files]
    due = [end - start for start, end in cutting.spans if start is not None and end is not None]
    assert lengths == pytest.approx(due, abs=0.05)
    assert sum(due) == pytest.approx(12.0, abs=0.1)  # four seconds more than the picture


@pytest.mark.parametrize("mode", ["auto", "copy"])
async def test_nothing_is_cut_before_the_picture_begins_where_no_frame_can_begin_a_piece(
    context: FakeContext, mode: str
) -> None:
    cutting = await cut(Clip.LATE_PICTURE, context, segmentTime=3, mode=mode)  # it begins at 2

    assert cutting.account.is_exact
    assert cutting.spans[0][1] is not None
    assert cutting.spans[0][1] > 2
    assert mode == "copy" or cutting.longest() <= 3


async def test_a_range_that_begins_with_a_late_picture_begins_there(context: FakeContext) -> None:
    cutting = await cut(Clip.LATE_PICTURE, context, ranges=[[2, 5]])

    assert cutting.spans == [(2, 5)]
    assert cutting.numbers == [(0, 74)]


@pytest.mark.parametrize("mode", ["auto", "exact"])
async def test_what_can_neither_be_copied_nor_sewn_is_encoded(
    context: FakeContext, mode: str
) -> None:
    cutting = await cut_untimed(context, segmentTime=3.3, mode=mode)

    assert cutting.result.data["mode"] == "encode"
    assert cutting.account.is_exact
    assert cutting.longest() <= 3.3
    assert cutting.result.warnings == ()


async def test_only_frames_of_a_standstill_that_is_cut_are_shown_again(
    context: FakeContext,
) -> None:
    cutting = await cut(Clip.UNSTEADY, context, segmentTime=3)

    shown = Counter(number for piece in cutting.pieces for number in piece.numbers)
    again = [number for number, times in shown.items() if times > 1]
    longest = max(pairwise(cutting.source.frames), key=lambda pair: pair[1].time - pair[0].time)
    assert again == [longest[0].number]
    assert not cutting.account.missing
    assert cutting.longest() <= 3
    for piece, (start, _) in zip(cutting.pieces, cutting.spans, strict=True):
        own = [frame for frame in piece.frames if frame.number not in again]
        moved = [frame.time + (start or 0.0) for frame in own]
        due = [cutting.source.frames[frame.number or 0].time for frame in own]
        assert moved == pytest.approx(due, abs=0.002)


async def test_ranges_that_lie_over_each_other_many_times_are_refused(
    context: FakeContext,
) -> None:
    ranges = [[turn / 100, 8] for turn in range(making.MOST_PASSES + 1)]

    with pytest.raises(RefusedError, match="lie over each other") as caught:
        await cutter.handle(job(clip(Clip.CLOSED_GOP), ranges=ranges), context)

    assert caught.value.code == "bad_option"


async def test_an_exact_cut_may_be_larger_than_any_result_if_its_source_is(
    context: FakeContext,
) -> None:
    context.options = {**context.options, "max_size": "60kB"}
    source = clip(Clip.CLOSED_GOP)
    assert source.stat().st_size > 60_000

    result = await cutter.handle(job(source, mode="exact", segmentTime=15), context)

    assert len(result.files) == 2
