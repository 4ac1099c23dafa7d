"""Stopping a run: with its worker, or because nobody wants its job any more."""

import asyncio
import gc

import msgspec
import pytest

from consumers.jobs import Job
from consumers.outcome import Cancelled, Completed
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.running import JOB, Desk
from workers.messages import Cancel
from workers.processor import JobContext, Reject
from workers.runner import FOREWARNED_FOR, Runner


@pytest.fixture
def desk() -> Desk:
    return Desk(FakeClock())


def nothing(job: Job, context: JobContext) -> None:
    """Do what a processor does that has nothing to do."""


async def test_a_worker_that_is_stopped_takes_its_job_with_it(desk: Desk) -> None:
    async def handle(job: Job, context: JobContext) -> None:
        await asyncio.Event().wait()

    runs = desk.runner(handle)
    task = asyncio.ensure_future(runs.run(JOB))
    await settle()
    assert runs.running == 1

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert runs.running == 0


async def test_a_job_that_gives_up_after_its_cancel_flag_is_cancelled(desk: Desk) -> None:
    def handle(job: Job, context: JobContext) -> None:
        assert context.cancelled.wait(WITHIN)
        raise Reject("stopped")

    runs = desk.runner(handle)
    task = asyncio.ensure_future(runs.run(JOB))
    await settle()
    runs.cancel(Cancel("download_queue", "another"))
    runs.cancel(Cancel("another_queue", "job-1"))
    runs.cancel(Cancel("download_queue", "job-1"))

    assert await asyncio.wait_for(task, WITHIN) == Cancelled(0.0)


async def test_two_jobs_of_one_id_from_two_queues_run_side_by_side(desk: Desk) -> None:
    """One was moved to the pool of the other; an id is unique in its queue only."""
    ends = asyncio.Event()

    async def handle(job: Job, context: JobContext) -> None:
        await ends.wait()
        if context.cancelled.is_set():
            raise Reject("stopped")

    runs = desk.runner(handle)
    moved = msgspec.structs.replace(JOB, queue="another_queue")
    both = [asyncio.ensure_future(runs.run(job)) for job in (JOB, moved)]
    await settle()
    running = runs.running
    runs.cancel(Cancel(moved.queue, moved.id))
    ends.set()

    outcomes = await asyncio.wait_for(asyncio.gather(*both), WITHIN)
    assert running == 2
    assert outcomes == [Completed({}, 0.0), Cancelled(0.0)]


async def test_a_job_that_was_done_before_it_saw_the_flag_is_completed(desk: Desk) -> None:
    runs: list[Runner] = []

    async def handle(job: Job, context: JobContext) -> None:
        runs[0].cancel(Cancel(job.queue, job.id))

    runs.append(desk.runner(handle))

    assert isinstance(await runs[0].run(JOB), Completed)


@pytest.mark.parametrize("stale", ["used", "of an older copy", "too old"])
async def test_a_cancellation_is_for_one_job_alone(desk: Desk, stale: str) -> None:
    """Another job of the same id, which was erased meanwhile, may run."""
    runs = desk.runner(nothing)
    runs.cancel(Cancel(JOB.queue, JOB.id, grace=10.0))
    match stale:
        case "used":
            assert await runs.run(JOB) == Cancelled(0.0)  # it had yet to begin
        case "of an older copy":
            assert isinstance(await runs.run(msgspec.structs.replace(JOB, seq=1)), Completed)
        case _:
            desk.clock.now += 10.0 + FOREWARNED_FOR

    assert await runs.run(JOB) == Completed({}, 0.0)


async def test_what_is_stopped_before_its_first_step_is_no_coroutine_never_awaited() -> None:
    async def handle(job: Job, context: JobContext) -> None:
        await asyncio.Event().wait()

    runs = Desk(FakeClock()).runner(handle)
    task = asyncio.ensure_future(runs.run(JOB))
    await asyncio.sleep(0)  # the run has begun, what it awaits has not
    assert runs.running == 1

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    gc.collect()  # Python complains of such a coroutine as it goes, and pytest of the complaint
