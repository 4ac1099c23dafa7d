"""Stopping a run at its very beginning: what was made for it is not left lying."""

import asyncio
import gc

import pytest

from consumers.jobs import Job
from tests.support.clocks import FakeClock
from tests.support.running import JOB, Desk
from workers.processor import JobContext


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
