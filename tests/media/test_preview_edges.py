"""Previews of films at the edge of what there is: late, short, turned, slow, black, broken."""

import asyncio
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import measure
from tests.media.conftest import make
from tests.media.test_preview import luma
from tests.support import clip_maker, clip_reader, kept
from tests.support.clip_maker import Recipe
from tests.support.clips import Clip, clip, gop, x264
from tests.support.contexts import FakeContext
from workers import preview
from workers.processor import Job, Result

ONE_GOP = Recipe(".mp4", 1600, codec=x264(keyint=9999, bframes=2), sounds=())
MINUTE = Recipe(".mp4", 1600, codec=gop(50), sounds=())
EDGES = (
    *(Clip.LATE_PICTURE, Clip.LONG_SOUND, Clip.TEN_FRAMES, Clip.ONE_FRAME, Clip.UNSTEADY),
    *(Clip.TURNED, Clip.TRANSPORT, Clip.ODD_SIZE, Clip.OPEN_GOP_HEVC, Clip.TWO_TRACKS),
)
TEN_BITS = ("-pix_fmt", "yuv420p10le", "-color_primaries", "bt2020", "-colorspace", "bt2020nc")
ODD_ONES = {
    "slides.mp4": ("testsrc2=size=320x192:rate=1/1000:duration=5000", "-g", "2"),
    "old.avi": ("testsrc2=size=320x192:rate=25:duration=70", "-c:v", "mpeg4", "-g", "300"),
    "squeezed.mp4": ("testsrc2=size=180x192:rate=25:duration=11,setsar=16/9",),
    "hdr.mp4": ("testsrc2=size=320x192:rate=25:duration=11", *TEN_BITS, "-color_trc", "smpte2084"),
    "blink.mp4": ("testsrc2=size=320x192:rate=25:duration=0.4",),
    "flash.mp4": (
        "color=black:size=320x192:rate=25:duration=16,"
        "drawbox=color=white:t=fill:enable='between(n,155,158)'",
        *("-x264-params", "keyint=100:min-keyint=100:scenecut=0"),
    ),
}


async def made(path: Path, context: FakeContext, **fields: object) -> Result:
    job = Job(id=path.name, queue="preview_queue", data={"filePath": str(path), **fields})
    return await preview.handle(job, context)


def numbered(name: str, recipe: Recipe) -> Path:
    return kept.file(name, repr(recipe), lambda path: clip_maker.make(recipe, path))


def odd_one(name: str) -> Path:
    picture, *options = ODD_ONES[name]
    how = ("-f", "lavfi", "-i", picture, "-preset", "ultrafast", *options)
    return kept.file(name, repr(how), lambda path: make(path, *how))


def is_small_and_quick_to_start(path: Path) -> bool:
    (stream,) = measure.described(path)["streams"]
    boxes = measure.top_level_boxes(path)
    kind = (stream["codec_name"], stream["pix_fmt"], stream.get("sample_aspect_ratio", "1:1"))
    fits = stream["height"] <= 480 and 0 < measure.duration(path) <= 10.05
    return fits and kind == ("h264", "yuv420p", "1:1") and boxes.index("moov") < boxes.index("mdat")


@pytest.mark.parametrize("film", EDGES, ids=lambda film: film.name.lower())
async def test_a_film_at_the_edge_gets_a_clip_and_a_poster_that_shows_it(
    film: Clip, context: FakeContext
) -> None:
    shown, poster = (await made(clip(film), context)).files

    assert is_small_and_quick_to_start(Path(shown.path))
    assert any(number is not None for number in numbers(Path(shown.path)))
    assert clip_reader.tiles(Path(poster.path), 1, 1)[0] is not None


async def test_a_film_shorter_than_a_picture_of_the_clip_is_shown_and_moves_all_the_same(
    context: FakeContext,
) -> None:
    film = numbered("blink-of-an-eye.mp4", Recipe(".mp4", 1, rate=Fraction(60), sounds=()))

    shown, _, moving = (await made(film, context, animated="gif")).files

    assert is_small_and_quick_to_start(Path(shown.path))
    assert moving.size > 1000


@pytest.mark.parametrize("name", ODD_ONES)
async def test_an_odd_film_gets_a_clip_and_a_poster_that_is_not_black(
    name: str, context: FakeContext
) -> None:
    result = await made(odd_one(name), context)

    shown, poster = result.files
    assert is_small_and_quick_to_start(Path(shown.path))
    assert await asyncio.to_thread(luma, Path(poster.path)) > 24
    assert (shown.width, shown.height) == (320, 192)
    assert (shown.duration, name) in {(0.4, "blink.mp4"), (7.48, name)}


async def test_samples_come_from_across_the_film(context: FakeContext) -> None:
    shown, _ = (await made(clip(Clip.CLOSED_GOP), context, seconds=4, samples=4)).files

    seen = numbers(Path(shown.path))
    assert seen == [start + step for start in (60, 178, 297, 415) for step in range(25)]


async def test_samples_of_a_long_film_begin_at_the_keyframe_before_their_moment(
    context: FakeContext,
) -> None:
    shown, _ = (await made(numbered("minute.mp4", MINUTE), context)).files

    seen = numbers(Path(shown.path))
    assert seen[::38][:2] == [150, 450]
    assert len(seen) == 187
    assert context.logged == []


async def test_a_long_film_with_one_keyframe_is_sampled_across_all_the_same(
    context: FakeContext,
) -> None:
    shown, _ = (await made(numbered("one_gop.mp4", ONE_GOP), context, samples=2)).files

    seen = numbers(Path(shown.path))
    assert seen[0] == 0
    assert seen[-1] == pytest.approx(1222, abs=2)  # the second sample was taken exactly
    assert any("sampling another way" in line for line in context.logged)


def numbers(path: Path) -> list[int | None]:
    return list(clip_reader.read(path, sound=False).numbers)
