"""The switchboard: every word a worker says goes to whom it concerns, none is waited for here."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from consumers import logs
from consumers.broker.operations import Answer, Delivered, Operation
from consumers.clock import Clock
from consumers.desk import Claim
from consumers.errands import Errands
from supervisor.book import Holder
from supervisor.clerk import Clerk
from supervisor.core.events import Beaten, JobEnded, JobStarted, Left, Ready, RestartAsked
from supervisor.inbox import Inbox
from supervisor.ledger.errors import PATIENCE, LedgerError
from supervisor.views import Tally
from workers import messages
from workers.messages import FromWorker, ToWorker

log = logs.get(__name__)


class Queues(Protocol):
    """The embedded queues, as clients of the coordinator use them."""

    def attach(self, client: str, receive: Callable[[Delivered], None]) -> None:
        """Name who gets the client's deliveries."""

    async def detach(self, client: str) -> None:
        """Forget a client; what it held goes back."""

    async def perform(self, client: str, operation: Operation) -> Answer:
        """Do one operation for a client."""


class Line(Protocol):
    """The way back to one worker."""

    def send(self, message: ToWorker) -> None:
        """Queue a message; never blocks."""


class Switchboard:
    """Routes what workers say, and answers them."""

    def __init__(self, inbox: Inbox, clerk: Clerk, queues: Queues | None, clock: Clock) -> None:
        self._inbox = inbox
        self._clerk = clerk
        self._queues = queues
        self._clock = clock
        self._lines: dict[Holder, Line] = {}
        self._errands = Errands()
        self.metrics: dict[str, messages.Metrics] = {}
        self.retired = Tally()  # what processes that are gone had done
        self._last_words: dict[Holder, str] = {}

    def connect(self, holder: Holder, line: Line) -> None:
        """Open the way back to a new process."""
        self._lines[holder] = line
        if self._queues is not None:
            self._queues.attach(_client(holder), partial(self._deliver, holder))

    def disconnect(self, holder: Holder) -> str:
        """Forget a process that is dead and return its last words, if it had any."""
        self._lines.pop(holder, None)
        metrics = self.metrics.pop(holder[0], None)
        if metrics is not None:
            self.retired = self.retired.plus(metrics)
        if self._queues is not None:
            self._errands.run(self._queues.detach(_client(holder)))
        return self._last_words.pop(holder, "")

    def send(self, holder: Holder, message: ToWorker) -> None:
        """Say something to a process; one that is gone does not hear it."""
        line = self._lines.get(holder)
        if line is not None:
            line.send(message)

    async def quiet(self) -> None:
        """Return when every question asked so far has been answered."""
        await self._errands.finish()

    def hear(self, holder: Holder, message: FromWorker) -> None:
        """Take one message from a process."""
        match message:
            case messages.Claiming(call=call, claim=claim):
                self._errands.run(self._judge(holder, call, claim))
            case messages.QueueCall(call=call, operation=operation):
                self._errands.run(self._operate(holder, call, operation))
            case messages.JobResult() | messages.JobError():
                self._outcome(holder, message)
            case messages.Started() | messages.Progressed() | messages.Settled():
                self._job_news(holder, message)
            case _:
                self._worker_news(holder, message)

    def _job_news(
        self, holder: Holder, message: messages.Started | messages.Progressed | messages.Settled
    ) -> None:
        match message:
            case messages.Started(queue_name=queue, job_id=job, attempt=attempt):
                self._inbox.put(JobStarted(*holder, queue, job, attempt))
                self._clerk.started(message)
            case messages.Progressed():
                self._clerk.progressed(message)
            case messages.Settled():
                self._clerk.settled(message)

    def _worker_news(self, holder: Holder, message: FromWorker) -> None:
        match message:
            case messages.Ready():
                self._inbox.put(Ready(*holder))
            case messages.Heartbeat(consuming=consuming, broker=why, holds=holds):
                if not consuming:
                    self._clerk.cut_off(holder)
                self._inbox.put(Beaten(*holder, consuming, why, holds))
            case messages.MetricsReport(metrics=metrics):
                self.metrics[holder[0]] = metrics
            case messages.Stopped(reason=reason):
                self._last_words[holder] = reason
                self._inbox.put(Left(*holder))
            case _:
                log.warning("message ignored", worker=holder[0], type=type(message).__name__)

    def _outcome(self, holder: Holder, message: messages.JobResult | messages.JobError) -> None:
        is_run = isinstance(message, messages.JobResult) or (
            message.job_id is not None and message.letter is None
        )
        if is_run and message.job_id is not None:
            self._inbox.put(JobEnded(*holder, message.queue_name, message.job_id))
        if isinstance(message, messages.JobError) and message.restart_required:
            self._inbox.put(RestartAsked(*holder, message.error))
        if message.call is not None:
            self._errands.run(self._note(holder, message.call, message))

    async def _judge(self, holder: Holder, call: int, claim: Claim) -> None:
        async def answer() -> None:
            verdict = await self._clerk.claim(holder, claim)
            self.send(holder, messages.Judged(call=call, verdict=verdict))

        await self._patiently(holder, answer)

    async def _operate(self, holder: Holder, call: int, operation: Operation) -> None:
        if self._queues is None:
            answer = Answer(error="the queues are not embedded here")
        else:
            answer = await self._queues.perform(_client(holder), operation)
        self.send(holder, messages.QueueAnswer(call=call, answer=answer))

    async def _note(
        self, holder: Holder, call: int, message: messages.JobResult | messages.JobError
    ) -> None:
        async def answer() -> None:
            await self._write(holder, message)
            self.send(holder, messages.Noted(call=call))

        await self._patiently(holder, answer)

    async def _patiently(self, holder: Holder, answer: Callable[[], Awaitable[None]]) -> None:
        """Answer when the ledger takes it; until then nothing is acked, so nothing is lost.

        A process that died meanwhile waits for nothing: its jobs are delivered again.
        """
        while True:
            try:
                return await answer()
            except LedgerError as error:
                if holder not in self._lines:
                    log.warning("not written, its worker is gone", worker=holder[0], why=str(error))
                    return None
                log.warning("ledger does not take it, trying again", why=str(error))
                await self._clock.sleep(PATIENCE)

    async def _write(self, holder: Holder, message: messages.JobResult | messages.JobError) -> None:
        if isinstance(message, messages.JobResult):
            await self._clerk.completed(message)
        elif message.letter is not None:
            await self._clerk.buried(message.letter, holder[0])
        else:
            await self._clerk.failed(message)

    def _deliver(self, holder: Holder, delivered: Delivered) -> None:
        self.send(holder, messages.QueueDelivery(delivered=delivered))


def _client(holder: Holder) -> str:
    return f"{holder[0]}#{holder[1]}"
