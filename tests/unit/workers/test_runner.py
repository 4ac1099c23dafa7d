"""Running one job: whatever a processor does becomes an outcome."""

import asyncio
import errno
import functools
import threading
from collections.abc import Callable

import pytest
from typing_extensions import override

from consumers.errors import HostError
from consumers.jobs import Job
from consumers.outcome import Completed, Failure, Interrupted
from tests.support.clocks import FakeClock
from tests.support.running import Desk
from workers import runner
from workers.processor import JobContext, Reject, Result, ResultFile, Retry


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


class UnutterableError(Exception):
    """One whose text nobody gets."""

    @override
    def __str__(self) -> str:
        raise LookupError


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
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (BaseException("odd"), "BaseException: odd"),
        (UnutterableError(), "UnutterableError: its text cannot be told, that raises LookupError"),
        (FileNotFoundError("clip\udcff.mp4"), "FileNotFoundError: clip\\udcff.mp4"),
    ],
    ids=repr,
)
async def test_any_other_exception_is_tried_again_and_keeps_its_traceback(
    desk: Desk, error: BaseException, words: str
) -> None:
    async def handle(job: Job, context: JobContext) -> object:
        raise error

    for failure in (await desk.failure(raising(error)), await desk.failure(handle)):
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


async def test_the_duration_is_the_clocks(desk: Desk) -> None:
    async def handle(job: Job, context: JobContext) -> None:
        desk.clock.now += 7.0

    assert await desk.run(handle) == Completed({}, 7.0)
