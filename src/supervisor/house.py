"""The house: all parts of a running supervisor, wired, started and stopped in one order."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from functools import partial

from consumers import logs
from consumers.clock import Clock
from consumers.errands import Errands
from consumers.errors import BrokerError
from consumers.sessions import Sessions, Tenant
from supervisor import guard
from supervisor.blueprints import (
    broker,
    parking_plan,
    pool_policy,
    sinks,
    worker_spec,
)
from supervisor.book import pool_of
from supervisor.bulletin import Bulletin
from supervisor.conditions import Conditions, Surroundings
from supervisor.config.settings import Role, Settings
from supervisor.coordinator import Coordinator, Crew
from supervisor.core import fleet as fleets
from supervisor.core.events import Measured, StopAsked, StopNowAsked
from supervisor.core.fleet import Fleet, Stopping
from supervisor.core.readiness import Parking
from supervisor.cutoffs import CutOffs
from supervisor.drains import Premises
from supervisor.entrance import Entrance
from supervisor.foundations import Foundations, Undertaker
from supervisor.gatekeeper import Gatekeeper
from supervisor.inbox import Inbox
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from supervisor.ledger.succession import Succession
from supervisor.notify.outbox import Outbox
from supervisor.notify.templates import TemplateError
from supervisor.notify.webhook import WebhookSink
from supervisor.office import Office, Sources
from supervisor.on_demand import Around
from supervisor.perform import LAST_PATIENCE, Offices, Performer
from supervisor.ports import Status
from supervisor.postroom import Postroom
from supervisor.processes import Death, Processes
from supervisor.pulse import Pulse, Seen
from supervisor.steering import Helm, Pilot
from supervisor.strays import Strays
from supervisor.switchboard import Switchboard
from supervisor.systemd import NOBODY, Notifier
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
        self._base = Foundations(settings, ledger, clock)
        self._sinks = sinks(settings, clock)
        self._outbox = Outbox(ledger, self._sinks, clock=clock)
        self._cards = self._base.cards()
        self._clerk = self._base.clerk(self._sinks, self._outbox.poke, self._bulletin)
        self._switchboard = Switchboard(self._inbox, self._clerk, self._queues, clock)
        self._plan = parking_plan(settings)
        self._lot = self._base.lot(self._plan, self._clerk, self._switchboard)
        self._turnstiles = self._base.turnstiles(self._switchboard)
        self._processes = Processes(self._died, unreadable=self._switchboard.garbled)
        self._performer = self._hire_performer()
        self._meet_the_broker()
        self.coordinator = self._hire_coordinator()
        self._storeroom = self._base.storeroom()
        self._conditions = self._hire_conditions()
        self._on_demand = self._base.on_demand(self._around_a_run())
        self.pools = self._base.pools(self._fleet_now, self._inbox, self._on_demand)
        self._office = self._open_office()
        self._api = Entrance(settings, self._office)
        self._background: list[asyncio.Task[None]] = []
        self._errands = Errands()
        self._is_stopping = False
        self.has_failed = False  # something that should run as long as we do has ended

    # --- building ---------------------------------------------------------------------------

    def _meet_the_broker(self) -> None:
        """Build those who have to do with it; the performer stands."""
        self._broker = broker(self._settings, self._queues, self._alarmed)
        self._postroom = Postroom(
            self._broker.address,
            {card.name: card.queues for card in self._cards},
            Undertaker(self._clerk, self._clock, lambda: not self._performer.has_given_up),
            self._base.keep,
        )
        self._poster = self._base.poster(self._postroom, self._bulletin)
        self._heralds = self._base.heralds(self._clerk, self._bulletin)
        self._scheduler = self._base.scheduler(self._poster)
        premises = Premises(self._ledger, self._postroom, self._switchboard, self._bulletin)
        self._hands = self._base.hands(premises, self._poster, self._clerk.book)
        self._gatekeeper = Gatekeeper(lambda: self._postroom.is_connected)
        self._cut_offs = CutOffs(self._postroom, self._clock)
        self._strays = Strays((card.queues for card in self._cards), self._base.keep())

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
        around = Surroundings(
            self._ledger,
            self._switchboard,
            self._bulletin,
            fleet=lambda: self.coordinator.fleet,
            broker=lambda: self._postroom.view,
            parking=Parking if self._lot is None else lambda: self._gatekeeper.parking,
            stored=self._storeroom.used,
            paused=self._hands.pauses.now,
        )
        return self._base.conditions(around)

    def _hire_pilot(self) -> Pilot:
        book, board = self._clerk.book, self._switchboard
        helm = Helm(book, board, self._inbox, self._poster, self._bulletin)
        is_exact = self._queues is not None
        return self._base.pilot(helm, self._postroom, self._fleet_now, is_exact=is_exact)

    def _open_office(self) -> Office:
        self._pilot = self._hire_pilot()
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
            self._poster,
            schedules=self._base.timetables(self._scheduler, self._poster),
            retries=self._base.retries(),
            pools=self.pools,
            queues=self._base.queue_desk(self._hands, self._status),
            steering=self._pilot,
            letters=self._base.letter_desk(self._clerk, self._hands, self._bulletin),
            events=self._heralds.view,
        )
        limit = self._settings.body_limit
        return Office(self._cards, sources, self._clock, body_limit=limit)

    def _spec_for(self, worker: str, incarnation: int) -> WorkerSpec:
        holds = self._switchboard.holds_on(pool_of((worker, incarnation)))
        spec = worker_spec(self._settings, worker, incarnation, holds=holds, plan=self._plan)
        return self._on_demand.told(spec)

    def _around_a_run(self) -> Around:
        return Around(
            self._ledger,
            self._postroom,
            self._clerk,
            self._switchboard,
            self._bulletin,
            self._inbox,
            self._fleet_now,
        )

    async def _status(self) -> Status:
        return await self._office.status()

    def _fleet_now(self) -> Fleet:
        return self.coordinator.fleet

    # --- starting and stopping --------------------------------------------------------------

    async def __aenter__(self) -> "House":
        """Open the doors, then start everything that runs beside the coordinator."""
        await self._hands.begin()
        await self._api.start()
        self._obey_signals()
        await self._processes.start()
        await self._outbox.start()
        # The embedded queues refuse to delay into a queue that is not there.
        strays = [self._strays] if self._queues is None else []
        tenants: list[Tenant] = [self._postroom, self._heralds, *strays]
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
        self._run_beside(self._api.watch(self._clock), name="tokens")
        self._run_beside(self._poster.run(), name="poster")
        succession = Succession(self._ledger, self._settings.workers, self._clock, self._succeeded)
        self._run_beside(succession.run(), name="succession")
        self._run_beside(self._heralds.run(), name="heralds")
        self._run_beside(self._hands.pauses.run(), name="pauses")
        self._run_beside(self._hands.cleaning.run(), name="cleaning")
        self._run_beside(self._hands.intake.run(self._base.knocks()), name="intake")
        if not self._settings.is_errand:
            self._run_beside(self._scheduler.run(), name="scheduler")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop in the opposite order; nothing that was promised is dropped."""
        await self._errands.finish()
        await _in_time(self._on_demand.close())
        await self._pilot.close()
        await self._performer.close()
        await self._turnstiles.close()
        await _in_time(self._switchboard.quiet())
        await self._cut_offs.close()
        await _in_time(self._postroom.close())
        await _in_time(self._strays.close())
        if self._lot is not None:
            await _in_time(self._lot.close())
        await _in_time(self._heralds.close())
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

    def _succeeded(self) -> None:
        """Publish and tell what another supervisor left to be published and told."""
        self._poster.poke()
        self._outbox.poke()

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
        here.add_signal_handler(signal.SIGTTIN, partial(self.pools.step, 1))
        here.add_signal_handler(signal.SIGTTOU, partial(self.pools.step, -1))
        meaningless = partial(log.info, "signal has no meaning yet", signal=signal.SIGUSR1.name)
        here.add_signal_handler(signal.SIGUSR1, meaningless)
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

    def finish(self) -> None:
        """Drain and stop, unless that is under way."""
        if not self._is_stopping:
            self._stop()

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
        await self._api.reload()
        try:
            self._clerk.texts = await asyncio.to_thread(self._base.texts)
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
        if self._settings.role is Role.API:
            return  # they are for the ledger of those who did the work
        living = {worker.pool for worker in fleet.workers.values() if worker.is_live}
        self._postroom.attend(set(self._settings.workers) - living)

    def _look(self) -> Seen:
        broker = self._postroom.view
        trouble = "" if broker.connected else broker.why
        return Seen(self._inbox.behind, self._ledger.unwritten, self._processes.pipes(), trouble)


async def _in_time(closing: Coroutine[None, None, None]) -> None:
    """Wait for the end of something, but not for a ledger or a broker that takes nothing."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closing, LAST_PATIENCE)
