"""Running one job: the processor is called, whatever it does becomes an outcome."""

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.errors import HostError, RefusedError, TransientError, WorkError
from consumers.jobs import Job
from consumers.outcome import Cancelled, Completed, Failed, Failure, Interrupted, Outcome
from workers.context import RunContext, Surroundings
from workers.expectations import misspelled
from workers.faults import of_machine
from workers.processor import Handle, Result, Returned
from workers.registry import Processor

TRACEBACK_LIMIT = 8000  # characters kept, the end of it
RESULT_LIMIT = 16_000_000  # bytes of a result as JSON; what is larger does not fit the pipe

# How a run ended: its result, its own failure, or what the machine did to it.
Ended = Mapping[str, object] | Failure | HostError

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a plain function raised in its thread."""

    error: BaseException


class Runner:
    """Calls the processor for each job; knows which jobs run and can flag them cancelled."""

    def __init__(self, processor: Processor, surroundings: Surroundings, clock: Clock) -> None:
        self._processor = processor
        self._surroundings = surroundings
        self._clock = clock
        self._contexts: dict[tuple[str, str], RunContext] = {}  # by queue and id

    @property
    def running(self) -> int:
        """Return how many jobs run now."""
        return len(self._contexts)

    def cancel(self, queue: str, job_id: str) -> None:
        """Set the cancel flag of a running job; one that does not run is ignored."""
        if (queue, job_id) in self._contexts:
            self._contexts[queue, job_id].cancelled.set()

    async def run(self, job: Job) -> Outcome:
        """Return what became of the job; raises only when the worker itself is being stopped."""
        started = self._clock.monotonic()
        deadline = started + self._surroundings.timeout
        loop = asyncio.get_running_loop()
        context = RunContext(job, self._surroundings, deadline, loop)
        self._contexts[job.queue, job.id] = context
        try:
            ended = await self._attempt(job, context)
        finally:
            del self._contexts[job.queue, job.id]
            context.close()
        duration = self._clock.monotonic() - started
        if not isinstance(ended, Failure | HostError):
            return Completed(self._remarked(ended, job), duration)
        if context.cancelled.is_set():
            return Cancelled(duration)
        if isinstance(ended, HostError):
            return Interrupted(_failure(ended), duration)
        return Failed(ended, duration)

    def _remarked(self, result: Mapping[str, object], job: Job) -> Mapping[str, object]:
        """Add to a result what its job seems to have meant and did not say."""
        request = self._processor.request
        remarks = misspelled(request, job.data) if request else ()
        said = result.get("warnings", ())
        told = [*said, *remarks] if isinstance(said, list | tuple) else said
        return {**result, "warnings": told} if remarks else result

    async def _attempt(self, job: Job, context: RunContext) -> Ended:
        try:
            return _judge(await self._call(job, context))
        except WorkError as error:
            return error if isinstance(error, HostError) else _failure(error)
        except asyncio.CancelledError as error:
            if _is_being_stopped():
                raise
            return _unexpected(error)  # something inside the processor was cancelled
        # A processor is anybody's code: whatever it raises is the job's failure, never ours.
        except (Exception, SystemExit) as error:
            fault = of_machine(error)
            if fault is None:
                log.exception("processor raised", job=job.id, queue=job.queue)
            return fault or _unexpected(error)

    async def _call(self, job: Job, context: RunContext) -> Returned:
        handle = self._processor.handle
        if inspect.iscoroutinefunction(handle):
            return await _awaited(handle(job, context))
        returned = await asyncio.to_thread(_in_thread, handle, job, context)
        if isinstance(returned, _Raised):
            raise returned.error
        return await _awaited(returned) if inspect.isawaitable(returned) else returned


def _in_thread(
    handle: Handle, job: Job, context: RunContext
) -> Awaitable[Returned] | Returned | _Raised:
    try:
        return handle(job, context)
    # Raised again by the caller: asyncio would carry a TimeoutError out of the thread without its
    # traceback, and a StopIteration not at all, so that the job would never end.
    except BaseException as error:  # noqa: BLE001
        return _Raised(error)


async def _awaited(returned: Awaitable[Returned]) -> Returned:
    return await returned


def _is_being_stopped() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _judge(returned: Returned) -> Ended:
    """Return the result as JSON-able values, or the failure it reports (``success: false``)."""
    match returned:
        case None:
            return {}
        case Result():
            return _as_json(returned)
        case {"success": False}:
            said = str(returned.get("error") or "the processor reported success: false")
            return Failure(_sayable(said), code="unsuccessful", permanent=True)
        case Mapping():
            return _as_json({"data": returned})
    kind = type(returned).__name__
    return _bad_result(f"returned a {kind}; it must be a Result, a dict or None")


def _as_json(result: object) -> Ended:
    try:
        body = msgspec.json.encode(result)
    except (TypeError, ValueError, RecursionError) as error:
        return _bad_result(f"returned what JSON cannot say: {error}")
    if len(body) > RESULT_LIMIT:
        said = f"returned {len(body):,} bytes, the limit is {RESULT_LIMIT:,}; put them in a file"
        return _bad_result(said)
    decoded: Mapping[str, object] = msgspec.json.decode(body)
    return decoded


def _bad_result(why: str) -> Failure:
    return Failure(_sayable(f"the processor {why}"), code="bad_result", permanent=True)


def _failure(error: WorkError) -> Failure:
    transient = error if isinstance(error, TransientError) else None
    return Failure(
        _sayable(error.message),
        code=error.code,
        hint=_sayable(error.hint),
        permanent=isinstance(error, RefusedError),
        after=transient.after if transient else None,
        counts=transient.counts if transient else True,
    )


def _unexpected(error: BaseException) -> Failure:
    told = str(logs.mask("".join(traceback.format_exception(error))))[-TRACEBACK_LIMIT:]
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failure(_sayable(words), code="exception", traceback=_sayable(told))


def _sayable(text: str) -> str:
    """Return a text that may be shown and fits a message.

    It has no password, is not endless, and has no half characters of file names.
    """
    shown = str(logs.mask(text))  # before it is cut: half an address would not be known as one
    return shown[:TRACEBACK_LIMIT].encode(errors="backslashreplace").decode()
