"""The desk at the other end of the pipe: questions go up, answers come back by call number."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol, TypeVar

from consumers.broker.operations import Answer, Operation
from consumers.clock import Clock
from consumers.desk import Claim, DeadLetter, Run, Verdict
from consumers.jobs import Job
from consumers.outcome import NOT_BEGUN, Completed, Failure
from workers import messages
from workers.messages import ErrorPayload, FromWorker, ResultPayload
from workers.spec import WorkerSpec
from workers.spool import Spool

LONGEST_TEXT = 2000  # characters of a link; the job's body has all of it
NO_WORDS = "the machine was at fault"

T = TypeVar("T")


class Outbox(Protocol):
    """The sending side of the pipe."""

    @property
    def is_congested(self) -> bool:
        """Answer whether the coordinator is slow to read."""

    async def flushed(self) -> None:
        """Wait until everything sent is on its way."""

    def send(self, message: FromWorker) -> None:
        """Queue a message; it is never dropped while the pipe lives."""


class PipeDesk:
    """Implements ``consumers.desk.Desk`` for one worker."""

    def __init__(self, spec: WorkerSpec, pipe: Outbox, clock: Clock) -> None:
        self._spec = spec
        self._pipe = pipe
        self._clock = clock
        self._spool = Spool(spec.spool)
        self._calls = itertools.count(1)
        self._verdicts: dict[int, asyncio.Future[Verdict]] = {}
        self._notes: dict[int, asyncio.Future[int]] = {}
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._permits: dict[int, Callable[[], None]] = {}  # who waits for them

    # --- what came back ---------------------------------------------------------------------

    def judged(self, message: messages.Judged) -> None:
        """Hand a verdict to whoever asked."""
        _resolve(self._verdicts.pop(message.call, None), message.verdict)

    def noted(self, message: messages.Noted) -> None:
        """Tell whoever waits that it is committed."""
        _resolve(self._notes.pop(message.call, None), message.seq)

    def answered(self, message: messages.QueueAnswer) -> None:
        """Hand the exchange's answer to whoever asked."""
        _resolve(self._answers.pop(message.call, None), message.answer)

    def permitted(self, message: messages.Permitted) -> None:
        """Tell whoever waits that a job may begin; a permit nobody wants is on its way back."""
        granted = self._permits.pop(message.call, None)
        if granted is not None:
            granted()

    # --- the turnstile ----------------------------------------------------------------------

    def ask(self, granted: Callable[[], None]) -> int:
        """Ask for a permit."""
        call = next(self._calls)
        self._permits[call] = granted
        self._pipe.send(messages.Permitting(call=call))
        return call

    def withdraw(self, ticket: int) -> None:
        """Want a permit no more, or give one back."""
        self._permits.pop(ticket, None)
        self._pipe.send(messages.Unpermitting(call=ticket))

    # --- the desk ---------------------------------------------------------------------------

    async def claim(self, claim: Claim) -> Verdict:
        """Ask what to do with a delivery; not before a slow coordinator has caught up."""
        if self._pipe.is_congested:
            await self._pipe.flushed()
        call = next(self._calls)
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._verdicts[call] = future
        self._pipe.send(messages.Claiming(call=call, claim=claim))
        verdict = await future
        if isinstance(verdict, Run):
            self._spool.granted(claim, verdict)
        return verdict

    def started(self, job: Job) -> None:
        """Say that the job's processor is about to be called."""
        self._pipe.send(
            messages.Started(
                worker_id=self._spec.worker_id,
                timestamp=self._clock.utcnow(),
                queue_name=job.queue,
                job_id=job.id,
                attempt=job.attempt,
            )
        )

    async def completed(self, job: Job, outcome: Completed) -> None:
        """Hand in a result."""
        call = next(self._calls)
        payload = ResultPayload(_file_names(outcome), job.sender, job.noreply)
        await self._handed_in(
            messages.JobResult(
                worker_id=self._spec.worker_id,
                timestamp=self._clock.utcnow(),
                queue_name=job.queue,
                payload=payload,
                call=call,
                job_id=job.id,
                result=outcome.result,
                duration=outcome.duration,
            ),
            call,
        )

    async def retrying(self, job: Job, failure: Failure, *, delay: float, duration: float) -> int:
        """Hand in a failed attempt that is followed by another; return its copy's number."""
        retry = messages.Retrying(delay=delay)
        return await self._failed(job, failure, retry=retry, duration=duration)

    async def giving_up(self, job: Job, failure: Failure, *, duration: float) -> None:
        """Hand in the last failed attempt."""
        await self._failed(job, failure, retry=None, duration=duration)

    async def cancelled(self, job: Job, *, duration: float) -> None:
        """Hand in that the job was stopped by request."""
        call = next(self._calls)
        await self._handed_in(
            messages.JobError(
                worker_id=self._spec.worker_id,
                timestamp=self._clock.utcnow(),
                error="cancelled",
                queue_name=job.queue,
                call=call,
                job_id=job.id,
                cancelled=True,
                duration=duration,
            ),
            call,
        )

    async def interrupted(self, job: Job, failure: Failure, *, duration: float) -> None:
        """Hand in that the machine broke the run off, or that it never began."""
        call, never_began = next(self._calls), failure.code == NOT_BEGUN.failure.code
        self._spool.forget((job.queue, job.id))  # it runs again in any case
        await self._noted(
            messages.JobError(
                worker_id=self._spec.worker_id,
                timestamp=self._clock.utcnow(),
                # By its words it is counted as a fault of the machine.
                error="" if never_began else failure.message or NO_WORDS,
                queue_name=job.queue,
                call=call,
                job_id=job.id,
                failure=failure,
                interrupted=True,
                duration=duration,
            ),
            call,
        )

    async def buried(self, letter: DeadLetter) -> None:
        """Hand in a dead letter."""
        call = next(self._calls)
        payload = ErrorPayload(
            letter.failure.message,
            link=letter.link,
            file_path=letter.file_path,
            from_=letter.sender,
        )
        await self._noted(
            messages.JobError(
                worker_id=self._spec.worker_id,
                timestamp=self._clock.utcnow(),
                error=letter.failure.message,
                queue_name=letter.dead_queue,
                payload=payload,
                call=call,
                job_id=letter.job_id,
                failure=letter.failure,
                letter=letter,
            ),
            call,
        )

    async def parking(self, job: Job) -> int:
        """Ask for the number of a parked copy; 0 for not now."""
        call = next(self._calls)
        # From here on a copy may stand for its message, and that be acked.
        self._spool.forget((job.queue, job.id))
        asked = messages.Parking(call=call, queue_name=job.queue, job_id=job.id)
        return await self._noted(asked, call)

    def parked(self, queue: str, job_id: str, seq: int, *, is_owed: bool) -> None:
        """Say that a parked copy is confirmed."""
        self._pipe.send(messages.Parked(queue, job_id, seq, is_owed))

    async def acking(self, queue: str, job_id: str) -> None:
        """Say that the delivery is about to be acked; return when the kernel has that."""
        self._spool.forget((queue, job_id))
        self._pipe.send(messages.Acking(queue, job_id))
        await self._pipe.flushed()

    def settled(
        self,
        queue: str,
        job_id: str,
        *,
        seq: int = 0,
        has_run: bool = False,
        is_nameless: bool = False,
    ) -> None:
        """Say that the delivery is acked, and its copy (if any) confirmed."""
        self._spool.forget((queue, job_id))
        self._pipe.send(messages.Settled(queue, job_id, seq, has_run, is_nameless))

    def lost(self, session: int) -> None:
        """Say that a session is over."""
        self._spool.lost(session)
        self._pipe.send(messages.SessionLost(session))

    def unsettled(
        self, queue: str, job_id: str, *, has_run: bool = False, is_nameless: bool = False
    ) -> None:
        """Say that the delivery comes once more."""
        self._spool.forget((queue, job_id))
        self._pipe.send(messages.Unsettled(queue, job_id, has_run, is_nameless))

    # --- the embedded queues ----------------------------------------------------------------

    async def perform(self, operation: Operation) -> Answer:
        """Have the coordinator's exchange do something."""
        call = next(self._calls)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[call] = future
        self._pipe.send(messages.QueueCall(call=call, operation=operation))
        return await future

    async def _failed(
        self, job: Job, failure: Failure, *, retry: messages.Retrying | None, duration: float
    ) -> int:
        call = next(self._calls)
        payload = ErrorPayload(
            failure.message,
            link=_text(job.data.get("link")),
            file_path=_text(job.data.get("filePath")),
            from_=job.sender,
        )
        return await self._handed_in(
            messages.JobError(
                worker_id=self._spec.worker_id,
                timestamp=self._clock.utcnow(),
                error=failure.message,
                queue_name=job.queue,
                payload=payload,
                call=call,
                job_id=job.id,
                failure=failure,
                retry=retry,
                duration=duration,
            ),
            call,
        )

    async def _handed_in(self, outcome: messages.JobResult | messages.JobError, call: int) -> int:
        """Hand in the outcome of a run, which outlives a coordinator that is killed now."""
        self._spool.hand_in(outcome)
        seq = await self._noted(outcome, call)
        self._spool.noted(outcome)
        return seq

    async def _noted(self, message: FromWorker, call: int) -> int:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._notes[call] = future
        self._pipe.send(message)
        return await future


def _resolve(future: asyncio.Future[T] | None, value: T) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _file_names(outcome: Completed) -> tuple[str, ...]:
    files = outcome.result.get("files", ())
    return tuple(str(file["path"]) for file in files) if isinstance(files, list | tuple) else ()


def _text(value: object) -> str | None:
    return value[:LONGEST_TEXT] if isinstance(value, str) else None
