"""Each media processor on a disk with hardly any room: the machine's fault, and nothing is left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.errors import HostError
from tests.media.conftest import Clips
from tests.support.contexts import FakeContext
from tests.support.disks import FILLER, small_disk
from tests.support.media_server import Answer, MediaServer
from workers import cutter, download, preview
from workers.processor import Handle, Job

ROOM = 32 * 1024  # bytes left: enough for folders, too little for any result


NOTES = 500  # bytes that may be left: what is remembered of a site, when work folders were swept


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[FakeContext]:
    """A context whose media folder has hardly any room."""
    with small_disk(tmp_path / "small", megabytes=3) as disk:
        disk.fill()
        filler = disk.folder / FILLER
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - ROOM)
        yield FakeContext(
            media=disk.folder, options={"allow": ["127.0.0.0/8"], "roots": [str(tmp_path.anchor)]}
        )


@pytest.mark.parametrize(
    ("handle", "data"),
    [
        (download.handle, {"link": "served"}),
        (cutter.handle, {"filePath": "clip", "segmentTime": 60}),
        (cutter.handle, {"filePath": "clip", "segmentTime": 1.0}),
        (preview.handle, {"filePath": "clip"}),
    ],
    ids=["download", "cut", "encode", "preview"],
)
async def test_a_job_that_runs_out_of_room_says_so_and_gives_back_what_it_took(
    handle: Handle, data: dict[str, object], cramped: FakeContext, clips: Clips, site: MediaServer
) -> None:
    film = clips.closed_gop
    served = site.serve("/clip.mp4", Answer(film.read_bytes(), kind="video/mp4"))
    named = {"served": served, "clip": str(film)}
    job = Job("1", "q", {name: named.get(str(value), value) for name, value in data.items()})

    with pytest.raises(HostError) as caught:
        await handle(job, cramped)  # type: ignore[misc] # all of ours are coroutine functions

    assert caught.value.code == "disk_full", caught.value.message
    left = [path for path in cramped.media.rglob("*") if path.is_file() and path.name != FILLER]
    assert sum(path.stat().st_size for path in left) < NOTES, left
