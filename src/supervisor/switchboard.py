"""The switchboard: every word a worker says goes to whom it concerns, none is waited for here."""

import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Protocol

from consumers import logs
from consumers.broker.operations import Answer, Delivered, Operation
from consumers.clock import Clock
from consumers.desk import Claim, Condemn
from consumers.errands import Errands
from consumers.outcome import Failure
from supervisor.book import Holder, pool_of
from supervisor.brake import Brake
from supervisor.clerk import Clerk
from supervisor.core.events import (
    Beaten,
    Garbled,
    JobEnded,
    JobStarted,
    Left,
    Ready,
    RestartAsked,
)
from supervisor.inbox import Inbox
from supervisor.ledger.errors import UnwritableError
from supervisor.ledger.insist import insist
from supervisor.parking import ParkingLot
from supervisor.turnstile import Turnstiles
from supervisor.views import Tally
from workers import messages
from workers.messages import FromWorker, ToWorker
from workers.pipe import Complaint, FrameTooLargeError

log = logs.get(__name__)


JobNews = (
    messages.Started
    | messages.Progressed
    | messages.Acking
    | messages.Settled
    | messages.Unsettled
    | messages.SessionLost
    | messages.Probed
    | messages.Parked
)
Wish = messages.Permitting | messages.Unpermitting


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

    def pause(self) -> None:
        """Hear nothing of it for now; it waits."""

    def resume(self) -> None:
        """Hear it again."""


class Switchboard:
    """Routes what workers say, and answers them."""

    def __init__(self, inbox: Inbox, clerk: Clerk, queues: Queues | None, clock: Clock) -> None:
        self._inbox = inbox
        self._clerk = clerk
        self._clerk.probes.send = self._probe
        self._clerk.connect(self.send)
        self._queues = queues
        self._clock = clock
        self._lines: dict[Holder, Line] = {}
        self._told: dict[Holder, Mapping[str, str]] = {}  # the holds each was born with
        # By pool (None: on all) and name, why workers take nothing new.
        self._holds: dict[str | None, dict[str, str]] = {}
        self._errands = Errands()
        self._brake = Brake()
        self.lot: ParkingLot | None = None  # where jobs that take long are parked, if they are
        self.turnstiles: Turnstiles | None = None  # where pools with a rate have permits from
        self.metrics: dict[str, messages.Metrics] = {}
        self.retired = Tally()  # what processes that are gone had done
        self._last_words: dict[Holder, str] = {}
        self.refused_frames = 0  # what we could not say because it was too large

    def connect(
        self, holder: Holder, line: Line, told: Mapping[str, str], *, slots: int = 1
    ) -> None:
        """Open the way back to a new process; ``told`` are the holds it was born with."""
        self._lines[holder] = line
        self._told[holder] = told
        self._brake.admit(holder, slots)
        if self._queues is not None:
            self._queues.attach(_client(holder), partial(self._deliver, holder))

    def disconnect(self, holder: Holder) -> str:
        """Forget a process that is dead and return its last words, if it had any."""
        self._lines.pop(holder, None)
        self._told.pop(holder, None)
        self._brake.forget(holder)
        self._clerk.probes.gone(holder)
        if self.turnstiles is not None:
            self.turnstiles.gone(holder)
        metrics = self.metrics.pop(holder[0], None)
        if metrics is not None:
            self.retired = self.retired.plus(metrics)
        if self._queues is not None:
            self._errands.run(self._queues.detach(_client(holder)))
        return self._last_words.pop(holder, "")

    def send(self, holder: Holder, message: ToWorker) -> None:
        """Say something to a process; one that is gone does not hear it."""
        line = self._lines.get(holder)
        if line is None:
            return
        try:
            line.send(message)
        except FrameTooLargeError as error:
            self.refused_frames += 1
            facts = {"worker": holder[0], "why": str(error), "so_far": self.refused_frames}
            log.error("message to a worker refused", **facts)  # noqa: TRY400 - we know where it was

    def _probe(self, holder: Holder, probe: messages.Probe) -> None:
        if holder in self._lines:
            self.send(holder, probe)
        else:
            self._clerk.probes.gone(holder)

    def holds_on(self, pool: str) -> dict[str, str]:
        """Return by name why the workers of a pool take nothing new."""
        return {**self._holds.get(pool, {}), **self._holds.get(None, {})}

    def hold(self, pool: str | None, name: str, why: str) -> None:
        """Have a pool's workers take nothing new, or those of all; those to come as well."""
        self._holds.setdefault(pool, {})[name] = why
        self._follow_hold(pool, name)

    def release(self, pool: str | None, name: str) -> None:
        """Lift a hold from where it was placed; one of that name placed elsewhere stays."""
        if self._holds.get(pool, {}).pop(name, None) is not None:
            self._follow_hold(pool, name)

    def _follow_hold(self, pool: str | None, name: str) -> None:
        for holder, line in self._lines.items():
            if pool in {None, pool_of(holder)}:
                why = self.holds_on(pool_of(holder)).get(name)
                line.send(
                    messages.Resume(name=name)
                    if why is None
                    else messages.Pause(name=name, why=why)
                )

    def _renew_holds(self, holder: Holder) -> None:
        """Tell a process that begins to listen which holds have changed since it was ordered."""
        told, holds = self._told.get(holder, {}), self.holds_on(pool_of(holder))
        for name in told.keys() - holds.keys():
            self.send(holder, messages.Resume(name=name))
        for name, why in holds.items():
            if told.get(name) != why:
                self.send(holder, messages.Pause(name=name, why=why))

    def is_waiting_for_rate(self, pool: str) -> bool:
        """Answer whether a pool's workers have jobs that could begin, were it not for the rate."""
        return self.turnstiles is not None and self.turnstiles.is_waiting(pool)

    async def quiet(self) -> None:
        """Return when every question asked so far has been answered, and all is written."""
        await self._errands.finish()
        await self._clerk.settlements.quiet()

    def hear(self, holder: Holder, message: FromWorker) -> None:
        """Take one message from a process."""
        match message:
            case messages.Claiming(call=call, claim=claim):
                self._answer(holder, self._judge(holder, call, claim))
            case messages.QueueCall(call=call, operation=operation):
                self._answer(holder, self._operate(holder, call, operation))
            case messages.JobResult() | messages.JobError():
                self._outcome(holder, message)
            case messages.Parking():
                self._answer(holder, self._number(holder, message))
            case messages.Permitting() | messages.Unpermitting():
                self._permit(holder, message)
            case (
                messages.Started()
                | messages.Progressed()
                | messages.Acking()
                | messages.Settled()
                | messages.Unsettled()
                | messages.SessionLost()
                | messages.Probed()
                | messages.Parked()
            ):
                self._job_news(holder, message)
            case _:
                self._worker_news(holder, message)

    def _permit(self, holder: Holder, wish: Wish) -> None:
        match wish:
            case _ if self.turnstiles is None:
                log.warning("there is no rate to wait for", worker=holder[0])
            case messages.Permitting(call=call):
                self.turnstiles.ask(holder, call)
            case messages.Unpermitting(call=call):
                self.turnstiles.withdraw(holder, call)

    def _job_news(self, holder: Holder, message: JobNews) -> None:
        match message:
            case messages.Started(queue_name=queue, job_id=job, attempt=attempt):
                self._inbox.put(JobStarted(*holder, queue, job, attempt))
                self._clerk.started(message)
            case messages.Progressed():
                self._clerk.progressed(message)
            case messages.Acking() | messages.Settled() | messages.Unsettled():
                self._clerk.settlements.hear(holder, message)
            case messages.SessionLost(session=session):
                self._clerk.settlements.cut_off(holder, session)
            case messages.Probed():
                self._clerk.probes.answered(holder, message)
            case messages.Parked():
                if self.lot is not None:
                    self.lot.parked(message)

    def _worker_news(self, holder: Holder, message: FromWorker) -> None:
        match message:
            case messages.Ready():
                self._inbox.put(Ready(*holder))
                self._renew_holds(holder)
            case messages.Heartbeat(consuming=consuming, broker=why, holds=holds):
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
            self._answer(holder, self._note(holder, message.call, message))

    def garbled(self, holder: Holder, complaint: Complaint) -> None:
        """Take the news that a process said something that makes no sense."""
        self._clerk.book.misheard(holder)
        self._inbox.put(Garbled(*holder, complaint.why, complaint.is_final))
        if not complaint.is_final and _is_round(complaint.count):
            facts = {"worker": holder[0], "why": complaint.why, "so_far": complaint.count}
            log.warning("message unreadable, passed over", **facts)

    def _answer(self, holder: Holder, work: Coroutine[None, None, None]) -> None:
        """Answer beside; a process that asks faster than that is not heard for a while."""
        if self._brake.asked(holder) and (line := self._lines.get(holder)):
            line.pause()
        self._errands.run(self._answered(holder, work))

    async def _answered(self, holder: Holder, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            # Whoever asked waits for ever. Its jobs come again when it is replaced.
            log.exception("question not answered, its worker is replaced", worker=holder[0])
            self._inbox.put(RestartAsked(*holder, f"the coordinator failed it: {error!r}"))
        finally:
            if self._brake.answered(holder) and (line := self._lines.get(holder)):
                line.resume()

    async def _judge(self, holder: Holder, call: int, claim: Claim) -> None:
        async def answer() -> None:
            try:
                verdict = await self._clerk.claim(holder, claim)
            except UnwritableError as error:
                verdict = _condemned(claim, error)
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
            try:
                seq = await self._write(holder, message)
            except UnwritableError as error:
                # Whoever waits for it would wait for ever; what is lost is what we know of it.
                log.error("ledger never takes it, not recorded", why=str(error))  # noqa: TRY400
                seq = 0
            self.send(holder, messages.Noted(call=call, seq=seq))

        await self._patiently(holder, answer)

    async def _number(self, holder: Holder, asked: messages.Parking) -> None:
        async def answer() -> None:
            seq = 0 if self.lot is None else await self.lot.number(holder, asked)
            self.send(holder, messages.Noted(call=asked.call, seq=seq))

        await self._patiently(holder, answer)

    async def _patiently(self, holder: Holder, answer: Callable[[], Awaitable[None]]) -> None:
        """Answer when the ledger takes it; until then nothing is acked, so nothing is lost.

        A process that died meanwhile waits for nothing: its jobs are delivered again.
        """
        is_here = partial(self._lines.__contains__, holder)
        if not await insist(answer, worthwhile=is_here, clock=self._clock):
            log.warning("not written, its worker is gone", worker=holder[0])

    async def _write(self, holder: Holder, message: messages.JobResult | messages.JobError) -> int:
        """Have what became of a job written; return the number of the copy that follows, or 0."""
        if isinstance(message, messages.JobResult):
            await self._clerk.completed(message)
        elif message.letter is not None:
            await self._clerk.buried(message.letter, holder[0])
        elif message.interrupted:
            await self._clerk.interrupted(message)
        else:
            return await self._clerk.failed(message)
        return 0

    def _deliver(self, holder: Holder, delivered: Delivered) -> None:
        self.send(holder, messages.QueueDelivery(delivered=delivered))


def _condemned(claim: Claim, error: UnwritableError) -> Condemn:
    """Return the verdict on what cannot be recorded, and so would be judged again for ever."""
    why = f"the ledger cannot record it: {error}"
    failure = Failure(why, code="unrecordable", permanent=True)
    return Condemn(claim.job_id or uuid.uuid4().hex, failure, attempts=claim.attempts)


def _is_round(count: int) -> bool:
    """Answer whether it is one of 1, 10, 100 ...: a flood of the same shall not fill the log."""
    return str(count).strip("0") == "1"


def _client(holder: Holder) -> str:
    return f"{holder[0]}#{holder[1]}"
