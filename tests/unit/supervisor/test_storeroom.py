"""The media folder is tidied once an hour, and measured only where that matters."""

import os
from pathlib import Path

import pytest

from supervisor import storeroom
from supervisor.storeroom import Storeroom, Upkeep
from tests.support.clocks import FakeClock

WEEK = 7 * 86400.0


def publish(media: Path, key: str, *, age: float) -> Path:
    folder = media / "results" / key
    folder.mkdir(parents=True)
    manifest = folder / "manifest.json"
    manifest.write_text("{}")
    when = manifest.stat().st_mtime - age
    os.utime(manifest, (when, when))
    return folder


async def test_old_results_go_at_the_start_and_then_once_an_hour(tmp_path: Path) -> None:
    clock = FakeClock()
    room = Storeroom(tmp_path, Upkeep(keep=WEEK), clock)
    first = publish(tmp_path, "first", age=WEEK + 60)

    await room.look()
    assert not first.exists()
    second = publish(tmp_path, "second", age=WEEK + 60)
    await room.look()
    assert second.exists()
    clock.advance(storeroom.TIDIED)
    await room.look()

    assert not second.exists()
    assert room.used() is None


async def test_what_results_take_is_known_where_there_is_a_quota(tmp_path: Path) -> None:
    room = Storeroom(tmp_path, Upkeep(quota=10), FakeClock())
    publish(tmp_path, "first", age=0)

    await room.look()

    assert room.used() == 2


async def test_without_either_nothing_is_touched(tmp_path: Path) -> None:
    room = Storeroom(tmp_path, Upkeep(), FakeClock())
    old = publish(tmp_path, "old", age=100 * WEEK)

    await room.look()

    assert old.exists()


async def test_a_folder_that_cannot_be_tidied_is_told_of_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "work").touch()
    clock = FakeClock()
    room = Storeroom(tmp_path, Upkeep(keep=WEEK), clock)

    await room.look()
    (tmp_path / "work").unlink()
    old = publish(tmp_path, "old", age=WEEK + 60)
    clock.advance(storeroom.TIDIED)
    await room.look()

    assert not old.exists()
