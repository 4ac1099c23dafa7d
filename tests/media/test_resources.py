"""What a media job takes of the machine: room that is there, memory that is counted, no rights."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.errors import HostError, RefusedError, WorkError
from tests.support.clips import Clip, place
from tests.support.contexts import FakeContext
from tests.support.disks import SmallDisk, small_disk
from workers import cutter, preview
from workers.media.tools import room, tool
from workers.processor import Handle, Job
from workers.usage import Meter


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of a few megabytes."""
    with small_disk(tmp_path / "small", megabytes=4) as disk:
        yield disk


async def fails(handle: Handle, path: Path, context: FakeContext) -> WorkError:
    job = Job("1", "q", {"filePath": str(path)})
    with pytest.raises((HostError, RefusedError)) as caught:
        await handle(job, context)  # type: ignore[misc] # both are coroutine functions
    return caught.value


def film(folder: Path, size: int) -> Path:
    """Make a file of some size that nobody will look into."""
    path = folder / "film.mp4"
    with path.open("wb") as file:
        file.truncate(size)
    return path


async def test_a_source_with_no_room_for_its_pieces_is_not_begun(
    small: SmallDisk, tmp_path: Path
) -> None:
    context = FakeContext(media=small.folder, options={"roots": [str(tmp_path)]})
    small.fill()
    (small.folder / "filler").write_bytes(b"x" * 2_000_000)

    error = await fails(cutter.handle, film(tmp_path, 3_000_000), context)

    assert (error.code, type(error)) == ("disk_full", HostError)
    assert "needs about 3 MB" in error.message
    assert context.progressed == []


async def test_a_source_that_no_empty_disk_could_hold_is_the_jobs_own_fault(
    small: SmallDisk, tmp_path: Path
) -> None:
    context = FakeContext(media=small.folder, options={"roots": [str(tmp_path)]})

    error = await fails(cutter.handle, film(tmp_path, 5_000_000), context)

    assert (error.code, type(error)) == ("does_not_fit", RefusedError)


async def test_a_tool_that_fills_the_disk_is_stopped_before_it_is_full(
    small: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "SURVEY", 0.0)
    monkeypatch.setattr(room, "SHARE", 0.5)
    code = "open('f', 'wb').write(b'x' * 3_000_000); import time; time.sleep(30)"
    call = tool.Call((sys.executable, "-c", code), name="the filler", folder=small.folder)

    with pytest.raises(HostError) as caught:
        await tool.run(call, FakeContext(media=small.folder))

    assert caught.value.code == "disk_full"
    assert "the filler was stopped" in caught.value.message


@pytest.mark.parametrize("handle", [cutter.handle, preview.handle], ids=["cutter", "preview"])
async def test_a_media_folder_that_cannot_be_written_is_the_machines_fault(
    handle: Handle, small: SmallDisk
) -> None:
    clip = place(Clip.TEN_FRAMES, small.folder)

    with small.read_only():
        error = await fails(handle, clip, FakeContext(media=small.folder))

    assert (error.code, type(error)) == ("media_unwritable", HostError)


async def test_a_source_on_a_read_only_disk_is_cut_into_a_folder_elsewhere(
    small: SmallDisk, tmp_path: Path
) -> None:
    clip = place(Clip.TEN_FRAMES, small.folder)
    context = FakeContext(media=tmp_path / "media", options={"roots": [str(small.folder)]})

    with small.read_only():
        result = await cutter.handle(Job("1", "q", {"filePath": str(clip)}), context)

    assert len(result.files) == 1


async def test_the_memory_of_a_tool_counts_as_its_workers(context: FakeContext) -> None:
    filled = asyncio.Event()
    code = "kept = b'x' * 80_000_000; print('full', flush=True); import time; time.sleep(30)"
    meter, own = Meter(), {"worker": os.getpid()}
    before = meter.measure(own, now=0.0)["worker"]
    call = tool.Call((sys.executable, "-c", code))
    running = asyncio.ensure_future(tool.run(call, context, lambda _line: filled.set()))
    await asyncio.wait_for(filled.wait(), 10)

    after = meter.measure(own, now=1.0)["worker"]

    context.cancelled.set()
    with pytest.raises(RefusedError):
        await running
    assert after.processes == before.processes + 1
    assert after.memory > before.memory + 80_000_000


async def test_a_tool_is_as_nice_as_its_worker(context: FakeContext) -> None:
    said: list[str] = []
    code = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"

    await tool.run(tool.Call((sys.executable, "-c", code)), context, said.append)

    assert said == [str(os.getpriority(os.PRIO_PROCESS, 0))]
