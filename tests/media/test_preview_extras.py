"""What a preview makes on demand: the sheet and its WebVTT, the moving picture, the waveform."""

import asyncio
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from consumers.errors import HostError, MalformedError
from tests.media import measure
from tests.media.conftest import make
from tests.media.programs import noting
from tests.media.test_preview_edges import made, numbered
from tests.support import clip_reader
from tests.support.clip_maker import Recipe
from tests.support.clips import Clip, clip, gop
from tests.support.contexts import FakeContext
from workers.processor import ResultFile

MANY_KEYS = Recipe(".mp4", 1000, codec=gop(20), sounds=())
FEW_KEYS = Recipe(".mp4", 1000, codec=gop(300), sounds=())
TURNED = Recipe(".mp4", 1000, codec=gop(20), sounds=(), turned=True)
GRID = {"columns": 5, "rows": 4, "width": 120}
CUE = re.compile(r"(\S+) --> (\S+)\nsprite\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)")


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def pictures(files: tuple[ResultFile, ...]) -> list[tuple[float, float, int | None]]:
    """Return when each picture is shown, and the frame's number in the place the cue names."""
    image, cues = (Path(file.path) for file in files[2:4])
    width, height = files[2].width, files[2].height
    found = CUE.findall(cues.read_text())
    wide, high = (int(side) for side in found[0][4:])
    columns, rows = (width or 0) // wide, (height or 0) // high
    tiles = clip_reader.tiles(image, columns, rows)
    return [
        (seconds(start), seconds(end), tiles[int(y) // high * columns + int(x) // wide])
        for start, end, x, y, _, _ in found
    ]


def text(file: ResultFile) -> str:
    return Path(file.path).read_text()


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("many_keys.mp4", MANY_KEYS), ("few_keys.mp4", FEW_KEYS), ("turned_keys.mp4", TURNED)],
)
async def test_each_cue_points_to_the_picture_shown_from_then_on(
    name: str, recipe: Recipe, context: FakeContext
) -> None:
    result = await made(numbered(name, recipe), context, sprite=GRID)

    shown = pictures(result.files)
    assert len(shown) == 20
    assert [number for *_, number in shown] == [round(start * 25) for start, _, _ in shown]
    assert all(one[1] == other[0] for one, other in pairwise(shown))
    assert (shown[0][0], shown[-1][1]) == (0.0, 40.0)
    assert bool(context.logged) is (recipe is FEW_KEYS)


async def test_no_step_of_a_preview_reads_through_an_ordinary_film(
    context: FakeContext, tmp_path: Path
) -> None:
    options, commands = noting(tmp_path / "programs")
    context.options = {**context.options, **options}
    film = numbered("many_keys.mp4", MANY_KEYS)

    await made(film, context, sprite=GRID)

    steps = [command for command in commands() if f"file:{film}" in command[:-1]]
    assert len(steps) == 7  # five samples, the poster, the keyframes
    assert all("-t" in step or "-discard" in step for step in steps)
    assert context.logged == []


async def test_what_was_cut_off_before_the_beginning_is_not_on_the_sheet(
    context: FakeContext, tmp_path: Path
) -> None:
    whole = numbered("many_keys.mp4", MANY_KEYS)
    late = ("-ss", "1.0", "-i", str(whole), "-c", "copy")  # plays from frame 25 on, holds frame 20

    result = await made(make(tmp_path / "late.mp4", *late), context, sprite=GRID)

    shown = pictures(result.files)
    assert [number for *_, number in shown[1:]] == [
        round(start * 25) + 25 for start, _, _ in shown[1:]
    ]
    assert shown[0][2] == 40
    assert context.logged == []


async def test_a_film_that_breaks_off_is_shown_as_far_as_it_goes_and_that_is_said(
    context: FakeContext, tmp_path: Path
) -> None:
    film = numbered("many_keys.mp4", MANY_KEYS)  # of 40 s
    whole = make(tmp_path / "whole.mp4", "-i", str(film), "-c", "copy", "-movflags", "+faststart")
    half = tmp_path / "half.mp4"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    result = await made(half, context, sprite=GRID)
    unbroken = await made(whole, context)

    ends = result.data["duration"]
    assert isinstance(ends, float)
    assert 15 < ends < 25
    assert result.warnings == (f"half.mp4 says 40.0 s but breaks off after {ends:.1f} s",)
    shown = pictures(result.files)
    assert shown[-1][1] == pytest.approx(ends, abs=0.01)
    assert [number for *_, number in shown] == [round(start * 25) for start, _, _ in shown]
    assert result.files[0].duration == pytest.approx(7.5, abs=0.2)
    assert (unbroken.warnings, unbroken.data) == ((), {"duration": 40.0})


@pytest.mark.parametrize("film", [Clip.UNSTEADY, Clip.TRANSPORT, Clip.LATE_PICTURE, Clip.WEBM])
async def test_the_sheet_of_an_uneven_film_tells_the_truth(
    film: Clip, context: FakeContext
) -> None:
    result = await made(clip(film), context, sprite=GRID)

    source = clip_reader.read(clip(film), sound=False).frames
    began = 0.0 if film is Clip.LATE_PICTURE else source[0].time
    when = {frame.number: frame.time - began for frame in source}
    times = [(start, when[number]) for start, _, number in pictures(result.files)]
    assert all(cue == pytest.approx(shown, abs=0.02) for cue, shown in times[1:])
    assert len(times) > 15


@pytest.mark.parametrize(("film", "tiles"), [(Clip.TEN_FRAMES, 10), (Clip.ONE_FRAME, 1)])
async def test_a_film_of_few_frames_has_a_sheet_of_as_many(
    film: Clip, tiles: int, context: FakeContext
) -> None:
    result = await made(clip(film), context, sprite=True, poster=False)

    assert [Path(file.path).name for file in result.files] == [
        *("clip.mp4", "sprite.jpg", "sprite.vtt"),
    ]
    assert (result.files[1].width, result.files[1].height) == (160 * tiles, 96)
    assert len(CUE.findall(text(result.files[2]))) == tiles


@pytest.mark.parametrize(("asked", "kind"), [(True, "webp"), ("gif", "gif")])
async def test_the_clip_moves_in_a_picture(asked: object, kind: str, context: FakeContext) -> None:
    result = await made(clip(Clip.TURNED), context, animated=asked, seconds=2)

    picture = Path(result.files[2].path)
    assert picture.name == f"preview.{kind}"
    content = await asyncio.to_thread(picture.read_bytes)
    frames = content.count(b"ANMF") if kind == "webp" else content.count(b"\x21\xf9\x04")
    assert frames == pytest.approx(20, abs=2)
    assert (result.files[2].width, result.files[2].height) == (192, 320)


@pytest.mark.parametrize("song", [Clip.SONG_MP3, Clip.SONG_M4A])
async def test_sound_without_picture_gets_its_waveform_as_the_poster(
    song: Clip, context: FakeContext
) -> None:
    result = await made(clip(song), context, sprite=True)

    (poster,) = result.files
    assert (poster.kind, Path(poster.path).name) == ("image", "poster.png")
    columns = bright_columns(Path(poster.path))
    # A pip in each of fifteen seconds, and a low tone between: loud bars stand apart.
    assert [round(loud * 15 / 320) for loud in columns] == list(range(15))


def bright_columns(picture: Path) -> list[int]:
    """Return the bars that reach to the upper quarter, the first of each group."""
    command = ["ffmpeg", "-v", "error", "-i", str(picture), "-vf", "scale=320:360:flags=area"]
    command += ["-pix_fmt", "gray", "-f", "rawvideo", "-"]
    grey = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    row = grey[60 * 320 : 61 * 320]
    high = [index for index, level in enumerate(row) if level > 100]
    return [index for index in high if index - 1 not in high]


async def test_a_silent_sound_is_drawn_flat_and_said_to_be_silent(
    context: FakeContext,
) -> None:
    path = context.media / "silent.wav"
    context.media.mkdir()
    make(path, "-f", "lavfi", "-i", "anullsrc", "-t", "0.2")

    result = await made(path, context)

    assert result.warnings == ("the sound is silent",)
    assert measure.described(Path(result.files[0].path))["streams"][0]["codec_name"] == "png"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"seconds": 11}, "seconds"),
        ({"seconds": "long"}, "seconds"),
        ({"samples": 0}, "samples"),
        ({"height": 1080}, "height"),
        ({"sprite": {"columns": 20, "rows": 20}}, "sprite"),
        ({"sprite": {"width": 5000}}, "sprite.width"),
        ({"animated": "png"}, "animated"),
        ({"filePath": "a\0b"}, "filePath"),
    ],
)
async def test_a_wish_out_of_bounds_is_refused_by_its_name(
    fields: dict[str, object], named: str, context: FakeContext
) -> None:
    with pytest.raises(MalformedError) as caught:
        await made(Path("any"), context, **fields)

    assert named in str(caught.value)


async def test_the_options_of_the_pool_say_what_the_job_does_not(context: FakeContext) -> None:
    context.options = {**context.options, "seconds": 2, "poster": False, "height": 96}

    (shown,) = (await made(clip(Clip.SILENT), context, seconds=1)).files

    assert measure.duration(Path(shown.path)) == pytest.approx(1.0, abs=0.05)
    assert (shown.width, shown.height) == (160, 96)


async def test_wrong_options_of_the_pool_are_not_the_jobs_fault(context: FakeContext) -> None:
    context.options = {"samples": 99}

    with pytest.raises(HostError) as caught:
        await made(Path("any"), context)

    assert caught.value.code == "bad_options"
