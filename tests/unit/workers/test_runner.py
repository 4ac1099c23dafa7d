"""Running one job: whatever a processor does becomes an outcome."""

import asyncio
import errno
import functools
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from consumers.errors import HostError
from consumers.jobs import Job
from consumers.outcome import Cancelled, Completed, Failure, Interrupted
from tests.support.clocks import WITHIN, FakeClock, settle
from tests.support.running import JOB, Desk
from workers import runner
from workers.messages import Cancel
from workers.processor import JobContext, Reject, Result, ResultFile, Retry
from workers.runner import FOREWARNED_FOR, Runner


def nested(levels: int) -> dict[str, object]:
    """Return objects in each other."""
    inner: dict[str, object] = {}
    for _ in range(levels):
        inner = {"in": inner}
    return inner


@pytest.fixture
def desk() -> Desk:
    return Desk(FakeClock())


def returning(value: object) -> Callable[[Job, JobContext], object]:
    return lambda _job, _context: value


def raising(error: BaseException) -> Callable[[Job, JobContext], object]:
    def handle(job: Job, context: JobContext) -> object:
        raise error

    return handle


async def test_a_plain_function_runs_in_a_thread(desk: Desk) -> None:
    def handle(job: Job, context: JobContext) -> dict[str, object]:
        return {"thread": threading.get_ident()}

    result = await desk.result(handle)

    assert result != {"data": {"thread": threading.get_ident()}}


async def test_a_coroutine_function_runs_on_the_loop(desk: Desk) -> None:
    async def handle(job: Job, context: JobContext) -> dict[str, object]:
        return {"thread": threading.get_ident()}

    assert await desk.result(handle) == {"data": {"thread": threading.get_ident()}}


async def test_a_function_that_returns_a_coroutine_is_awaited(desk: Desk) -> None:
    async def work(job: Job, context: JobContext, *, answer: int) -> dict[str, object]:
        return {"answer": answer}

    def handle(job: Job, context: JobContext) -> object:
        return functools.partial(work, answer=42)(job, context)

    assert await desk.result(handle) == {"data": {"answer": 42}}


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


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        (None, {}),
        (Result(), {}),
        (Result(files=(ResultFile("/a", 1),)), {"files": [{"path": "/a", "size": 1}]}),
        (Result(data={"n": 1}, warnings=("w",)), {"data": {"n": 1}, "warnings": ["w"]}),
        ({"n": (1, 2)}, {"data": {"n": [1, 2]}}),
        ({}, {"data": {}}),
        ({"success": True, "data": 1}, {"data": {"success": True, "data": 1}}),
    ],
    ids=repr,
)
async def test_what_a_processor_returns_becomes_the_result(
    desk: Desk, returned: object, result: object
) -> None:
    assert await desk.result(returning(returned)) == result


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (7, "the processor returned a int; it must be a Result, a dict or None"),
        (["/a"], "the processor returned a list; it must be a Result, a dict or None"),
        ({"at": object()}, "the processor returned what JSON cannot say"),
        ({("a", "b"): 1}, "the processor returned what JSON cannot say"),
        (nested(250), "the processor returned what is nested too deeply"),
        (nested(990), "the processor returned what"),  # by whichever limit is met first
        (Result(data={"name": "\udc80"}), "the processor returned what JSON cannot say"),
    ],
    ids=["number", "list", "object", "key", "deep", "too deep", "half a character"],
)
async def test_a_result_nobody_can_read_is_a_permanent_failure(
    desk: Desk, returned: object, said: str
) -> None:
    failure = await desk.failure(returning(returned))

    assert failure.message.startswith(said)
    assert (failure.code, failure.permanent) == ("bad_result", True)


async def test_a_result_too_large_for_the_pipe_is_a_permanent_failure(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "RESULT_LIMIT", 100)

    failure = await desk.failure(returning({"text": "x" * 101}))

    assert failure.message.startswith("the processor returned 121 bytes, the limit is 100")
    assert failure.permanent


async def test_success_false_is_a_permanent_failure_in_the_processors_words(desk: Desk) -> None:
    told = await desk.failure(returning({"success": False, "error": "quota used up"}))
    silent = await desk.failure(returning({"success": False}))
    packed = await desk.failure(returning(Result(data={"success": False, "error": "no quota"})))

    assert packed.message == "no quota"
    assert told == Failure("quota used up", code="unsuccessful", permanent=True)
    assert silent.message == "the processor reported success: false"


async def test_reject_is_never_tried_again(desk: Desk) -> None:
    failure = await desk.failure(raising(Reject("no such user", code="gone", hint="sign up")))

    assert failure == Failure("no such user", code="gone", hint="sign up", permanent=True)


async def test_retry_is_tried_again_after_the_delay_it_asks_for(desk: Desk) -> None:
    failure = await desk.failure(raising(Retry("busy", after=90.0)))

    assert failure == Failure("busy", after=90.0)


async def test_retry_may_ask_not_to_be_counted(desk: Desk) -> None:
    failure = await desk.failure(raising(Retry("not now", after=90.0, counts=False)))

    assert failure == Failure("not now", after=90.0, counts=False)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no luck"), "ValueError: no luck"),
        (KeyError("x"), "KeyError: 'x'"),
        (TimeoutError(), "TimeoutError"),
        (SystemExit(3), "SystemExit: 3"),
        (FileNotFoundError("clip\udcff.mp4"), "FileNotFoundError: clip\\udcff.mp4"),
    ],
    ids=repr,
)
async def test_any_other_exception_is_tried_again_and_keeps_its_traceback(
    desk: Desk, error: BaseException, words: str
) -> None:
    failure = await desk.failure(raising(error))

    assert (failure.message, failure.code, failure.permanent) == (words, "exception", False)
    assert "Traceback" in failure.traceback
    assert "in handle" in failure.traceback


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HostError("the card reader is unplugged", code="no_reader"), "no_reader"),
        (OSError(errno.ENOSPC, "No space left on device", "/out/x"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OSError(errno.EROFS, "Read-only file system"), "read_only"),
    ],
)
async def test_a_fault_of_the_machine_interrupts_a_job(
    desk: Desk, error: Exception, code: str
) -> None:
    outcome = await desk.run(raising(error))

    assert isinstance(outcome, Interrupted)
    assert outcome.failure.code == code


async def test_a_full_disk_that_was_wrapped_is_a_full_disk(desk: Desk) -> None:
    full = raising(OSError(errno.ENOSPC, "No space left on device"))

    def handle(job: Job, context: JobContext) -> None:
        try:
            full(job, context)
        except OSError as error:
            message = "could not save"
            raise RuntimeError(message) from error

    assert isinstance(await desk.run(handle), Interrupted)


async def test_a_file_the_job_may_not_read_is_the_jobs_failure(desk: Desk) -> None:
    failure = await desk.failure(raising(PermissionError(errno.EACCES, "denied", "/etc/shadow")))

    assert failure.code == "exception"


async def test_a_scratch_folder_that_cannot_be_made_is_the_machines_fault(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")

    outcome = await desk.run(lambda _job, context: str(context.folder))

    assert isinstance(outcome, Interrupted)
    assert outcome.failure.code == "no_scratch"


async def test_an_exception_without_end_is_cut(desk: Desk) -> None:
    failure = await desk.failure(raising(ValueError("x" * 1_000_000)))

    assert len(failure.message) == len(failure.traceback) == runner.TRACEBACK_LIMIT


async def test_a_forgotten_next_ends_the_job_and_not_the_waiting(desk: Desk) -> None:
    failure = await desk.failure(lambda _job, _context: next(iter(())))

    assert failure.message == "RuntimeError: coroutine raised StopIteration"


async def test_a_cancellation_inside_the_processor_is_the_jobs_failure(desk: Desk) -> None:
    async def handle(job: Job, context: JobContext) -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    failure = await desk.failure(handle)

    assert failure.message == "CancelledError"


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
    runs = desk.runner(returning(None))
    runs.cancel(Cancel(JOB.queue, JOB.id, grace=10.0))
    match stale:
        case "used":
            assert await runs.run(JOB) == Cancelled(0.0)  # it had yet to begin
        case "of an older copy":
            assert isinstance(await runs.run(msgspec.structs.replace(JOB, seq=1)), Completed)
        case _:
            desk.clock.now += 10.0 + FOREWARNED_FOR

    assert await runs.run(JOB) == Completed({}, 0.0)


async def test_the_duration_is_the_clocks(desk: Desk) -> None:
    async def handle(job: Job, context: JobContext) -> None:
        desk.clock.now += 7.0

    assert await desk.run(handle) == Completed({}, 7.0)


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
