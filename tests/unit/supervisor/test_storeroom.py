"""The media folder is tidied once an hour, and measured only where that matters."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from supervisor import storeroom
from supervisor.core.troubles import StoreError
from supervisor.storeroom import Storeroom, Upkeep
from tests.support.clocks import FakeClock

WEEK = 7 * 86400.0
FIRST, SECOND = "1" * 64, "2" * 64  # as the folders of jobs are called


async def nothing_known(_names: Collection[str]) -> Mapping[str, bool]:
    return {}


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
    room = Storeroom(tmp_path, Upkeep(keep=WEEK), nothing_known, clock)
    first = publish(tmp_path, FIRST, age=WEEK + 60)

    await room.look()
    assert not first.exists()
    second = publish(tmp_path, SECOND, age=WEEK + 60)
    await room.look()
    assert second.exists()
    clock.advance(storeroom.TIDIED)
    await room.look()

    assert not second.exists()
    assert room.used() is None


async def test_what_results_take_is_known_where_there_is_a_quota(tmp_path: Path) -> None:
    room = Storeroom(tmp_path, Upkeep(quota=10), nothing_known, FakeClock())
    publish(tmp_path, FIRST, age=0)

    await room.look()

    assert room.used() == 2


async def test_without_either_nothing_is_touched(tmp_path: Path) -> None:
    room = Storeroom(tmp_path, Upkeep(), nothing_known, FakeClock())
    old = publish(tmp_path, FIRST, age=100 * WEEK)

    await room.look()

    assert old.exists()


async def test_a_folder_that_cannot_be_tidied_is_told_of_and_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "work").touch()
    clock = FakeClock()
    room = Storeroom(tmp_path, Upkeep(keep=WEEK), nothing_known, clock)

    await room.look()
    (tmp_path / "work").unlink()
    old = publish(tmp_path, FIRST, age=WEEK + 60)
    clock.advance(storeroom.TIDIED)
    await room.look()

    assert not old.exists()


async def test_work_folders_of_jobs_that_have_ended_go_at_the_start(tmp_path: Path) -> None:
    for key in (FIRST, SECOND):
        (tmp_path / "work" / key).mkdir(parents=True)
    asked: list[Collection[str]] = []

    async def ends(names: Collection[str]) -> Mapping[str, bool]:
        asked.append(names)
        return {FIRST: True, SECOND: False}

    await Storeroom(tmp_path, Upkeep(), ends, FakeClock()).look()

    assert asked == [{FIRST, SECOND}]
    assert [path.name for path in (tmp_path / "work").iterdir() if path.is_dir()] == [SECOND]


async def test_without_the_ledger_work_folders_stay_until_it_answers(tmp_path: Path) -> None:
    (tmp_path / "work" / FIRST).mkdir(parents=True)
    clock = FakeClock()
    answers: list[Mapping[str, bool]] = []

    async def ends(_names: Collection[str]) -> Mapping[str, bool]:
        if not answers:
            raise StoreError("the ledger cannot be read")
        return answers[0]

    room = Storeroom(tmp_path, Upkeep(), ends, clock)
    await room.look()
    assert (tmp_path / "work" / FIRST).exists()
    answers.append({FIRST: True})
    clock.advance(storeroom.TIDIED)
    await room.look()

    assert not (tmp_path / "work" / FIRST).exists()
