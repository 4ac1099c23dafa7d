"""The main function of a worker process: one pipe, one processor, one consuming loop.

The loop here consumes and beats; it is never blocked by work, which runs in threads and child
processes. The worker ends when it is told to, when it cannot go on, or when the coordinator dies.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from consumers import logs, loop
from consumers.broker.embedded import EmbeddedBroker
from consumers.broker.port import Broker
from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import Clock, SystemClock
from consumers.consumer import Consumer, Lanes
from consumers.dead_letters import DeadLetterConsumer
from consumers.errands import Errands
from consumers.errors import BrokerError
from consumers.executor import Executor
from consumers.jobs import ONE_TO_FIVE, Envelope, Job
from consumers.kept import Kept
from consumers.log_file import LogFile
from consumers.outcome import Outcome
from consumers.parking import Parking
from consumers.sessions import Sessions, Tenant
from workers import lifeline, messages, repertoire
from workers.bookkeeping import Bookkeeping
from workers.context import Surroundings
from workers.desk import PipeDesk
from workers.exchange import PipeExchange
from workers.machine import Examination, Machine
from workers.pipe import Complaint, Pipe
from workers.registry import RegistryError
from workers.repertoire import Repertoire
from workers.runner import Runner
from workers.spec import EMBEDDED, WorkerSpec

EXIT_OK = 0
EXIT_CONFIG = 78  # the processor cannot be loaded: a person must change something
SPARE_THREADS = 4
GOODBYE = 2.0  # seconds for the last words to leave
MOMENT = 0.2  # seconds in which what is about to end may end, when all is to stop now

log = logs.get(__name__)


def main(spec: bytes, channel: socket.socket) -> None:
    """Run one worker until it ends; called in the new process. ``spec`` is a WorkerSpec as JSON."""
    told = msgspec.json.decode(spec, type=WorkerSpec)
    lifeline.attach(told, channel)
    kept = LogFile(Path(told.log_file), told.log_keep) if told.log_file else None
    logs.configure(told.log_level, json=told.log_json, file=kept)
    logs.bind(worker=told.worker_id)
    loop.run(_serve(told, channel))


async def _serve(spec: WorkerSpec, channel: socket.socket) -> None:
    # A thread for each slot, and some for our own errands to the file system.
    threads = ThreadPoolExecutor(spec.concurrency + SPARE_THREADS, "job")
    asyncio.get_running_loop().set_default_executor(threads)
    worker = Worker(spec, SystemClock())
    await worker.connect(channel)
    code = await worker.live()
    with contextlib.suppress(OSError):  # nobody may read it any more
        sys.stderr.flush()
    # From inside the loop: its end would wait for the thread of a plain function that still runs.
    os._exit(code)


class Worker:
    """Wires the pipe, the processor and the consumers of one process together."""

    def __init__(self, spec: WorkerSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._pipe = Pipe(messages.ToWorker, self._receive, self._pipe_ended, _not_understood)
        self._desk = PipeDesk(spec, self._pipe, clock)
        self._exchange = PipeExchange(self._desk)
        self._books = Bookkeeping(spec, self._pipe, clock)
        self._ending: asyncio.Future[tuple[str, bool]] = asyncio.get_running_loop().create_future()
        self._errands = Errands()
        self._runner: Runner | None = None
        self._consumer: Consumer | None = None
        self._parking = _parking(spec, self._desk, clock)
        self._machine: Machine  # from the moment the processor is loaded

    async def connect(self, channel: socket.socket) -> None:
        """Take the worker's end of the pipe."""
        await self._pipe.connect(channel)

    async def live(self) -> int:
        """Consume until told to leave; return the exit code."""
        self._obey_signals()
        try:
            processors = repertoire.load(self._spec)
        except RegistryError as error:
            return await self._leave(str(error), EXIT_CONFIG)
        self._books.ready()
        reason = await self._work(processors)
        return await self._leave(reason, EXIT_OK)

    async def _work(self, processors: Repertoire) -> str:
        surroundings = self._surroundings()
        self._runner = Runner(processors, surroundings, self._clock)
        self._books.running = lambda: self._runner.running if self._runner else 0
        self._consumer = consumer = self._build_consumer(processors, self._runner)
        consumer.errands.failed = self._break_down
        self._books.observe(consumer.holds)
        examination = Examination(processors.check_host, surroundings)
        self._machine = Machine(examination, consumer, self._clock)
        for name, why in self._spec.holds.items():
            consumer.holds.place(name, why)  # before it consumes anything
        kept = Kept(self._clock, after=self._spec.park_after)
        dead_letters = DeadLetterConsumer(self._spec.queues, self._desk, kept)
        self._books.staying_letters = lambda: dead_letters.staying
        tenants: tuple[Tenant, ...] = (consumer, dead_letters)
        guests = (self._parking, *tenants) if self._parking else tenants
        sessions = Sessions(self._broker(), guests, self._books, self._spec.reconnect, self._clock)
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._consume(sessions)),
                tasks.create_task(self._machine.watch()),
                tasks.create_task(self._books.beat()),
                tasks.create_task(self._books.report()),
            ]
            reason, is_patient = await self._ending
            await (consumer.drain() if is_patient else consumer.abandon(after=MOMENT))
            await (dead_letters.drain() if is_patient else dead_letters.abandon())
            for task in background:
                task.cancel()
        return reason

    async def _consume(self, sessions: Sessions) -> None:
        await self._machine.begin()  # no job is tried on a machine that cannot do it
        await sessions.run()

    def _build_consumer(self, processors: Repertoire, runner: Runner) -> Consumer:
        def check(envelope: Envelope) -> None:
            processors.check(envelope)

        async def run(job: Job) -> Outcome:
            outcome = await self._machine.judge(job, await runner.run(job))
            self._books.count(outcome)
            return outcome

        spec = self._spec
        executor = Executor(spec.queues, spec.retry, self._desk, run, self._clock)
        executor.parking = self._parking
        executor.limited_by = spec.limits.by
        limits = (spec.body_limit, check, spec.body_warning, spec.most)
        turnstile = self._desk if spec.limits.of_pool else None
        scale = spec.priority_map or ONE_TO_FIVE
        lanes = Lanes(spec.queues, spec.concurrency, *limits, turnstile=turnstile, scale=scale)
        return Consumer(lanes, executor, self._clock)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            media=Path(self._spec.media),
            options=self._spec.options,
            timeout=self._spec.timeout,
            progressed=self._books.progressed,
            said=self._books.said,
            cpu=self._spec.cpu,
        )

    def _broker(self) -> Broker:
        if self._spec.broker == EMBEDDED:
            return EmbeddedBroker(self._exchange)
        return RabbitBroker(self._spec.broker, alarmed=self._books.alarmed)

    # --- orders -----------------------------------------------------------------------------

    def _receive(self, message: messages.ToWorker) -> None:
        match message:
            case messages.Judged():
                self._desk.judged(message)
            case messages.Noted():
                self._desk.noted(message)
            case messages.Permitted():
                self._desk.permitted(message)
            case messages.QueueAnswer():
                self._desk.answered(message)
            case messages.QueueDelivery(delivered=delivered):
                self._exchange.deliver(delivered)
            case _:
                self._obey(message)

    def _obey(self, message: messages.ToWorker) -> None:
        match message:
            case messages.Adopted(queue, job_id, seq) if self._parking is not None:
                self._errands.run(self._parking.adopted(queue, job_id, seq))
            case messages.Cancel() if self._runner is not None:
                self._runner.cancel(message)
            case messages.Probe(call=call) if self._consumer is not None:
                self._errands.run(self._probe(call, self._consumer))
            case messages.Pause(name=name, why=why) if self._consumer is not None:
                self._errands.run(self._consumer.hold(name, why))
            case messages.Resume(name=name) if self._consumer is not None:
                self._errands.run(self._consumer.release(name))
            case messages.Drain(reason=reason):
                self._end(reason, is_patient=True)
            case messages.Stop(reason=reason):
                self._end(reason, is_patient=False)
            case _:
                log.debug("order ignored", order=type(message).__name__)

    async def _probe(self, call: int, consumer: Consumer) -> None:
        self._pipe.send(messages.Probed(call, await consumer.is_known()))

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self._end("SIGTERM", is_patient=False))

    def _pipe_ended(self) -> None:
        self._end("the coordinator is gone", is_patient=False)

    def _end(self, reason: str, *, is_patient: bool) -> None:
        if not self._ending.done():
            self._ending.set_result((reason, is_patient))
        elif not is_patient and self._consumer is not None:
            self._errands.run(self._consumer.abandon())

    def _break_down(self, error: BaseException) -> None:
        """Die of a mistake of our own: a job in hand would be neither settled nor given back."""
        if not self._ending.done():
            self._ending.set_exception(error)

    async def _leave(self, reason: str, code: int) -> int:
        self._books.stopped(reason)
        with contextlib.suppress(TimeoutError, BrokerError):
            await asyncio.wait_for(self._pipe.close(), GOODBYE)
        return code


def _parking(spec: WorkerSpec, desk: PipeDesk, clock: Clock) -> Parking | None:
    if not spec.inflight:
        return None
    return Parking(spec.inflight, spec.queues, desk, clock, after=spec.park_after)


def _not_understood(complaint: Complaint) -> None:
    log.error("coordinator not understood", why=complaint.why, so_far=complaint.count)
