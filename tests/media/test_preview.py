"""The preview processor on real files: a small clip and a poster that shows something."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.media import measure
from tests.media.conftest import Clips
from tests.support.contexts import FakeContext
from workers import preview
from workers.processor import Job, Result


async def made(path: Path, context: FakeContext) -> Result:
    job = Job(id=path.name, queue="preview_queue", data={"filePath": str(path)})
    return await preview.handle(job, context)


def luma(picture: Path) -> float:
    """Return the mean of a picture's grey values."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(picture),
        "-pix_fmt",
        "gray",
        "-f",
        "rawvideo",
        "-",
    ]
    grey = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    return sum(grey) / len(grey)


async def test_a_film_becomes_a_small_silent_clip_and_a_poster(
    clips: Clips, context: FakeContext
) -> None:
    clip, poster = (await made(clips.closed_gop, context)).files

    (stream,) = measure.described(Path(clip.path))["streams"]
    assert (stream["codec_name"], stream["pix_fmt"], stream["height"]) == ("h264", "yuv420p", 192)
    assert measure.duration(Path(clip.path)) == pytest.approx(7.5, abs=0.2)
    boxes = measure.top_level_boxes(Path(clip.path))
    assert boxes.index("moov") < boxes.index("mdat")
    assert (clip.kind, poster.kind) == ("video", "image")
    assert Path(poster.path).name == "poster.jpg"
    assert (poster.width, poster.height) == (320, 192)


async def test_a_tall_film_is_made_small_and_keeps_its_shape(
    clips: Clips, context: FakeContext
) -> None:
    clip, poster = (await made(clips.tall, context)).files

    assert (clip.width, clip.height) == (270, 480)
    assert (poster.width, poster.height) == (406, 720)


@pytest.mark.parametrize(("name", "seconds"), [("short", 3.0), ("few_frames", 0.12)])
async def test_a_short_film_is_shown_whole(
    clips: Clips, context: FakeContext, name: str, seconds: float
) -> None:
    clip, _ = (await made(getattr(clips, name), context)).files

    assert measure.duration(Path(clip.path)) == pytest.approx(seconds, abs=0.1)


async def test_a_black_beginning_does_not_become_the_poster(
    clips: Clips, context: FakeContext
) -> None:
    result = await made(clips.black_intro, context)

    assert await asyncio.to_thread(luma, Path(result.files[1].path)) > 60
    assert result.warnings == ()


async def test_a_film_that_is_black_throughout_still_gets_its_poster_and_a_word(
    clips: Clips, context: FakeContext
) -> None:
    result = await made(clips.black, context)

    assert len(result.files) == 2
    assert result.warnings == ("the poster is dark: so is the film",)


@pytest.mark.parametrize("name", ["transport", "web", "one_gop", "open_gop"])
async def test_every_kind_of_film_gets_both(clips: Clips, context: FakeContext, name: str) -> None:
    result = await made(getattr(clips, name), context)

    assert [Path(file.path).name for file in result.files] == ["clip.mp4", "poster.jpg"]


async def test_a_film_that_breaks_off_is_previewed_from_what_is_there(
    clips: Clips, context: FakeContext
) -> None:
    result = await made(clips.breaks_off, context)

    assert len(result.files) == 2
    assert len(result.warnings) == 1
    assert "breaks_off.mp4 says" in result.warnings[0]
