"""What the media processors ask of a machine, and what they say when it is not there."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consumers.errors import HostError
from tests.support.contexts import FakeContext
from tests.support.disks import SmallDisk, small_disk
from workers import cutter, download, preview
from workers.media import readiness


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    """A file system of a few megabytes."""
    with small_disk(tmp_path / "small", megabytes=3) as disk:
        yield disk


def code(context: FakeContext) -> str:
    with pytest.raises(HostError) as caught:
        readiness.examine(context)
    return caught.value.code


def test_all_three_ask_the_same() -> None:
    checks: list[Callable[..., None]] = [download.check_host, cutter.check_host, preview.check_host]

    assert set(checks) == {readiness.examine}


def test_a_machine_that_has_it_all_is_well_and_nothing_is_left_behind(tmp_path: Path) -> None:
    context = FakeContext(media=tmp_path / "new" / "media")

    readiness.examine(context)

    assert list(context.media.iterdir()) == []


def test_a_full_disk_is_found_and_so_is_its_end(small: SmallDisk) -> None:
    context = FakeContext(media=small.folder)
    small.fill()

    assert code(context) == "disk_full"
    small.free()
    readiness.examine(context)


def test_a_read_only_mount_is_found(small: SmallDisk) -> None:
    with small.read_only():
        assert code(FakeContext(media=small.folder)) == "media_unwritable"


def test_a_file_in_place_of_the_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "media").touch()

    assert code(FakeContext(media=tmp_path / "media")) == "media_unwritable"


def test_missing_programs_are_found_and_so_is_their_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.media.tools.binaries._packaged", lambda: iter(()))
    programs = {name: shutil.which(name) for name in ("ffmpeg", "ffprobe")}
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    context = FakeContext(media=tmp_path / "media")

    assert code(context) == "ffmpeg_missing"
    for name, program in programs.items():
        (folder / name).symlink_to(str(program))
    readiness.examine(context)


def test_options_that_cannot_be_read_are_found_before_any_job(tmp_path: Path) -> None:
    context = FakeContext(media=tmp_path, options={"max_items": "many"})

    assert code(context) == "bad_options"
