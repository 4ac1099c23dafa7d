"""Films whose tracks begin, end or pause where others do not: cut all the same."""

import asyncio
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from consumers.errors import RefusedError
from tests.media.cutting import Cutting, cut, job
from tests.support import clip_maker, clip_reader, kept
from tests.support.clip_maker import Recipe, make
from tests.support.clips import Clip, clip, x264
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


# After the first picture there is no other whole one: stripes of each are made anew by turns.
STRIPED = Recipe(".mp4", 250, codec=x264(keyint=50, min_keyint=50, intra_refresh=1))


# A frame a second: an encoder that looks ten frames ahead looks ten seconds ahead.
SLIDES = Recipe(".mp4", 30, rate=Fraction(1), codec=x264(keyint=15, min_keyint=15))


# Pictures that stand for ten seconds each, the last one too.
STILLS = Recipe(".mp4", 10, rate=Fraction(1, 10), sounds=(), codec=x264(keyint=5, min_keyint=5))


# A subtitle is shown long after the film, and a Matroska file tells no other length.
SUBTITLED = Recipe(
    ".mkv",
    100,
    codec=x264(keyint=25, min_keyint=25),
    extras=(
        (
            "long.srt",
            "1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:03,000 --> 00:00:15,000\ntwo\n",
        ),
    ),
)
OUTLASTED = Recipe(
    ".mkv", 100, codec=x264(keyint=25, min_keyint=25), sounds=(clip_maker.Sound(seconds=7.0),)
)


async def cut_untimed(context: FakeContext, **asked: object) -> Cutting:
    return await cut_made("untimed.avi", UNTIMED, context, **asked)


async def cut_made(name: str, recipe: Recipe, context: FakeContext, **asked: object) -> Cutting:
    path = kept.file(name, repr(recipe), lambda made: make(recipe, made))
    result = await cutter.handle(job(path, "1", **asked), context)
    pieces = clip_reader.read_all([Path(file.path) for file in result.files])
    return Cutting(result, clip_reader.read(path), pieces)


@pytest.mark.parametrize("mode", ["auto", "exact"])
async def test_a_film_whose_subtitles_go_on_is_whole_and_as_long_as_its_picture(
    mode: str, context: FakeContext
) -> None:
    cutting = await cut_made("subtitled.mkv", SUBTITLED, context, segmentTime=3, mode=mode)

    assert cutting.account.is_exact
    assert cutting.result.data["duration"] == pytest.approx(4.0, abs=0.1)


async def test_a_matroska_film_whose_sound_goes_on_is_whole_and_cut_exactly(
    context: FakeContext,
) -> None:
    cutting = await cut_made("outlasted.mkv", OUTLASTED, context, segmentTime=3.3, mode="exact")

    assert cutting.result.data["mode"] == "exact"
    assert cutting.account.is_exact
    assert cutting.result.data["duration"] == pytest.approx(7.0, abs=0.1)


async def test_frames_that_an_edit_list_hides_are_in_no_exact_piece(context: FakeContext) -> None:
    hiding = ("-ss", "3.3", "-i", str(clip(Clip.CLOSED_GOP)), "-c", "copy")
    path = kept.file("hiding.mp4", repr(hiding), lambda made: copied(made, *hiding))

    result = await cutter.handle(job(path, "1", segmentTime=6.3, mode="exact"), context)

    pieces = clip_reader.read_all([Path(file.path) for file in result.files])
    assert clip_reader.account(pieces, clip_reader.read(path).numbers).is_exact


def copied(target: Path, *options: str) -> None:
    clip_maker.run_ffmpeg(*options, target.name, folder=target.parent)


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


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
async def test_a_film_whose_clock_begins_late_lasts_as_long_as_it_plays(
    context: FakeContext, suffix: str
) -> None:
    source, film = clip(Clip.SILENT), context.media / f"late{suffix}"
    context.media.mkdir()
    late = ("-i", str(source), "-c", "copy", "-output_ts_offset", "5000", film.name)
    await asyncio.to_thread(clip_maker.run_ffmpeg, *late, folder=film.parent)

    result = await cutter.handle(job(film, segmentTime=7), context)

    assert result.data == {"duration": pytest.approx(12.0, abs=0.1), "mode": "copy"}
    pieces = clip_reader.read_all(Path(file.path) for file in result.files)
    assert clip_reader.account(pieces, clip_reader.read(source).numbers).is_exact


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


async def test_what_cannot_be_cut_without_encoding_is_refused_where_only_copying_is_allowed(
    context: FakeContext,
) -> None:
    with pytest.raises(RefusedError, match=r"mode: copy .* untimed") as caught:
        await cut_untimed(context, segmentTime=3.3, mode="copy")

    assert caught.value.code == "bad_option"
    assert "choose auto" in caught.value.message


async def test_the_sound_of_a_film_of_few_frames_stays_with_its_picture(
    context: FakeContext,
) -> None:
    cutting = await cut_made("slides.mp4", SLIDES, context, segmentTime=3.3)

    assert cutting.result.data["mode"] == "encode"
    assert cutting.account.is_exact
    assert cutting.longest() <= 3.3
    assert cutting.worst_lag() <= 0.045


@pytest.mark.parametrize(("mode", "came_to"), [("auto", "encode"), ("copy", "copy")])
async def test_pictures_that_build_up_over_several_are_copied_only_on_demand_and_that_is_said(
    context: FakeContext, mode: str, came_to: str
) -> None:
    cutting = await cut_made("striped.mp4", STRIPED, context, segmentTime=5, mode=mode)

    warnings = cutting.result.warnings
    assert cutting.result.data["mode"] == came_to
    assert len(cutting.pieces) > 1
    assert cutting.account.is_exact is (mode == "auto")
    assert ["build up" in warning for warning in warnings] == [True] * (mode == "copy")


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


@pytest.mark.parametrize("mode", ["auto", "exact"])
async def test_a_film_of_a_denser_codec_may_become_as_large_as_it_is_in_ours(
    context: FakeContext, tmp_path: Path, mode: str
) -> None:
    context.options = {**context.options, "max_size": "20kB"}
    pictures = "testsrc2=size=320x192:rate=25:duration=6"
    dense = ("-c:v", "libvpx-vp9", "-crf", "55", "-b:v", "0", "-deadline", "realtime")
    source = tmp_path / "dense.webm"
    clip_maker.run_ffmpeg(
        *("-f", "lavfi", "-i", pictures, *dense, "-cpu-used", "8", "-g", "999", source.name),
        folder=tmp_path,
    )

    result = await cutter.handle(job(source, mode=mode, segmentTime=5), context)

    assert max(file.size for file in result.files) > 2 * source.stat().st_size
    assert sum(file.duration or 0 for file in result.files) == pytest.approx(6.0, abs=0.1)


async def test_pieces_far_smaller_than_they_may_be_are_made_once_more_and_are_fewer(
    context: FakeContext, tmp_path: Path
) -> None:
    source = lavish(tmp_path)
    size = source.stat().st_size // 6

    result = await cutter.handle(job(source, maxSize=size), context)

    assert len(result.files) <= 3
    assert all(file.size <= size for file in result.files)
    assert sum("far smaller" in line for line in context.logged) == 1
    assert sum(file.duration or 0 for file in result.files) == pytest.approx(12.0, abs=0.1)


async def test_a_size_that_holds_less_than_a_second_is_refused_with_one_that_will_do(
    context: FakeContext, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match=r"maxSize: .* ask for at least \d+ kB") as caught:
        await cutter.handle(job(lavish(tmp_path), maxSize="50kB"), context)

    assert caught.value.code == "bad_option"


def lavish(folder: Path) -> Path:
    """A film of one keyframe, of far more bytes than its picture takes."""
    pictures = "testsrc2=size=320x192:rate=25:duration=12"
    source = folder / "lavish.mp4"
    clip_maker.run_ffmpeg(
        *("-f", "lavfi", "-i", pictures, "-c:v", "libx264", "-qp", "2", "-preset", "ultrafast"),
        *("-pix_fmt", "yuv420p", "-g", "999", source.name),
        folder=folder,
    )
    return source


async def test_the_last_of_pictures_that_stand_for_long_is_no_film_that_breaks_off(
    context: FakeContext,
) -> None:
    cutting = await cut_made("stills.mp4", STILLS, context, segmentTime=13)

    assert cutting.account.is_exact
    assert max(file.duration for file in cutting.result.files if file.duration) <= 13
