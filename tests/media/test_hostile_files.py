"""Every file that was ever made to harm a media worker: refused for what it is, and at no cost."""

import asyncio
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from consumers.errors import RefusedError, WorkError
from tests.support import offspring
from tests.support.clip_maker import run_ffmpeg
from tests.support.clips import Clip, place
from tests.support.contexts import FakeContext
from tests.support.hostile_files import (
    DISGUISED,
    NAMES,
    NOT_MEDIA,
    NOT_REGULAR,
    OUTSIDE,
    Hostile,
    make,
    named,
    outside,
)
from workers import cutter, preview
from workers.media.files import probe
from workers.media.tools import binaries
from workers.processor import Job, Result

REFUSED: Mapping[Hostile, str] = {
    **dict.fromkeys(NOT_MEDIA, "not_media"),
    **dict.fromkeys(DISGUISED, "not_media"),
    **dict.fromkeys(NOT_REGULAR, "not_regular"),
    **dict.fromkeys(OUTSIDE, "outside_root"),
    Hostile.EMPTY: "not_media",
    Hostile.BOMB: "too_big_picture",
    Hostile.HUNDRED_HOURS: "too_long",
    Hostile.DANGLING: "not_found",
    Hostile.LOOP: "not_found",
    Hostile.DATA_ONLY: "no_streams",
}
# These are read as far as they go; see the tests for what becomes of them.
READ = {Hostile.TRUNCATED, Hostile.CORRUPT_MIDDLE}
MEMORY = 250_000  # kilobytes; decoding the bomb takes twice that
QUICK = 10.0  # seconds, on a machine that does other things as well

both = pytest.mark.parametrize("processor", [cutter, preview], ids=["cutter", "preview"])


@pytest.fixture
def media(context: FakeContext) -> Path:
    """The media folder, which is all there is."""
    context.options = {}
    context.media.mkdir()
    return context.media


async def handled(processor: ModuleType, path: str, context: FakeContext) -> Result:
    job = Job(id=f"{processor.__name__} {path}", queue="q", data={"filePath": path})
    result = await asyncio.wait_for(processor.handle(job, context), QUICK)
    assert isinstance(result, Result)
    return result


async def refusal(processor: ModuleType, path: str, context: FakeContext) -> RefusedError:
    """Return why a file is refused for good; nothing runs and nothing lies about afterwards."""
    before = offspring.alive()
    with pytest.raises(RefusedError) as caught:
        await handled(processor, path, context)

    assert not offspring.since(before)
    assert not list((context.media / "results").iterdir())
    assert not [found for found in (context.media / "work").iterdir() if found.is_dir()]
    return caught.value


def test_every_hostile_file_is_in_these_tests() -> None:
    assert set(Hostile) == REFUSED.keys() | READ


@both
@pytest.mark.parametrize("asked", REFUSED, ids=lambda asked: asked.name.lower())
async def test_a_hostile_file_is_refused_for_what_it_is(
    asked: Hostile, processor: ModuleType, media: Path, context: FakeContext
) -> None:
    path = make(asked, media)

    error = await refusal(processor, path.name, context)

    assert error.code == REFUSED[asked]
    assert path.name in error.message
    assert error.hint
    assert "Traceback" not in error.message
    assert "\n" not in error.message


# The children that were waited for are asked, so it takes a process that had no others.
BOMBED = """
import asyncio, pathlib, resource, sys
from tests.support.contexts import FakeContext
from workers import preview
from workers.processor import Job
job, media = Job("1", "q", {"filePath": "bomb.mp4"}), pathlib.Path(sys.argv[1])
try:
    asyncio.run(preview.handle(job, FakeContext(media)))
except Exception as error:
    print(error.code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_a_picture_that_swells_when_decoded_is_refused_before_it_has(media: Path) -> None:
    make(Hostile.BOMB, media)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    said = subprocess.run(
        [sys.executable, "-c", BOMBED, str(media)],
        env=environment, check=True, capture_output=True, text=True, timeout=QUICK,
    ).stdout.split()  # fmt: skip

    assert said[0] == "too_big_picture"
    assert int(said[1]) < MEMORY


@both
@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../outside/secret.ts", "/nowhere/film.mp4", "/proc/self/environ", "a/../.."],
)
async def test_a_path_out_of_the_media_folder_is_refused_whether_or_not_anything_is_there(
    name: str, processor: ModuleType, media: Path, context: FakeContext
) -> None:
    outside(media)

    error = await refusal(processor, name, context)

    assert error.code == "outside_root"
    assert "options.roots" in error.hint


async def test_other_folders_are_allowed_by_the_pools_options(
    media: Path, context: FakeContext
) -> None:
    path = outside(media)
    link = make(Hostile.LINK_OUT, media)
    context.options = {"roots": [str(path.parent)]}

    for name in (str(path), link.name):
        result = await handled(cutter, name, context)
        assert len(result.files) == 1


@pytest.mark.parametrize("name", ["x" * 256, "x/" * 2040, "film.mp4/film.mp4", "nowhere.mp4"])
async def test_a_name_that_no_file_can_have_is_one_that_is_not_found(
    name: str, media: Path, context: FakeContext
) -> None:
    place(Clip.ONE_FRAME, media, "film.mp4")

    error = await refusal(cutter, name, context)

    assert error.code == "not_found"


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_a_hostile_name_is_a_name_like_any_other(
    name: str, media: Path, context: FakeContext
) -> None:
    named(name, media, Clip.TEN_FRAMES)

    result = await handled(cutter, name, context)

    assert len(result.files) == 1
    assert name not in result.files[0].path


async def test_a_file_that_breaks_off_is_not_cut(media: Path, context: FakeContext) -> None:
    path = make(Hostile.TRUNCATED, media)

    error = await refusal(cutter, path.name, context)

    assert error.code == "truncated"
    assert path.name in error.message


async def test_a_preview_is_made_of_what_is_there_of_a_file(
    media: Path, context: FakeContext
) -> None:
    for asked in READ:
        result = await handled(preview, make(asked, media).name, context)
        assert result.files


async def test_damage_is_passed_over_unless_the_pool_is_strict(
    media: Path, context: FakeContext
) -> None:
    path = make(Hostile.CORRUPT_MIDDLE, media)

    assert (await handled(cutter, path.name, context)).files
    context.options = {"strict": True}
    job = Job(id="again", queue="q", data={"filePath": path.name})
    with pytest.raises(RefusedError) as caught:
        await cutter.handle(job, context)

    assert caught.value.code == "damaged"
    assert path.name in caught.value.message


async def test_a_file_of_more_streams_than_anybody_needs_is_refused(
    media: Path, context: FakeContext, film_of_streams: Callable[[int], Path]
) -> None:
    path = film_of_streams(101)

    error = await refusal(cutter, path.name, context)

    assert error.code == "too_many_streams"
    assert path.name in error.message


@pytest.fixture
def film_of_streams(media: Path) -> Callable[[int], Path]:
    def make_film(count: int) -> Path:
        path = media / "tracks.mkv"
        tone = ("-f", "lavfi", "-i", "sine=duration=0.1", *(("-map", "0:a") * count))
        run_ffmpeg(*tone, "-c:a", "pcm_s16le", path.name, folder=media)
        return path

    return make_film


async def test_the_result_of_one_job_is_the_source_of_the_next(
    media: Path, context: FakeContext
) -> None:
    place(Clip.TEN_FRAMES, media, "film.mp4")
    first = await handled(cutter, "film.mp4", context)

    second = await handled(preview, first.files[0].path, context)

    assert second.files


async def test_an_option_of_roots_that_is_no_absolute_path_is_the_operators_to_mend(
    media: Path, context: FakeContext
) -> None:
    context.options = {"roots": ["films"]}

    with pytest.raises(WorkError) as caught:
        await handled(cutter, "film.mp4", context)

    assert caught.value.code == "bad_options"


@pytest.mark.parametrize("name", ["no space left on device", "Permission denied.mp4"])
@both
async def test_the_name_of_a_file_blames_no_machine(
    processor: ModuleType, name: str, media: Path, context: FakeContext
) -> None:
    (media / name).write_text("no media at all" * 50)

    assert (await refusal(processor, name, context)).code == "not_media"


async def test_tags_of_any_length_are_not_listened_to(media: Path, context: FakeContext) -> None:
    tags = "".join(f"TAG{turn}={'x' * 2_000_000}\n" for turn in range(6))
    card = ("-f", "lavfi", "-i", "testsrc2=d=1:size=64x64", "-map", "1", "-map_metadata", "0")
    told = ("-f", "ffmetadata", "-i", "-", *card, "tagged.mkv")
    await asyncio.to_thread(
        partial(run_ffmpeg, *told, folder=media, fed=f";FFMETADATA1\n{tags}".encode())
    )
    del tags
    tracemalloc.start()
    try:
        found = await probe.probe(binaries.find(), media / "tagged.mkv", context)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found.duration == 1.0
    assert found.size > 12_000_000
    assert peak < 2_000_000


async def test_chapters_without_end_are_not_listened_to(
    media: Path, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "MOST_LINES", 20)
    film = place(Clip.CLOSED_GOP, media)

    with pytest.raises(RefusedError) as caught:
        await probe.probe(binaries.find(), film, context)

    assert caught.value.code == "not_media"
