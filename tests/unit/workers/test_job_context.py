"""What a job has around it: its folder, and ways to say how far it is and what it does."""

import tempfile
from pathlib import Path

import pytest

from consumers.jobs import Job
from consumers.outcome import Completed, Interrupted
from tests.support.clocks import FakeClock, settle
from tests.support.running import Desk
from workers.processor import JobContext


@pytest.fixture
def desk() -> Desk:
    return Desk(FakeClock())


async def test_the_processor_gets_the_job_and_its_surroundings(desk: Desk) -> None:
    def handle(job: Job, context: JobContext) -> dict[str, object]:
        return {
            "job": job.id,
            "media": str(context.media),
            "options": context.options,
            "left": context.deadline - desk.clock.now,
        }

    said = {"job": "job-1", "media": "/media", "options": {"quality": "low"}, "left": 60.0}
    assert await desk.result(handle) == {"data": said}


async def test_progress_is_thinned_but_its_beginning_and_end_are_told(desk: Desk) -> None:
    def handle(job: Job, context: JobContext) -> None:
        for percent in range(-1, 102):
            context.progress(percent, "cutting")

    await desk.run(handle)
    await settle()

    assert desk.progress == [(0.0, "cutting"), (100.0, "cutting"), (100.0, "cutting")]


async def test_every_line_a_job_logs_is_kept(desk: Desk) -> None:
    def handle(job: Job, context: JobContext) -> None:
        context.log("one")
        context.log("two")

    await desk.run(handle)
    await settle()

    assert desk.lines == ["one", "two"]


async def test_a_job_that_logs_without_end_fills_no_ledger(desk: Desk) -> None:
    def handle(job: Job, context: JobContext) -> None:
        for number in range(5_000):
            context.log(str(number))

    await desk.run(handle)
    await settle()

    assert desk.lines[:-1] == [str(number) for number in range(999)]
    assert desk.lines[-1] == "999\n(a run may log 1,000 lines: the rest is not kept)"


@pytest.mark.parametrize("error", [None, ValueError("broken")], ids=["success", "failure"])
async def test_the_scratch_folder_is_one_a_run_and_removed_after_it(
    desk: Desk, error: Exception | None
) -> None:
    folders: list[Path] = []

    def handle(job: Job, context: JobContext) -> None:
        folders.extend([context.folder, context.folder])
        (context.folder / "scratch").write_text("x")
        if error is not None:
            raise error

    await desk.run(handle)

    assert folders[0] == folders[1]
    assert not folders[0].exists()


async def test_the_scratch_folder_of_an_odd_job_id_is_a_folder_all_the_same(desk: Desk) -> None:
    def handle(job: Job, context: JobContext) -> dict[str, object]:
        return {"is_folder": context.folder.is_dir()}

    outcome = await desk.runner(handle).run(Job("../a/b\0", "q", {}))

    assert isinstance(outcome, Completed)
    assert outcome.result == {"data": {"is_folder": True}}


async def test_a_scratch_folder_that_cannot_be_made_is_the_machines_fault(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")

    outcome = await desk.run(lambda _job, context: str(context.folder))

    assert isinstance(outcome, Interrupted)
    assert outcome.failure.code == "no_scratch"
