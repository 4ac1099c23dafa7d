"""Stage folders, publishing and redelivery: whole or not at all, and once."""

import asyncio
import os
from pathlib import Path

import pytest

from consumers.errors import HostError, RefusedError, TransientError
from tests.support.contexts import FakeContext
from workers.media.files import locks, workspace
from workers.media.files.workspace import Places
from workers.processor import Job, Result, ResultFile

JOB = Job(id="7", queue="q", data={})


class Work:
    """Some work that writes one file, or fails; it counts how often it was done."""

    def __init__(self, *, failure: BaseException | None = None) -> None:
        self.done = 0
        self.failure = failure

    async def __call__(self, places: Places) -> Result:
        self.done += 1
        path = places.out / "made.bin"
        await asyncio.to_thread(path.write_bytes, b"result")
        if self.failure is not None:
            raise self.failure
        return Result(files=(ResultFile(path=str(path), size=6),), data={"run": self.done})


@pytest.mark.invariant(14)
async def test_a_result_appears_whole_with_its_manifest_and_the_stage_is_gone(
    context: FakeContext,
) -> None:
    result = await workspace.once(JOB, context, Work())

    places = Places.of(JOB, context.media)
    assert result.files[0].path == str(places.results / "made.bin")
    assert sorted(os.listdir(places.results)) == ["made.bin", "manifest.json"]  # noqa: PTH208
    assert not places.stage.exists()


async def test_the_same_job_again_is_answered_from_the_manifest(context: FakeContext) -> None:
    work = Work()

    first = await workspace.once(JOB, context, work)
    second = await workspace.once(JOB, context, work)

    assert work.done == 1
    assert second == first


async def test_a_published_file_that_was_changed_is_made_again(context: FakeContext) -> None:
    work = Work()
    first = await workspace.once(JOB, context, work)
    await asyncio.to_thread(Path(first.files[0].path).write_bytes, b"cut")

    second = await workspace.once(JOB, context, work)

    assert work.done == 2
    assert second.data == {"run": 2}


async def test_jobs_of_two_queues_do_not_share_an_id() -> None:
    other = Job(id=JOB.id, queue="other", data={})

    assert workspace.job_key(JOB) != workspace.job_key(other)


@pytest.mark.parametrize(
    ("failure", "resumable", "kept"),
    [
        (TransientError("later"), True, True),
        (TransientError("later"), False, False),
        (RefusedError("never"), True, False),
        (asyncio.CancelledError(), True, True),
    ],
)
async def test_the_stage_outlives_only_a_failure_that_may_be_resumed(
    context: FakeContext, failure: BaseException, *, resumable: bool, kept: bool
) -> None:
    with pytest.raises(type(failure)):
        await workspace.once(JOB, context, Work(failure=failure), resumable=resumable)

    places = Places.of(JOB, context.media)
    assert places.stage.exists() is kept
    assert not places.results.exists()


async def test_a_second_run_of_the_same_job_waits_and_then_says_it_is_busy(
    tmp_path: Path,
) -> None:
    held = await locks.acquire(tmp_path / "a.lock")

    with pytest.raises(TransientError) as caught:
        await locks.acquire(tmp_path / "a.lock", patience=0.2)
    locks.release(held)
    again = await locks.acquire(tmp_path / "a.lock", patience=0.2)
    locks.release(again)

    assert caught.value.code == "busy"


async def test_abandoned_stage_folders_are_swept_and_held_ones_are_not(tmp_path: Path) -> None:
    old, held, fresh = tmp_path / "old", tmp_path / "held", tmp_path / "fresh"
    for folder in (old, held, fresh):
        folder.mkdir()
    os.utime(old, (0, 0))
    os.utime(held, (0, 0))
    lock = await locks.acquire(tmp_path / "held.lock")

    swept = workspace.sweep(tmp_path)
    locks.release(lock)

    assert swept == (old,)
    assert [path.exists() for path in (old, held, fresh)] == [False, True, True]


async def test_locks_that_killed_runs_left_are_swept_and_held_ones_are_not(tmp_path: Path) -> None:
    left, held, fresh = (tmp_path / name for name in ("left.link.lock", "held.lock", "fresh.lock"))
    for path in (left, held, fresh):
        path.touch()
    for path in (left, held):
        os.utime(path, (0, 0))
    lock = await locks.acquire(held)

    workspace.sweep(tmp_path)

    there = [path.exists() for path in (left, held, fresh)]
    locks.release(lock)
    assert there == [False, True, True]


async def test_a_full_disk_is_the_machines_fault_and_what_filled_it_goes(
    context: FakeContext,
) -> None:
    full = OSError(28, "No space left on device", "made.bin")

    with pytest.raises(HostError) as caught:
        await workspace.once(JOB, context, Work(failure=full), resumable=True)

    assert caught.value.code == "disk_full"
    assert not Places.of(JOB, context.media).stage.exists()
