"""The cutter processor on real files: nothing lost, nothing too long, nothing half published."""

import asyncio
import threading
from pathlib import Path

import pytest

from consumers.errors import HostError, MalformedError, RefusedError
from tests.media import measure
from tests.media.conftest import Clips
from tests.media.cutting import failed, job
from tests.media.programs import noting
from tests.support import clip_reader
from tests.support.clips import Clip, place
from tests.support.contexts import FakeContext
from workers import cutter
from workers.media.files.workspace import Places
from workers.processor import Job, Result


def paths(result: Result) -> list[Path]:
    return [Path(file.path) for file in result.files]


async def test_copying_on_demand_takes_the_next_keyframe_and_says_what_it_cost(
    context: FakeContext,
) -> None:
    path = place(Clip.CLOSED_GOP, context.media)

    result = await cutter.handle(job(path, segmentTime=1, mode="copy"), context)

    assert [file.end for file in result.files] == [2 * n for n in range(1, 11)]
    assert result.warnings == ("the longest piece is 2.0 s, over the 1 s asked for",)


async def test_a_file_within_the_limit_is_one_piece(context: FakeContext) -> None:
    result = await cutter.handle(job(place(Clip.SILENT, context.media)), context)

    assert [(file.start, file.end) for file in result.files] == [(0.0, 12.0)]
    assert result.data == {"duration": 12.0, "mode": "copy"}


@pytest.mark.parametrize("song", [Clip.SONG_MP3, Clip.SONG_M4A])
async def test_sound_alone_is_cut_too(context: FakeContext, song: Clip) -> None:
    path = place(song, context.media)

    result = await cutter.handle(job(path, segmentTime=7, mode="exact"), context)

    assert [file.kind for file in result.files] == ["audio"] * 3
    assert all(measure.duration(path) <= 7.0 for path in paths(result))


@pytest.mark.parametrize(
    ("film", "programs"),
    [
        (Clip.CLOSED_GOP, ["ffprobe", "ffmpeg"]),
        (Clip.ONE_GOP, ["ffprobe", "ffmpeg"]),
        (Clip.TRANSPORT, ["ffprobe", "ffprobe", "ffmpeg"]),  # its packets are asked for as well
    ],
)
async def test_a_film_is_cut_by_one_question_or_two_and_one_pass(
    context: FakeContext, tmp_path: Path, film: Clip, programs: list[str]
) -> None:
    options, commands = noting(tmp_path / "programs")
    context.options = {**context.options, **options}

    result = await cutter.handle(job(place(film, context.media), segmentTime=7), context)

    assert [command[0] for command in commands()] == programs
    assert (result.data["mode"] == "copy") is (film is not Clip.ONE_GOP)
    assert ("libx264" in commands()[-1]) is (film is Clip.ONE_GOP)


async def test_colours_and_rotation_survive_encoding(context: FakeContext) -> None:
    tags = ("color_space", "color_transfer", "color_primaries", "color_range")
    path = place(Clip.COLOUR_2020, context.media)
    before = measure.described(path)["streams"][0]

    result = await cutter.handle(job(path, segmentTime=5, height=160), context)

    after = [measure.described(piece)["streams"][0] for piece in paths(result)]
    assert all(stream[tag] == before[tag] for stream in after for tag in tags)
    assert {stream["height"] for stream in after} == {160}


async def test_a_turned_film_stays_turned_copied_or_encoded(context: FakeContext) -> None:
    path = place(Clip.TURNED, context.media)

    copied = await cutter.handle(job(path, "1", segmentTime=7), context)
    encoded = await cutter.handle(job(path, "2", segmentTime=7, height=160), context)

    sizes = [clip_reader.read(piece).numbers[0] for piece in (*paths(copied), *paths(encoded))]
    assert sizes == [0, 150, 0, 172]  # the numbers can be read upright only
    assert (copied.files[0].width, copied.files[0].height) == (192, 320)


async def test_a_path_may_be_relative_to_the_media_root(clips: Clips, context: FakeContext) -> None:
    context.media = clips.folder

    result = await cutter.handle(job("short.mp4"), context)

    assert len(result.files) == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nothing.mp4", "not_found"),
        (".", "not_regular"),
        ("page.mp4", "not_media"),
        ("playlist.mp4", "not_media"),
        ("breaks_off.mp4", "truncated"),
    ],
)
async def test_what_cannot_be_cut_is_refused_by_name(
    clips: Clips, context: FakeContext, name: str, code: str
) -> None:
    error = await failed(job(clips.folder / name, segmentTime=7), context)

    assert (type(error), error.code) == (RefusedError, code)
    assert name.strip(".") in str(error)
    assert not Places.of(job(name), context.media).results.exists()


async def test_more_than_a_thousand_pieces_are_refused(clips: Clips, context: FakeContext) -> None:
    error = await failed(job(clips.closed_gop, segmentTime=0.01), context)

    assert error.code == "too_many_pieces"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "filePath"),
        ({"filePath": 7}, "filePath"),
        ({"filePath": "a\0b"}, "filePath"),
        ({"filePath": "a.mp4", "segmentTime": 0}, "segmentTime"),
        ({"filePath": "a.mp4", "segmentTime": float("nan")}, "segmentTime"),
        ({"filePath": "a.mp4", "segmentTime": "long"}, "segmentTime"),
        ({"filePath": "a.mp4", "mode": "fast"}, "mode"),
    ],
)
async def test_a_job_that_says_it_wrong_is_refused_with_the_field_named(
    context: FakeContext, data: dict[str, object], field: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        await cutter.handle(Job(id="1", queue="cutter_queue", data=data), context)

    assert caught.value.field == field


async def test_a_missing_ffmpeg_is_the_operators_affair_not_the_jobs(
    clips: Clips, context: FakeContext
) -> None:
    context.options = {"ffmpeg": "/nowhere/ffmpeg"}

    error = await failed(job(clips.short), context)

    assert (type(error), error.code) == (HostError, "ffmpeg_missing")
    assert "apt-get install ffmpeg" in error.hint


async def test_a_media_folder_that_cannot_be_written_is_the_operators_affair(
    clips: Clips, context: FakeContext, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    context.media = tmp_path / "file"

    error = await failed(job(clips.short), context)

    assert (type(error), error.code) == (HostError, "media_unwritable")


async def test_a_cancelled_job_is_ended_while_ffmpeg_runs(
    clips: Clips, context: FakeContext
) -> None:
    encoding = threading.Event()
    context.on_progress = lambda percent: encoding.set() if percent >= 2 else None
    running = asyncio.ensure_future(failed(job(clips.closed_gop, mode="exact"), context))
    await asyncio.to_thread(encoding.wait, 20)
    context.cancelled.set()

    error = await running

    assert (type(error), error.code) == (RefusedError, "cancelled")
    assert not Places.of(job(""), context.media).results.exists()
    assert not Places.of(job(""), context.media).stage.exists()


async def test_progress_rises_to_the_end(clips: Clips, context: FakeContext) -> None:
    await cutter.handle(job(clips.one_gop, segmentTime=5), context)

    percents = [word.percent for word in context.progressed]
    assert percents == sorted(percents)
    assert percents[-1] > 90
