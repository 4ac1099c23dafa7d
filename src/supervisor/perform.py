"""Performing what was decided: the hands of the coordinator, with no judgement of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

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
from supervisor.ledger.errors import PATIENCE, LedgerError
from supervisor.ledger.store import Ledger
from supervisor.ports import Event, LastRestart
from supervisor.processes import Death, ProcessError, Processes
from supervisor.switchboard import Switchboard
from workers import messages
from workers.spec import WorkerSpec

log = logs.get(__name__)

Killing = commands.Kill | commands.DumpAndKill
LAST_PATIENCE = 5.0  # seconds that a stop waits for a ledger that takes nothing
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
        self._blames: dict[str, asyncio.Future[None]] = {}  # by worker, until its next start
        self._has_given_up = False
        self.last_restarts: dict[str, LastRestart] = {}

    async def perform(self, command: commands.Command) -> None:
        """Do what was decided; returns when the next command may be done."""
        match command:
            case commands.Spawn(worker=worker) if worker in self._blames:
                self._errands.run(self._spawn_after(self._blames.pop(worker), command))
            case commands.Spawn():
                await self._spawn(command)
            case commands.Blame(worker=worker):
                self._blames[worker] = asyncio.ensure_future(self._blame(command))
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
        for blame in self._blames.values():
            await blame
        await self._errands.finish()

    def give_up(self) -> None:
        """Wait for the ledger no longer."""
        self._has_given_up = True

    def exited(self, death: Death) -> None:
        """Take the news of a death; everything the process said has been heard."""
        holder = (death.worker_id, death.incarnation)
        last_words = self._offices.switchboard.disconnect(holder)
        if death.stack:
            self._stacks[death.worker_id] = death.stack
        words = f"{death.words}: {last_words}" if death.code and last_words else death.words
        self._inbox.put(Exited(*holder, Exit(death.code, death.signal, words)))

    def forgive(self, holder: Holder) -> None:
        """Return what a dead process had in hand and nobody was blamed for."""
        self._errands.run(self._forgive(holder))

    async def _forgive(self, holder: Holder) -> None:
        blame = self._blames.get(holder[0])
        if blame is not None:
            await blame
        await self._patiently(partial(self._offices.clerk.released, holder))

    # --- starting ---------------------------------------------------------------------------

    async def _spawn_after(self, blame: asyncio.Future[None], command: commands.Spawn) -> None:
        """Start a process once the crash of the last one is counted, not before."""
        await blame
        await self._spawn(command)

    async def _spawn(self, command: commands.Spawn) -> None:
        holder = (command.worker, command.incarnation)
        self._incarnations[command.worker] = command.incarnation
        hear = partial(self._offices.switchboard.hear, holder)
        try:
            process = await self._offices.processes.spawn(self._spec_for(*holder), receive=hear)
        except ProcessError as error:
            self._inbox.put(SpawnFailed(*holder, str(error)))
            return
        self._offices.switchboard.connect(holder, process.pipe)
        self._inbox.put(Spawned(*holder, process.pid))

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

    async def _blame(self, command: commands.Blame) -> None:
        jobs = [(job.queue, job.id) for job in command.jobs]
        clerk = self._offices.clerk
        # Not the exit besides: of a crash the reason is the exit, and else the kill was ours.
        await self._patiently(partial(clerk.blamed, command.worker, jobs, command.why))

    async def _patiently(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write until it is written: crashes are counted before the next process starts."""
        while not self._has_given_up:
            try:
                await write()
                break
            except LedgerError as error:
                log.warning("ledger does not take it, trying again", why=str(error))
                await self._clock.sleep(PATIENCE)

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
        # The crash record: names and all, what other programs look for in the log.
        log.warning(
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
        try:
            await self._offices.ledger.record(incident)
        except LedgerError as error:
            log.warning("incident not written", worker=incident.worker, why=str(error))

    def _announce(self, name: str, worker: str, fields: Mapping[str, str | float]) -> None:
        say = log.warning if name in SERIOUS else log.info
        told = {key: value for key, value in fields.items() if value != ""}
        say(name.replace(".", " "), worker=worker, **told)
        at = self._clock.utcnow()
        self._offices.bulletin.publish(Event(name=name, at=at, worker=worker, data=dict(fields)))
