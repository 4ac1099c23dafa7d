"""Performing what was decided: the hands of the coordinator, with no judgement of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.errands import Errands
from supervisor.book import Holder
from supervisor.bulletin import Bulletin
from supervisor.clerk import Clerk
from supervisor.core import commands
from supervisor.core.events import Exit, Exited, Spawned, SpawnFailed
from supervisor.core.records import Incident
from supervisor.inbox import Inbox
from supervisor.ledger.insist import insist
from supervisor.ledger.store import Ledger
from supervisor.ports import Event, LastRestart
from supervisor.processes import Death, ProcessError, Processes
from supervisor.switchboard import Switchboard
from workers import messages
from workers.spec import WorkerSpec

log = logs.get(__name__)

T = TypeVar("T")

Killing = commands.Kill | commands.DumpAndKill
LAST_PATIENCE = 5.0  # seconds that a stop waits for a ledger that takes nothing
_UP, _IDLE = frozenset({"worker.ready", "worker.restored"}), "worker.idle"  # as it is logged, told
SERIOUS = frozenset({"worker.crashed", "worker.error", "worker.failed", "worker.restarting"})


class SpecFor(Protocol):
    """Builds what a new process is told about itself."""

    def __call__(self, worker: str, incarnation: int) -> WorkerSpec:
        """Return the spec of this worker's so-manyeth process."""


@dataclass(frozen=True, slots=True)
class Offices:
    """Whom the performer sends to: each does one thing."""

    processes: Processes
    switchboard: Switchboard
    clerk: Clerk
    ledger: Ledger
    bulletin: Bulletin


class Performer:
    """Performs commands one after another; what takes long goes on beside."""

    def __init__(self, offices: Offices, inbox: Inbox, spec_for: SpecFor, clock: Clock) -> None:
        self._offices = offices
        self._inbox = inbox
        self._spec_for = spec_for
        self._clock = clock
        self._incarnations: dict[str, int] = {}
        self._stacks: dict[str, str] = {}  # taken of workers that hung, until recorded
        self._errands = Errands()
        self._blames: dict[str, asyncio.Future[None]] = {}  # by worker, until they are counted
        self._leaving = asyncio.Event()
        self._given_up = asyncio.Event()  # on a ledger that takes nothing: we are leaving
        self.last_restarts: dict[str, LastRestart] = {}

    async def perform(self, command: commands.Command) -> None:
        """Do what was decided; returns when the next command may be done."""
        match command:
            case commands.Spawn(worker=worker):
                self._errands.run(self._spawn(command, self._blames.get(worker)))
            case commands.Blame():
                self._count(command)
            case commands.Stall():
                self._tell_stalled(command)
            case commands.Release():
                pass  # `forgive` returns them with everything else the process had in hand
            case commands.Record():
                self._record(command)
            case commands.Announce(name=name, worker=worker, fields=fields):
                self._announce(name, worker, fields)
            case commands.Finished():
                log.info("every worker is down")
            case _:
                self._end(command)

    async def close(self) -> None:
        """Wait for what is still under way; a ledger that takes nothing is not waited for long.

        What it does not take is found by the next start: every job in hand is released then.
        """
        asyncio.get_running_loop().call_later(LAST_PATIENCE, self.give_up)
        if self._blames:
            await asyncio.wait(tuple(self._blames.values()))
        await self._errands.finish()

    def leave(self) -> None:
        """Start no process any more: one that waits for the ledger might wait for ever."""
        self._leaving.set()

    def give_up(self) -> None:
        """Wait for the ledger no longer."""
        self._given_up.set()

    @property
    def has_given_up(self) -> bool:
        """Answer whether the ledger is not waited for any more."""
        return self._given_up.is_set()

    def exited(self, death: Death) -> None:
        """Take the news of a death; everything the process said has been heard."""
        holder = (death.worker_id, death.incarnation)
        last_words = self._offices.switchboard.disconnect(holder)
        if death.stack:
            self._stacks[death.worker_id] = death.stack
        words = f"{death.words}: {last_words}" if death.code and last_words else death.words
        exit_ = Exit(death.code, death.signal, words, death.is_out_of_memory)
        self._inbox.put(Exited(*holder, exit_))

    def forgive(self, holder: Holder) -> None:
        """Return what a dead process had in hand and nobody was blamed for."""
        self._errands.run(self._forgive(holder))

    async def _forgive(self, holder: Holder) -> None:
        blame = self._blames.get(holder[0])
        if blame is not None:
            await asyncio.wait({blame})
        await self._patiently(partial(self._offices.clerk.settlements.released, holder))

    # --- starting ---------------------------------------------------------------------------

    async def _spawn(self, command: commands.Spawn, blame: asyncio.Future[None] | None) -> None:
        """Start a process, once the crash of the last one is counted; it may take its time.

        Besides, because a fork server that hangs is waited for, and nothing else may wait for it.
        """
        holder = (command.worker, command.incarnation)
        if blame is not None:
            await _unless(self._leaving, blame)
        if self._leaving.is_set():
            self._inbox.put(SpawnFailed(*holder, "not started, the supervisor stops"))
            return
        self._incarnations[command.worker] = command.incarnation
        hear = partial(self._offices.switchboard.hear, holder)
        # Whatever goes wrong, there is an answer: a slot without one would wait for ever.
        news: Spawned | SpawnFailed = SpawnFailed(*holder, "not started, the log says why")
        try:
            spec = self._spec_for(*holder)
            process = await self._offices.processes.spawn(spec, receive=hear)
            line, slots = process.pipe, spec.concurrency
            self._offices.switchboard.connect(holder, line, told=spec.holds, slots=slots)
            news = Spawned(*holder, process.pid)
            self._tell("worker.started", command.worker, {"pid": process.pid})
        except ProcessError as error:
            news = SpawnFailed(*holder, str(error))
        finally:
            self._inbox.put(news)

    # --- ending -----------------------------------------------------------------------------

    def _end(self, command: commands.Drain | commands.Terminate | Killing) -> None:
        processes = self._offices.processes
        match command:
            case commands.Drain(worker=worker, why=why):
                holder = (worker, self._incarnations[worker])
                self._offices.switchboard.send(holder, messages.Drain(reason=why))
            case commands.Terminate(worker=worker, grace=grace):
                self._errands.run(processes.terminate(worker, grace=grace))
            case commands.Kill(worker=worker):
                self._errands.run(processes.kill(worker))
            case commands.DumpAndKill(worker=worker):
                self._errands.run(self._dump_and_kill(worker))

    async def _dump_and_kill(self, worker: str) -> None:
        self._stacks[worker] = await self._offices.processes.dump_stack(worker)
        await self._offices.processes.kill(worker)

    # --- writing down -----------------------------------------------------------------------

    def _count(self, command: commands.Blame) -> None:
        """Have a crash counted; until then its worker is not started, nor its jobs released."""
        blame = self._blames[command.worker] = asyncio.ensure_future(self._blame(command))
        blame.add_done_callback(partial(self._counted, command.worker))

    def _counted(self, worker: str, blame: asyncio.Future[None]) -> None:
        self._blames.pop(worker, None)
        if not blame.cancelled() and (error := blame.exception()) is not None:
            log.error("crash not counted", worker=worker, exc_info=error)

    async def _blame(self, command: commands.Blame) -> None:
        jobs = [(job.queue, job.id) for job in command.jobs]
        # Not the exit besides: of a crash the reason is the exit, and else the kill was ours.
        facts = (command.worker, jobs, command.why, command.charge)
        await self._patiently(partial(self._offices.clerk.blamed, *facts))

    async def _patiently(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write until it is written: crashes are counted before the next process starts."""
        if self.has_given_up:
            return
        writing = asyncio.ensure_future(
            insist(write, worthwhile=lambda: not self.has_given_up, clock=self._clock)
        )
        try:
            await _unless(self._given_up, writing)
        finally:
            writing.cancel()  # it may wait for something else that the ledger does not take
            await asyncio.wait({writing})
        if not writing.cancelled():
            writing.result()

    def _record(self, command: commands.Record) -> None:
        at = self._clock.utcnow()
        self.last_restarts[command.worker] = LastRestart(
            command.cause.value, command.why, command.exit, at, command.jobs
        )
        incident = Incident(
            worker=command.worker,
            pool=command.pool,
            cause=command.cause.value,
            why=command.why,
            at=at,
            exit=command.exit,
            pid=command.pid,
            jobs=command.jobs,
            stack=self._stacks.pop(command.worker, ""),
        )
        # The crash record: names and all, what other programs look for in the log. People have been
        # warned already, as it ended.
        log.info(
            "worker restart recorded",
            workerId=incident.worker,
            error=incident.why,
            stack=incident.stack,
            timestamp=at.isoformat(),
            cause=incident.cause,
            exit=incident.exit,
            job=", ".join(incident.jobs),
        )
        self._errands.run(self._write(incident))

    async def _write(self, incident: Incident) -> None:
        await self._patiently(partial(self._offices.ledger.record, incident))

    def _tell_stalled(self, command: commands.Stall) -> None:
        for job in command.jobs:
            log.warning("job stalled", job=job.id, worker=command.worker, why=command.why)
            stalled = Event(
                name="stalled",
                at=self._clock.utcnow(),
                queue=job.queue,
                id=job.id,
                worker=command.worker,
                data={"why": command.why},
                **msgspec.structs.asdict(self._offices.clerk.book.kin((job.queue, job.id))),
            )
            self._offices.bulletin.publish(stalled)

    def _announce(self, name: str, worker: str, fields: Mapping[str, str | float]) -> None:
        say = log.warning if name in SERIOUS else log.info
        told = {key: value for key, value in fields.items() if value != ""}
        say(name.replace(".", " "), worker=worker, **told)
        self._tell(_IDLE if name in _UP else name, worker, told)

    def _tell(self, name: str, worker: str, data: Mapping[str, object]) -> None:
        at = self._clock.utcnow()
        self._offices.bulletin.publish(Event(name=name, at=at, worker=worker, data=data))


async def _unless(called_off: asyncio.Event, work: asyncio.Future[T]) -> None:
    """Wait for some work, but no longer once it is called off; it goes on all the same."""
    end = asyncio.ensure_future(called_off.wait())
    try:
        await asyncio.wait((work, end), return_when=asyncio.FIRST_COMPLETED)
    finally:
        end.cancel()
