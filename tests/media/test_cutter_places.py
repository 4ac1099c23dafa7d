"""Where a job may ask to cut: ranges, chapters, scenes, silences, equal pieces, sizes, presets."""

from pathlib import Path

import pytest

from consumers.errors import HostError, MalformedError, RefusedError
from tests.media import measure
from tests.media.cutting import cut, failed, job
from tests.support.clips import Clip, clip, place
from tests.support.contexts import FakeContext
from workers import cutter


async def test_ranges_on_keyframes_are_copied_and_nothing_else_is_kept(
    context: FakeContext,
) -> None:
    cutting = await cut(Clip.CLOSED_GOP, context, ranges=[[2, 6], {"start": "0:08", "end": 12}])

    assert cutting.result.data["mode"] == "copy"
    assert cutting.numbers == [(50, 149), (200, 299)]
    assert cutting.worst_lag() <= 0.045
    assert [path.name for path in sorted(Path(cutting.result.files[0].path).parent.iterdir())] == [
        "manifest.json", "piece-0001.mp4", "piece-0002.mp4"
    ]  # fmt: skip


@pytest.mark.parametrize("asked", [Clip.CLOSED_GOP, Clip.TRANSPORT])
async def test_other_ranges_are_cut_on_the_frame(context: FakeContext, asked: Clip) -> None:
    cutting = await cut(asked, context, ranges=[[3.2, 7.76], [9, 11], [13, 14.8]])

    first = 0 if asked is Clip.CLOSED_GOP else -1
    assert cutting.result.data["mode"] == "encode"
    assert cutting.result.data["why"] == "not every edge of the pieces is a clean keyframe"
    assert cutting.numbers[0][0] in {80, 80 + first}
    assert [len(piece.frames) for piece in cutting.pieces] == [114, 50, 45]
    assert cutting.worst_lag() <= 0.045


async def test_ranges_may_overlap_and_come_in_the_jobs_order(context: FakeContext) -> None:
    cutting = await cut(Clip.CLOSED_GOP, context, ranges=[[10, 14], [2, 6], [4, 12]])

    assert cutting.numbers == [(250, 349), (50, 149), (100, 299)]


async def test_a_range_that_goes_on_after_the_file_ends_with_it_and_that_is_said(
    context: FakeContext,
) -> None:
    cutting = await cut(Clip.CLOSED_GOP, context, ranges=[[18, 40]])

    assert cutting.spans == [(18, 20)]
    assert cutting.result.warnings == ("ranges[0]: ended with the file, at 20.000 s",)


async def test_a_range_after_the_end_of_the_file_is_refused(context: FakeContext) -> None:
    path = place(Clip.CLOSED_GOP, context.media)

    error = await failed(job(path, ranges=[[1, 2], [25, 26]]), context)

    assert error.code == "bad_option"
    assert error.message == "ranges[1]: begins at 25 s, but the file ends at 20.000 s"


async def test_copied_ranges_reach_from_keyframe_to_keyframe(context: FakeContext) -> None:
    cutting = await cut(Clip.CLOSED_GOP, context, mode="copy", ranges=[[3.2, 7.76]])

    assert cutting.numbers == [(100 - 50, 199)]


async def test_each_chapter_is_a_piece(context: FakeContext) -> None:
    cutting = await cut(Clip.TWO_TRACKS, context, chapters=True)

    assert [start for start, _ in cutting.spans] == pytest.approx([0, 4, 9.5], abs=0.03)
    assert cutting.account.is_exact


async def test_chapters_that_are_not_there_cannot_be_cut_at(context: FakeContext) -> None:
    error = await failed(job(place(Clip.SILENT, context.media), chapters=True), context)

    assert (error.code, error.message) == ("bad_option", "chapters: silent.mp4 has none")


async def test_each_scene_is_a_piece_copied_where_a_keyframe_is_near(context: FakeContext) -> None:
    cutting = await cut(Clip.SCENES, context, scenes=True)

    assert cutting.result.data["mode"] == "copy"
    assert cutting.spans == [(0, 4), (4, 9), (9, 13), (13, 16)]
    assert cutting.account.is_exact


async def test_scenes_are_found_to_the_frame(context: FakeContext) -> None:
    cutting = await cut(Clip.SCENES, context, scenes=15, mode="exact")

    assert [first for first, _ in cutting.numbers] == [0, 100, 230, 325]


async def test_a_film_without_a_change_of_scene_is_one_piece_and_that_is_said(
    context: FakeContext,
) -> None:
    cutting = await cut(Clip.SILENT, context, scenes=True)

    assert len(cutting.pieces) == 1
    assert cutting.result.warnings == ("scenes: no change of scene was found",)


async def test_cuts_lie_in_silences(context: FakeContext) -> None:
    cutting = await cut(Clip.SILENCES, context, silence=True)
    longer = await cut(Clip.SILENCES, FakeContext(context.media / "2"), silence={"length": 1.5})

    assert cutting.spans == [(0, 6), (6, 13), (13, 18)]
    assert longer.spans == [(0, 6), (6, 18)]


async def test_silence_cannot_be_heard_without_sound(context: FakeContext) -> None:
    error = await failed(job(place(Clip.SILENT, context.media), silence=True), context)

    assert (error.code, error.message) == ("bad_option", "silence: silent.mp4 has no sound")


async def test_equal_pieces_are_of_one_length_and_within_the_limit(context: FakeContext) -> None:
    cutting = await cut(Clip.CLOSED_GOP, context, equal=True, segmentTime=8)

    assert cutting.account.is_exact
    lengths = [piece.duration for piece in cutting.pieces]
    assert len(lengths) == 3
    assert max(lengths) <= 8
    assert max(lengths) - min(lengths) < 0.2


async def test_a_number_of_pieces_is_that_many(context: FakeContext) -> None:
    cutting = await cut(Clip.SONG_M4A, context, equal=4)

    assert len(cutting.pieces) == 4
    assert {file.kind for file in cutting.result.files} == {"audio"}


@pytest.mark.parametrize(
    ("asked", "size", "mode"),
    [(Clip.CLOSED_GOP, 100_000, "copy"), (Clip.ONE_GOP, 60_000, "encode"),
     (Clip.SONG_MP3, 50_000, "copy")],
)  # fmt: skip
async def test_no_piece_is_larger_than_asked_for(
    context: FakeContext, asked: Clip, size: int, mode: str
) -> None:
    cutting = await cut(asked, context, maxSize=size)

    assert cutting.result.data["mode"] == mode
    assert all(file.size <= size for file in cutting.result.files)
    assert sum(file.size for file in cutting.result.files[:-1]) > 0.6 * size * (
        len(cutting.pieces) - 1
    )
    assert cutting.account.is_exact


async def test_a_preset_of_the_configuration_sets_the_limits(context: FakeContext) -> None:
    context.options = {"presets": {"tiny": {"segmentTime": 5, "maxSize": "60kB", "height": 96}}}

    cutting = await cut(Clip.CLOSED_GOP, context, preset="tiny")

    assert cutting.result.data["why"] == "scaled to 96 lines"
    assert {(file.width, file.height) for file in cutting.result.files} == {(160, 96)}
    assert measure.described(cutting.pieces[0].path)["streams"][0]["height"] == 96
    assert cutting.longest() <= 5
    assert all(file.size <= 60_000 for file in cutting.result.files)


async def test_a_preset_that_is_not_there_is_refused_before_any_work(
    context: FakeContext,
) -> None:
    with pytest.raises(MalformedError) as caught:
        await cutter.handle(job("nothing.mp4", preset="myspace"), context)

    assert caught.value.field == "preset"


@pytest.mark.parametrize("wrong", [{"segmenttime": 5}, {"segmentTime": -5}, {"maxSize": "big"}])
async def test_a_preset_with_a_mistake_is_the_operators_affair(
    context: FakeContext, wrong: dict[str, object]
) -> None:
    context.options = {"presets": {"mine": wrong}}

    error = await failed(job(clip(Clip.SILENT)), context)

    assert (type(error), error.code) == (HostError, "bad_options")


@pytest.mark.parametrize("mode", ["auto", "exact", "copy"])
@pytest.mark.parametrize(
    ("wrong", "says"),
    [([1, 1.001], "too short to hold a frame"), ([11.99, 12.5], "after the last frame")],
)
async def test_a_range_without_a_frame_is_refused_by_name_in_every_mode(
    context: FakeContext, mode: str, wrong: list[float], says: str
) -> None:
    path = place(Clip.SILENT, context.media)

    error = await failed(job(path, ranges=[[3, 5], wrong], mode=mode), context)

    assert (type(error), error.code) == (RefusedError, "bad_option")
    assert error.message.startswith("ranges[1]: ")
    assert says in error.message


@pytest.mark.parametrize("mode", ["auto", "exact"])
async def test_a_range_between_two_frames_has_the_frames_that_begin_in_it_and_says_which(
    context: FakeContext, mode: str
) -> None:
    asked = [[1, 1.01], [2.15, 2.17], [2.19, 3.01]]

    cutting = await cut(Clip.SILENT, context, ranges=asked, mode=mode)

    assert cutting.numbers == [(25, 25), (54, 54), (55, 75)]
    assert cutting.spans == [(1, 1.04), (2.16, 2.2), (2.2, 3.04)]


@pytest.mark.parametrize("mode", ["auto", "exact"])
async def test_equal_pieces_between_frames_share_their_edges_and_add_up(
    context: FakeContext, mode: str
) -> None:
    cutting = await cut(Clip.CLOSED_GOP, context, equal=7, mode=mode)

    assert cutting.account.is_exact
    starts, ends = zip(*cutting.spans, strict=True)
    assert (starts[0], starts[1:], ends[-1]) == (0, ends[:-1], 20)
    assert all(start * 25 == pytest.approx(round(start * 25)) for start in starts)
    assert sum(piece.duration for piece in cutting.pieces) == pytest.approx(20, abs=0.15)
