"""The hostile files are as hostile as their names say, to a tool that is not on its guard."""

import subprocess
from pathlib import Path

import pytest

from tests.media import measure
from tests.support import hostile_files
from tests.support.clips import Clip
from tests.support.hostile_files import Hostile, make, named


def tail(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, timeout=30, capture_output=True, text=True)


@pytest.mark.parametrize("asked", hostile_files.NOT_MEDIA, ids=lambda asked: asked.name)
def test_what_is_not_media_cannot_be_opened(asked: Hostile, tmp_path: Path) -> None:
    assert tail(["ffprobe", str(make(asked, tmp_path))]).returncode != 0


def test_every_file_can_be_made_and_is_small(tmp_path: Path) -> None:
    sizes = [make(asked, tmp_path / "media").lstat().st_size for asked in Hostile]

    assert max(sizes) < 300_000


def test_a_playlist_in_disguise_opens_a_file_beside_its_folder(tmp_path: Path) -> None:
    for asked, form in ((Hostile.PLAYLIST, "hls"), (Hostile.CONCAT, "concat")):
        described = measure.described(make(asked, tmp_path / "media"))["format"]
        assert (described["format_name"], float(described["duration"])) == (form, 15.0)


def test_a_file_that_breaks_off_still_promises_all_of_itself(tmp_path: Path) -> None:
    path = make(Hostile.TRUNCATED, tmp_path)

    assert measure.duration(path) == 20.0
    assert measure.frames(path) < 450


def test_a_corrupt_middle_does_not_make_the_tool_fail(tmp_path: Path) -> None:
    path = make(Hostile.CORRUPT_MIDDLE, tmp_path)
    ran = tail(["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-f", "null", "-"])

    assert (ran.returncode, bool(ran.stderr)) == (0, True)


def test_a_small_file_may_hold_enormous_pictures_or_claim_hours(tmp_path: Path) -> None:
    bomb, png, hours = (
        measure.described(make(asked, tmp_path))
        for asked in (Hostile.BOMB, Hostile.HUGE_PNG, Hostile.HUNDRED_HOURS)
    )

    assert bomb["streams"][0]["width"] == hostile_files.HUGE
    assert png["streams"][0]["width"] == hostile_files.HUGE_PNG
    assert float(hours["format"]["duration"]) > hostile_files.HOURS * 3600


def test_what_is_not_a_regular_file_is_none(tmp_path: Path) -> None:
    made = [make(asked, tmp_path / "media") for asked in hostile_files.NOT_REGULAR]

    assert not any(path.is_file() for path in made)


def test_links_lead_out_of_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "media"

    for asked in hostile_files.OUTSIDE:
        path = make(asked, folder)
        assert path.is_file()
        assert not path.resolve().is_relative_to(folder.resolve())


def test_every_hostile_name_can_be_written_to_disk(tmp_path: Path) -> None:
    made = [named(name, tmp_path, Clip.ONE_FRAME) for name in hostile_files.NAMES]

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(hostile_files.NAMES)
    assert max(len(path.name.encode()) for path in made) == 255
