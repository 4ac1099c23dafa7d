"""The house: all parts of a running supervisor, wired, started and stopped in one order."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial

from consumers import logs
from consumers.clock import Clock
from consumers.desk import DeadLetter
from consumers.errands import Errands
from consumers.errors import BrokerError
from consumers.kept import Kept
from consumers.sessions import Sessions, Tenant
from supervisor import guard
from supervisor.api.server import ApiServer
from supervisor.blueprints import (
    OURSELVES,
    broker,
    parking_plan,
    pool_card,
    pool_policy,
    sinks,
    worker_spec,
)
from supervisor.bulletin import Bulletin
from supervisor.clerk import Clerk, Telling
from supervisor.conditions import Conditions, Surroundings
from supervisor.config.settings import Settings
from supervisor.coordinator import Coordinator, Crew
from supervisor.core import fleet as fleets
from supervisor.core.conditions import MEDIA_DISK, OWN_DISKS, Limits
from supervisor.core.events import Measured, StopAsked, StopNowAsked
from supervisor.core.fleet import Fleet, Stopping
from supervisor.core.notices import Texts
from supervisor.core.readiness import Parking
from supervisor.cutoffs import CutOffs
from supervisor.gatekeeper import Gatekeeper
from supervisor.inbox import Inbox
from supervisor.ledger import listing
from supervisor.ledger.insist import insist
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from supervisor.notify.outbox import Outbox
from supervisor.notify.templates import TemplateError, load_texts
from supervisor.notify.webhook import WebhookSink
from supervisor.office import Office, Sources
from supervisor.parking import ParkingLot
from supervisor.perform import LAST_PATIENCE, Offices, Performer
from supervisor.postroom import Postroom
from supervisor.processes import Death, Processes
from supervisor.pulse import Pulse, Seen
from supervisor.storeroom import Storeroom, Upkeep
from supervisor.strays import Strays
from supervisor.switchboard import Switchboard
from supervisor.systemd import NOBODY, Notifier
from workers import holdings
from workers.spec import WorkerSpec

log = logs.get(__name__)


class House:
    """All parts of a running supervisor, wired."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        queues: Queues | None,
        clock: Clock,
        notifier: Notifier = NOBODY,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._inbox = Inbox(clock.monotonic)
        self._pulse = Pulse(notifier, self._look, clock)
        self._bulletin = Bulletin()
        self._queues = queues
        self._sinks = sinks(settings, clock)
        self._outbox = Outbox(ledger, self._sinks, clock=clock)
        self._cards = [pool_card(pool, settings) for pool in settings.workers.values()]
        self._clerk = self._hire_clerk([sink.name for sink in self._sinks])
        self._switchboard = Switchboard(self._inbox, self._clerk, self._queues, clock)
        self._plan = parking_plan(settings)
        self._lot = self._open_lot()
        self._processes = Processes(self._died, unreadable=self._switchboard.garbled)
        self._performer = self._hire_performer()
        self._broker = broker(settings, self._queues, self._alarmed)
        self._postroom = Postroom(
            self._broker.address,
            {card.name: card.queues for card in self._cards},
            _Undertaker(self._clerk, clock, lambda: not self._performer.has_given_up),
            self._keep,
        )
        self._gatekeeper = Gatekeeper(lambda: self._postroom.is_connected)
        self._cut_offs = CutOffs(self._postroom, clock)
        self._strays = Strays((card.queues for card in self._cards), self._keep())
        self.coordinator = self._hire_coordinator()
        self._storeroom = self._open_storeroom()
        self._conditions = self._hire_conditions()
        self._office = self._open_office()
        self._api = ApiServer(self._office, settings.socket)
        self._background: list[asyncio.Task[None]] = []
        self._errands = Errands()
        self._is_stopping = False
        self.has_failed = False  # something that should run as long as we do has ended

    # --- building ---------------------------------------------------------------------------

    def _hire_clerk(self, sinks: list[str]) -> Clerk:
        telling = Telling(sinks, self._load_texts(), self._outbox.poke)
        return Clerk(self._ledger, self._cards, telling, self._bulletin, self._clock)

    def _load_texts(self) -> Texts:
        notify = self._settings.notify
        pools = {name: pool.processor for name, pool in self._settings.workers.items()}
        return load_texts(notify.language, notify.templates, pools=pools)

    def _keep(self) -> Kept:
        return Kept(self._clock, after=self._settings.park_after)

    def _open_lot(self) -> ParkingLot | None:
        if self._plan is None:
            return None
        lot = ParkingLot(
            self._plan, self._clerk.book, self._ledger, self._switchboard.send, self._clock
        )
        self._clerk.park_in(lot)
        self._switchboard.lot = lot
        return lot

    def _open_storeroom(self) -> Storeroom:
        upkeep = Upkeep(self._settings.media_keep, self._settings.media_quota)
        return Storeroom(self._settings.media, upkeep, self._ends, self._clock)

    def _hire_performer(self) -> Performer:
        offices = Offices(
            self._processes, self._switchboard, self._clerk, self._ledger, self._bulletin
        )
        return Performer(offices, self._inbox, self._spec_for, self._clock)

    def _hire_coordinator(self) -> Coordinator:
        pools = self._settings.workers.values()
        policies = [pool_policy(pool, self._settings) for pool in pools]
        fleet, commands = fleets.initial(policies, self._clock.monotonic())
        longest_wait = self._pulse.longest_wait
        crew = Crew(self._inbox, self._performer, self._fleet_changed, longest_wait)
        return Coordinator(fleet, commands, crew, self._clock)

    def _hire_conditions(self) -> Conditions:
        settings, ledger = self._settings, self._ledger
        limits = Limits(settings.min_free_disk, settings.min_free_memory, settings.media_quota)
        own = {"ledger": ledger.path.parent, "state": settings.state}
        folders = {MEDIA_DISK: settings.media} | {OWN_DISKS[name]: own[name] for name in own}
        around = Surroundings(
            ledger,
            self._switchboard,
            self._bulletin,
            fleet=lambda: self.coordinator.fleet,
            broker=lambda: self._postroom.view,
            parking=Parking if self._lot is None else lambda: self._gatekeeper.parking,
            stored=self._storeroom.used,
        )
        return Conditions(limits, folders, around, self._clock)

    def _open_office(self) -> Office:
        sources = Sources(
            self._ledger,
            self._postroom,
            self._clerk,
            self._switchboard,
            self._performer,
            self._bulletin,
            self._conditions,
            lambda: self.coordinator.fleet,
            self._settings.media,
        )
        limit = self._settings.body_limit
        return Office(self._cards, sources, self._clock, body_limit=limit)

    def _spec_for(self, worker: str, incarnation: int) -> WorkerSpec:
        holds = self._switchboard.holds
        return worker_spec(self._settings, worker, incarnation, holds=holds, plan=self._plan)

    # --- starting and stopping --------------------------------------------------------------

    async def __aenter__(self) -> "House":
        """Open the doors, then start everything that runs beside the coordinator."""
        await self._api.start()
        self._obey_signals()
        await self._processes.start()
        await self._outbox.start()
        # The embedded queues refuse to delay into a queue that is not there.
        strays = [self._strays] if self._queues is None else []
        tenants: list[Tenant] = [self._postroom, *strays]
        sessions = Sessions(
            self._broker, tenants, self._postroom, self._settings.reconnect, self._clock
        )
        self._attend_letters(self.coordinator.fleet)  # with no worker at all no event comes
        self._run_beside(sessions.run(), name="sessions")
        if self._lot is not None:
            # A broker of its own: whoever keeps it out of its queue ends its session only.
            own = broker(self._settings, None, lambda _: None)
            again = self._settings.reconnect
            parked = Sessions(own, [self._lot], self._gatekeeper, again, self._clock)
            self._run_beside(parked.run(), name="parked jobs")
        self._run_beside(self._measure(), name="measure")
        self._run_beside(self._conditions.run(), name="conditions")
        self._run_beside(self._storeroom.run(), name="storeroom")
        self._run_beside(self._office.catch_up(), name="catch up")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop in the opposite order; nothing that was promised is dropped."""
        await self._errands.finish()
        await self._performer.close()
        await _in_time(self._switchboard.quiet())
        await self._cut_offs.close()
        await _in_time(self._postroom.close())
        await _in_time(self._strays.close())
        if self._lot is not None:
            await _in_time(self._lot.close())
        for task in self._background:
            task.cancel()
        if self._background:
            await asyncio.wait(self._background)
        await self._outbox.stop()
        for sink in self._sinks:
            if isinstance(sink, WebhookSink):
                await sink.close()
        await self._processes.close()
        if self._queues is not None:
            await self._queues.close()
        self._bulletin.close()
        await self._api.stop()

    def _run_beside(self, work: Coroutine[None, None, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._background.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Stop the house when a part of it has broken: half a supervisor is worse than none."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("part of the supervisor failed, stopping", exc_info=error)
            self.has_failed = True
            self._inbox.put(StopAsked())

    def _obey_signals(self) -> None:
        here = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            here.add_signal_handler(number, self._stop)
        here.add_signal_handler(signal.SIGQUIT, self._stop_now)
        here.add_signal_handler(signal.SIGUSR2, self._describe)
        here.add_signal_handler(signal.SIGHUP, self._reload)
        for number in (signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU):
            meaningless = "signal has no meaning yet"
            here.add_signal_handler(number, partial(log.info, meaningless, signal=number.name))
        guard.watch(partial(here.call_soon_threadsafe, self._abandoned))

    def _stop(self) -> None:
        """Drain the first time, stop now the second."""
        if self._is_stopping:
            self._stop_now()
            return
        self._is_stopping = True
        workers = self.coordinator.fleet.workers.values()
        jobs = [job.id for worker in workers for job in worker.jobs]
        waiting = {"waiting_for": jobs, "seconds": self._settings.stop_grace} if jobs else {}
        log.info("stopping, a second signal stops at once", **waiting)
        self._inbox.put(StopAsked())

    def _stop_now(self) -> None:
        log.info("stopping at once, unfinished jobs go back to their queues")
        self._performer.give_up()
        self._inbox.put(StopNowAsked())

    def _abandoned(self) -> None:
        """Stop now: the guard is gone, and nothing would end our descendants after us."""
        self._inbox.put(StopNowAsked())
        log.warning("guard is gone, stopping at once")

    def _reload(self) -> None:
        """Read again what can be read while we run: the texts of notices."""
        if not self._is_stopping:
            self._errands.run(self._reload_texts())

    async def _reload_texts(self) -> None:
        self._pulse.reloading()
        try:
            self._clerk.texts = await asyncio.to_thread(self._load_texts)
        except TemplateError as error:
            log.error("notice texts stay as they were", why=str(error))  # noqa: TRY400 - a user's mistake
        else:
            kept = "supervisor.yaml, which is read at the start"
            log.info("notice texts read again", file=self._settings.notify.templates, not_read=kept)
        finally:
            self._pulse.reloaded()

    def _describe(self) -> None:
        """Write into the log how every worker stands and where its code is just now."""
        self._errands.run(self._describe_workers())

    async def _describe_workers(self) -> None:
        for view in (await self._office.status()).workers:
            stack = await self._processes.dump_stack(view.id)
            log.info(
                "worker described",
                worker=view.id,
                state=view.state,
                pid=view.pid,
                jobs=view.jobs,
                memory=view.memory,
                restarts=view.restarts,
                stack=stack,
            )

    async def _measure(self) -> None:
        """Measure what every worker and its children use, every few seconds."""
        while True:
            await self._clock.sleep(self._settings.memory_check)
            # Before the measuring: what it finds may be of a process that is replaced meanwhile.
            workers = self.coordinator.fleet.workers
            usages = await self._processes.usage()
            for worker, usage in usages.items():
                incarnation = workers[worker].incarnation
                self._inbox.put(Measured(worker, incarnation, usage.memory, usage.cpu))

    # --- news -------------------------------------------------------------------------------

    def _died(self, death: Death) -> None:
        self._performer.exited(death)

    def _alarmed(self, alarm: BrokerError | None) -> None:
        self._postroom.alarmed(alarm)

    def _fleet_changed(self, fleet: Fleet) -> None:
        self._attend_letters(fleet)
        self._cut_offs.see(fleet)
        if fleet.stopping is not Stopping.NO:
            self._performer.leave()
        self._pulse.turned(fleet)

    def _attend_letters(self, fleet: Fleet) -> None:
        living = {worker.pool for worker in fleet.workers.values() if worker.is_live}
        self._postroom.attend(set(self._settings.workers) - living)

    async def _ends(self, folders: Collection[str]) -> Mapping[str, bool]:
        return await self._ledger.read(partial(listing.ends, names=folders, named=holdings.key))

    def _look(self) -> Seen:
        broker = self._postroom.view
        trouble = "" if broker.connected else broker.why
        return Seen(self._inbox.behind, self._ledger.unwritten, self._processes.pipes(), trouble)


@dataclass(frozen=True, slots=True)
class _Undertaker:
    """Dead letters of pools without a worker, handed to the clerk by the coordinator itself."""

    clerk: Clerk

    clock: Clock

    is_worthwhile: Callable[[], bool]

    async def buried(self, letter: DeadLetter) -> None:
        """Hand a dead letter in; a ledger that does not take it is asked again."""
        write = partial(self.clerk.buried, letter, OURSELVES)
        if not await insist(write, worthwhile=self.is_worthwhile, clock=self.clock):
            # It must not be acked: it comes again when there is a ledger that takes it.
            raise BrokerError("the dead letter was not written, it stays in its queue")


async def _in_time(closing: Coroutine[None, None, None]) -> None:
    """Wait for the end of something, but not for a ledger or a broker that takes nothing."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closing, LAST_PATIENCE)
