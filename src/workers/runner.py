"""Running one job: the processor is called, whatever it does becomes an outcome."""

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.errors import HostError, RefusedError, TransientError, WorkError
from consumers.jobs import TOO_DEEP, Job, is_too_deep
from consumers.outcome import Cancelled, Completed, Failed, Failure, Interrupted, Outcome
from workers.context import RunContext, Surroundings
from workers.expectations import misspelled
from workers.faults import of_machine
from workers.messages import Cancel
from workers.processor import Handle, Result, Returned
from workers.registry import Processor

TRACEBACK_LIMIT = 8000  # characters kept, the end of it
RESULT_LIMIT = 16_000_000  # bytes of a result as JSON; what is larger does not fit the pipe

FOREWARNED_FOR = 10.0  # seconds beyond its grace that a cancelled job is remembered, to begin yet

# How a run ended: its result, its own failure, or what the machine did to it.
Ended = Mapping[str, object] | Failure | HostError

T = TypeVar("T")

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a processor raised, to be raised again where it can be caught."""

    error: BaseException


class Cast(Protocol):
    """Knows who does which job: a processor alone, or the repertoire of a pool."""

    def cast(self, job: Job) -> tuple[Processor, Job]:
        """Return who does a job, and the job as they see it. Raises MalformedError."""


class Runner:
    """Calls the processor for each job; knows which jobs run and can flag them cancelled."""

    def __init__(self, processors: Cast, surroundings: Surroundings, clock: Clock) -> None:
        self._processors = processors
        self._surroundings = surroundings
        self._clock = clock
        self._contexts: dict[tuple[str, str], RunContext] = {}  # by queue and id
        self._forewarned: dict[tuple[str, str], tuple[Cancel, float]] = {}  # and until when

    @property
    def running(self) -> int:
        """Return how many jobs run now."""
        return len(self._contexts)

    def cancel(self, order: Cancel) -> None:
        """Set the cancel flag of a job that runs, or was granted to us and has yet to begin."""
        context = self._contexts.get((order.queue_name, order.job_id))
        if context is None:
            self._forewarn(order)
            return
        context.cancelled.set()
        if order.grace:
            asyncio.get_running_loop().call_later(order.grace, context.break_off)

    def _forewarn(self, order: Cancel) -> None:
        now = self._clock.monotonic()
        self._forewarned = {key: one for key, one in self._forewarned.items() if one[1] > now}
        until = now + order.grace + FOREWARNED_FOR
        self._forewarned[order.queue_name, order.job_id] = order, until

    def _is_forewarned(self, job: Job) -> bool:
        """Answer whether a job was cancelled before it began; a later copy of it may run.

        An order is for one run alone, and soon: whoever gave it ends the process otherwise. What
        comes later under that id may be another job.
        """
        found = self._forewarned.pop((job.queue, job.id), None)
        if found is None:
            return False
        order, until = found
        return job.seq <= order.seq and self._clock.monotonic() < until

    async def run(self, job: Job) -> Outcome:
        """Return what became of the job; raises only when the worker itself is being stopped."""
        if self._is_forewarned(job):
            return Cancelled(0.0)
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
        processor, seen = self._processors.cast(job)
        remarks = misspelled(processor.request, seen.data) if processor.request else ()
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
        # A processor is anybody's code: whatever it raises is the job's failure, never ours. Of it
        # a worker would end so slowly that others begin meanwhile, and are blamed as well.
        except BaseException as error:
            fault = of_machine(error)
            if fault is None:
                log.exception("processor raised", job=job.id, queue=job.queue)
            return fault or _unexpected(error)

    async def _call(self, job: Job, context: RunContext) -> Returned:
        processor, seen = self._processors.cast(job)
        handle = processor.handle
        if inspect.iscoroutinefunction(handle):
            return await _awaited(handle(seen, context), context)
        returned = _ended_as(await asyncio.to_thread(_in_thread, handle, seen, context))
        if inspect.isawaitable(returned):
            return await _awaited(returned, context)
        return returned


def _in_thread(
    handle: Handle, job: Job, context: RunContext
) -> Awaitable[Returned] | Returned | _Raised:
    try:
        return handle(job, context)
    # Raised again by the caller: asyncio would carry a TimeoutError out of the thread without its
    # traceback, and a StopIteration not at all, so that the job would never end.
    except BaseException as error:  # noqa: BLE001
        return _Raised(error)


async def _awaited(work: Awaitable[Returned], context: RunContext) -> Returned:
    try:
        return _ended_as(await context.awaited(_caught(work)))
    finally:
        if inspect.iscoroutine(work):
            work.close()  # nothing, unless it was stopped before its first step


async def _caught(work: Awaitable[Returned]) -> Returned | _Raised:
    try:
        return await work
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - some would end the loop, not this task alone
        return _Raised(error)


def _ended_as(returned: T | _Raised) -> T:
    if isinstance(returned, _Raised):
        raise returned.error
    return returned


def _is_being_stopped() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _judge(returned: Returned) -> Ended:
    """Return the result as JSON-able values, or the failure it reports (``success: false``)."""
    match returned:
        case None:
            return {}
        case Result():
            is_failure = _says_failure(returned.data)
            return _unsuccessful(returned.data) if is_failure else _as_json(returned)
        case {"success": False}:
            return _unsuccessful(returned)
        case Mapping():
            return _as_json({"data": returned})
    kind = type(returned).__name__
    return _bad_result(f"returned a {kind}; it must be a Result, a dict or None")


def _says_failure(data: object) -> bool:
    return isinstance(data, Mapping) and data.get("success") is False


def _unsuccessful(said: Mapping[str, object]) -> Failure:
    why = str(said.get("error") or "the processor reported success: false")
    return Failure(_sayable(why), code="unsuccessful", permanent=True)


def _as_json(result: object) -> Ended:
    try:
        body = msgspec.json.encode(result)
        decoded: Mapping[str, object] = msgspec.json.decode(body)
    except (TypeError, ValueError, RecursionError) as error:
        return _bad_result(f"returned what JSON cannot say: {error}")
    if len(body) > RESULT_LIMIT:
        said = f"returned {len(body):,} bytes, the limit is {RESULT_LIMIT:,}; put them in a file"
        return _bad_result(said)
    if is_too_deep(body, decoded):
        return _bad_result(f"returned what {TOO_DEEP}")
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
    text = _said(error)
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return Failure(_sayable(words), code="exception", traceback=_sayable(told))


def _said(error: BaseException) -> str:
    """Return an exception's text; to ask for it is to run anybody's code as well."""
    try:
        return str(error)
    except BaseException as another:  # noqa: BLE001
        return f"its text cannot be told, that raises {type(another).__name__}"


def _sayable(text: str) -> str:
    """Return a text that may be shown and fits a message.

    It has no password, is not endless, and has no half characters of file names.
    """
    shown = str(logs.mask(text))  # before it is cut: half an address would not be known as one
    return shown[:TRACEBACK_LIMIT].encode(errors="backslashreplace").decode()
