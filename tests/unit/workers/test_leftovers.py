"""Work folders that nobody works in go; those of live runs and unfinished downloads stay."""

import os
from pathlib import Path

import pytest

from workers import holdings, leftovers
from workers.hours import DAY, HOUR
from workers.media.files import locks

KEYS = tuple(digit * 64 for digit in "0123456789")


def left(media: Path, key: str, *, age: float = 0.0, part: bool = False) -> Path:
    """Put a work folder there as a killed worker leaves it."""
    folder = media / holdings.WORK / key
    (folder / "out").mkdir(parents=True)
    if part:
        (folder / "film.mp4.part").write_bytes(b"x")
    when = folder.stat().st_mtime - age
    os.utime(folder, (when, when))
    return folder


@pytest.mark.parametrize(
    ("age", "has_ended", "has_parts", "goes"),
    [
        (0.0, True, False, True),
        (0.0, True, True, True),
        (HOUR - 1, False, False, False),
        (HOUR + 1, False, False, True),
        (9 * DAY, False, True, False),
        (HOUR - 1, None, False, False),
        (HOUR + 1, None, False, True),
        (DAY - 1, None, True, False),
        (DAY + 1, None, True, True),
    ],
)
def test_a_folder_goes_when_nobody_comes_back_for_it(
    *, age: float, has_ended: bool | None, has_parts: bool, goes: bool
) -> None:
    assert leftovers.is_left(age, has_ended=has_ended, has_parts=has_parts) is goes


def test_folders_of_dead_jobs_go_and_downloads_that_go_on_stay(tmp_path: Path) -> None:
    ended = left(tmp_path, KEYS[0], part=True)
    forgotten = left(tmp_path, KEYS[1], age=HOUR + 60)
    going_on = left(tmp_path, KEYS[2], age=HOUR + 60, part=True)
    young = left(tmp_path, KEYS[3])
    folders = (ended, forgotten, going_on, young)

    assert leftovers.found(tmp_path) == {folder.name for folder in folders}
    assert leftovers.clear(tmp_path, {ended.name: True, going_on.name: False}) == 2
    assert [folder.exists() for folder in folders] == [False, False, True, True]
    assert not list((tmp_path / holdings.WORK).glob("*.lock"))


async def test_what_a_run_holds_stays_whatever_is_known_of_its_job(tmp_path: Path) -> None:
    held = left(tmp_path, KEYS[0], age=2 * DAY)
    lock = await locks.acquire(held.with_suffix(locks.SUFFIX))

    assert leftovers.clear(tmp_path, {held.name: True}) == 0
    assert held.exists()
    locks.release(lock)
    assert leftovers.clear(tmp_path, {held.name: True}) == 1
    assert not held.exists()


def test_what_is_no_work_folder_stays(tmp_path: Path) -> None:
    elsewhere = left(tmp_path / "elsewhere", KEYS[0])
    other = left(tmp_path, "other", age=2 * DAY)
    (tmp_path / holdings.WORK / KEYS[0]).symlink_to(elsewhere)

    assert leftovers.found(tmp_path) == frozenset()
    assert leftovers.clear(tmp_path, {KEYS[0]: True}) == 0
    assert elsewhere.exists()
    assert other.exists()


def test_where_no_media_job_ever_ran_there_is_nothing_to_clear(tmp_path: Path) -> None:
    assert leftovers.found(tmp_path) == frozenset()
    assert leftovers.clear(tmp_path, {}) == 0
    assert not list(tmp_path.iterdir())
