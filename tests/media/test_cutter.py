"""The cutter processor on real files: nothing lost, nothing too long, nothing half published."""

import asyncio
import threading
from pathlib import Path

import pytest

from consumers.errors import HostError, MalformedError, RefusedError, WorkError
from tests.media import measure
from tests.media.conftest import Clips
from tests.support.contexts import FakeContext
from workers import cutter
from workers.media.workspace import Places
from workers.processor import Job, Result


def job(path: Path | str, name: str = "1", **data: object) -> Job:
    return Job(id=name, queue="cutter_queue", data={"filePath": str(path), **data}, sender="user1")


def paths(result: Result) -> list[Path]:
    return [Path(file.path) for file in result.files]


async def failed(asked: Job, context: FakeContext) -> WorkError:
    with pytest.raises(WorkError) as caught:
        await cutter.handle(asked, context)
    return caught.value


async def test_closed_gops_are_copied_in_pieces_within_the_limit_and_no_frame_is_lost(
    clips: Clips, context: FakeContext
) -> None:
    result = await cutter.handle(job(clips.closed_gop, segmentTime=7), context)

    assert result.data["mode"] == "copy"
    assert [(file.start, file.end) for file in result.files] == [
        (0, 6),
        (6, 12),
        (12, 18),
        (18, 20),
    ]
    assert all(measure.duration(path) <= 7.0 for path in paths(result))
    assert sum(measure.frames(path) for path in paths(result)) == 500


async def test_one_long_gop_is_encoded_in_pieces_within_the_limit_and_no_frame_is_lost(
    clips: Clips, context: FakeContext
) -> None:
    result = await cutter.handle(job(clips.one_gop, segmentTime=5), context)

    assert result.data["mode"] == "encode"
    assert len(result.files) == 3
    assert all(measure.duration(path) <= 5.0 for path in paths(result))
    assert sum(measure.frames(path) for path in paths(result)) == 300


async def test_open_gops_are_not_cut_by_copying(clips: Clips, context: FakeContext) -> None:
    result = await cutter.handle(job(clips.open_gop, segmentTime=7), context)

    assert result.data["mode"] == "encode"
    assert sum(measure.frames(path) for path in paths(result)) == 400


async def test_copying_on_demand_takes_the_next_keyframe_and_says_what_it_cost(
    clips: Clips, context: FakeContext
) -> None:
    result = await cutter.handle(job(clips.closed_gop, segmentTime=1, mode="copy"), context)

    assert [file.end for file in result.files] == [2 * n for n in range(1, 11)]
    assert result.warnings == ("the longest piece is 2.0 s, over the 1 s asked for",)


async def test_exact_cuts_are_encoded(clips: Clips, context: FakeContext) -> None:
    result = await cutter.handle(job(clips.short, segmentTime=1, mode="exact"), context)

    assert result.data["mode"] == "encode"
    assert sum(measure.frames(path) for path in paths(result)) == 75


async def test_a_transport_stream_that_starts_late_loses_nothing(
    clips: Clips, context: FakeContext
) -> None:
    result = await cutter.handle(job(clips.transport, segmentTime=5), context)

    assert result.data["mode"] == "copy"
    assert [Path(file.path).suffix for file in result.files] == [".mp4"] * 3
    assert sum(measure.frames(path) for path in paths(result)) == 300


async def test_a_file_within_the_limit_is_one_piece(clips: Clips, context: FakeContext) -> None:
    result = await cutter.handle(job(clips.short), context)

    assert [(file.start, file.end) for file in result.files] == [(0.0, 3.0)]


async def test_sound_alone_is_cut_too(clips: Clips, context: FakeContext) -> None:
    result = await cutter.handle(job(clips.song, segmentTime=5), context)

    assert [file.kind for file in result.files] == ["audio"] * 3
    assert all(measure.duration(path) <= 5.0 for path in paths(result))


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
