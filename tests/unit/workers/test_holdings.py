"""Old results go, unless a running job reads them; what several of them share counts once."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from workers import holdings
from workers.holdings import MANIFEST, RESULTS, WORK, Removed, note_source, tidy, used

DAY = 86400.0
OLD, YOUNG = "0d" * 32, "5a" * 32


def result(media: Path, key: str, *, age: float, size: int = 1000) -> Path:
    """Put a published result into the media folder; return its film."""
    folder = media / RESULTS / key
    folder.mkdir(parents=True)
    film = folder / "film.mp4"
    film.write_bytes(b"x" * size)
    manifest = folder / MANIFEST
    manifest.write_text("{}")
    when = manifest.stat().st_mtime - age
    os.utime(manifest, (when, when))
    return film


def stage(media: Path, key: str) -> Path:
    folder = media / WORK / key
    folder.mkdir(parents=True)
    return folder


def test_results_go_when_they_are_old_enough(tmp_path: Path) -> None:
    old = result(tmp_path, OLD, age=8 * DAY)
    young = result(tmp_path, YOUNG, age=6 * DAY)

    removed = tidy(tmp_path, keep=7 * DAY)

    assert removed == Removed(results=1, size=1002)
    assert (old.parent.exists(), young.exists()) == (False, True)
    assert tidy(tmp_path, keep=7 * DAY) == Removed()


def test_what_a_running_job_reads_stays_until_the_job_is_over(tmp_path: Path) -> None:
    film = result(tmp_path, OLD, age=8 * DAY)
    place = stage(tmp_path, "job")
    assert note_source(tmp_path, place, film.resolve())

    assert tidy(tmp_path, keep=7 * DAY) == Removed()
    (place / holdings.SOURCE).unlink()
    assert tidy(tmp_path, keep=7 * DAY).results == 1


def test_who_comes_too_late_to_read_is_told(tmp_path: Path) -> None:
    film = result(tmp_path, OLD, age=8 * DAY)
    place = stage(tmp_path, "job")
    tidy(tmp_path, keep=7 * DAY)

    assert not note_source(tmp_path, place, film)


def test_a_reader_waits_for_the_tidying_that_has_begun(tmp_path: Path) -> None:
    film, place = result(tmp_path, OLD, age=8 * DAY), stage(tmp_path, "job")
    answers: list[bool] = []
    with holdings._locked(tmp_path / WORK, fcntl.LOCK_EX):
        reader = threading.Thread(target=lambda: answers.append(note_source(tmp_path, place, film)))
        reader.start()
        film.unlink()
        assert answers == []
    reader.join(10)

    assert answers == [False]


def test_an_interrupted_tidying_is_finished_by_the_next(tmp_path: Path) -> None:
    film = result(tmp_path, OLD, age=8 * DAY)
    (tmp_path / WORK).mkdir()
    film.parent.rename(tmp_path / WORK / f"{holdings.GONE}{OLD}")

    assert tidy(tmp_path, keep=7 * DAY).results == 1
    assert [path.name for path in (tmp_path / WORK).iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("has_folder", [True, False])
def test_an_empty_media_folder_needs_no_tidying(tmp_path: Path, *, has_folder: bool) -> None:
    media = tmp_path if has_folder else tmp_path / "none"

    assert (tidy(media, keep=1.0), used(media)) == (Removed(), 0)


def test_files_that_results_share_count_once(tmp_path: Path) -> None:
    film = result(tmp_path, "first", age=0)
    other = result(tmp_path, "second", age=0, size=10)
    other.with_name("shared.mp4").hardlink_to(film)

    assert used(tmp_path) == 1000 + 10 + 2 + 2


def test_what_is_no_result_of_ours_stays(tmp_path: Path) -> None:
    film = result(tmp_path, "own", age=8 * DAY)
    unfinished = tmp_path / RESULTS / OLD
    unfinished.mkdir()
    (unfinished / "own.txt").write_text("dear")
    elsewhere = result(tmp_path / "elsewhere", OLD, age=8 * DAY)
    for name in ("link", YOUNG):
        (tmp_path / RESULTS / name).symlink_to(elsewhere.parent)
    for folder in (film.parent, unfinished):
        os.utime(folder, (0, 0))

    assert tidy(tmp_path, keep=7 * DAY) == Removed()
    kept = (film, unfinished / "own.txt", elsewhere, tmp_path / RESULTS / YOUNG)
    assert all(path.exists() for path in kept)
    assert not list((tmp_path / WORK).glob(f"{holdings.GONE}*"))


def test_a_link_among_what_left_goes_without_what_it_points_to(tmp_path: Path) -> None:
    elsewhere = result(tmp_path / "elsewhere", OLD, age=8 * DAY)
    (tmp_path / RESULTS).mkdir()
    place = stage(tmp_path, f"{holdings.GONE}link")
    place.rmdir()
    place.symlink_to(elsewhere.parent)

    assert tidy(tmp_path, keep=7 * DAY) == Removed()
    assert (place.is_symlink(), elsewhere.exists()) == (False, True)
