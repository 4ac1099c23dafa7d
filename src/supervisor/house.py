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
from supervisor import guard, last_run
from supervisor.blueprints import broker, parking_plan, pool_policy, sinks, worker_spec
from supervisor.book import pool_of
from supervisor.bulletin import Bulletin
from supervisor.conditions import Conditions, Surroundings
from supervisor.config.settings import Role, Settings
from supervisor.convoy import Convoy
from supervisor.coordinator import Coordinator, Crew
from supervisor.core import fleet as fleets
from supervisor.core.events import StopAsked, StopNowAsked
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
from supervisor.parts import Parts
from supervisor.perform import LAST_PATIENCE, Offices, Performer
from supervisor.ports import Status
from supervisor.postroom import Postroom
from supervisor.processes import Death, Processes
from supervisor.pulse import Pulse, Seen
from supervisor.rounds import Rounds
from supervisor.steering import Helm
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
        self._keep_records()
        self._hire_workers()
        self._meet_the_broker()
        self.coordinator = self._hire_coordinator()
        self._storeroom = self._base.storeroom()
        self._conditions = self._hire_conditions()
        self._on_demand = self._base.on_demand(self._around_a_run())
        self.pools = self._base.pools(self._fleet_now, self._inbox, self._on_demand)
        self._office = self._open_office()
        self._api = Entrance(settings, self._office)
        self._parts = Parts(self._broken)
        self._errands = Errands()
        self._is_stopping = False
        self.has_failed = False  # something that should run as long as we do has ended

    # --- building ---------------------------------------------------------------------------

    def _keep_records(self) -> None:
        """Build those who write down what becomes of jobs, and have it told."""
        self._sinks = sinks(self._settings, self._clock)
        self._outbox = Outbox(self._ledger, self._sinks, clock=self._clock)
        self._cards = self._base.cards()
        self._clerk = self._base.clerk(self._sinks, self._outbox.poke, self._bulletin)
        self._chains = self._base.chains(self._clerk, self._bulletin)

    def _hire_workers(self) -> None:
        """Build those who have to do with processes; the clerk stands."""
        self._switchboard = Switchboard(self._inbox, self._clerk, self._queues, self._clock)
        self._plan = parking_plan(self._settings)
        self._lot = self._base.lot(self._plan, self._clerk, self._switchboard)
        self._turnstiles = self._base.turnstiles(self._switchboard)
        self._processes = Processes(self._died, unreadable=self._switchboard.garbled)
        self._performer = self._hire_performer()
        self._rounds = Rounds(self._processes, self._inbox, self._fleet_now, self._clock)

    def _meet_the_broker(self) -> None:
        """Build those who have to do with it; the performer stands."""
        self._broker = broker(self._settings, self._queues, self._alarmed)
        self._postroom = Postroom(
            self._broker.address,
            {card.name: card.queues for card in self._cards},
            Undertaker(self._clerk, self._clock, lambda: not self._performer.has_given_up),
            self._base.keep,
            own=frozenset(self._settings.own),
        )
        self._poster = self._base.poster(self._postroom, self._clerk, self._bulletin)
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

    def _hire_pilot(self) -> Convoy:
        book, board = self._clerk.book, self._switchboard
        helm = Helm(book, board, self._inbox, self._poster, self._bulletin)
        is_exact = self._queues is not None
        return self._base.pilot(helm, self._postroom, self._fleet_now, is_exact=is_exact)

    def _open_office(self) -> Office:
        self._pilot = self._hire_pilot()
        self._asked = self._base.cancellations(self._pilot, self._bulletin)
        self._logbook = self._base.logbook(self._fleet_now)
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
            logs=self._logbook,
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
        self._parts.run(sessions.run(), name="sessions")
        if self._lot is not None:
            # A broker of its own: whoever keeps it out of its queue ends its session only.
            own = broker(self._settings, None, lambda _: None)
            again = self._settings.reconnect
            parked = Sessions(own, [self._lot], self._gatekeeper, again, self._clock)
            self._parts.run(parked.run(), name="parked jobs")
        self._parts.run(self._rounds.run(self._settings.memory_check), name="measure")
        self._keep_house()
        self._parts.run(self._api.watch(self._clock), name="tokens")
        self._parts.run(self._poster.run(), name="poster")
        self._parts.run(self._chains.run(), name="chains")
        self._attend_others()
        self._parts.run(self._heralds.run(), name="heralds")
        self._parts.run(self._hands.pauses.run(), name="pauses")
        self._parts.run(self._hands.cleaning.run(), name="cleaning")
        self._parts.run(self._hands.intake.run(self._base.knocks(self._asked)), name="intake")
        if not self._settings.is_errand:
            self._parts.run(self._scheduler.run(), name="scheduler")
        await self._base.salvage(self._clerk)
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
        await self._parts.stop()
        await self._outbox.stop()
        for sink in self._sinks:
            if isinstance(sink, WebhookSink):
                await sink.close()
        await self._processes.close()
        if self._queues is not None:
            await self._queues.close()
        self._bulletin.close()
        await self._api.stop()

    def _attend_others(self) -> None:
        """Start those who follow what other machines ask of us, and take up what they leave."""
        pools, queues = self._settings.own, [card.queues.public for card in self._base.own_cards()]
        heir = Succession(self._ledger, pools, self._clock, self._succeeded, queues)
        self._parts.run(heir.run(), name="succession")
        self._parts.run(self._asked.run(), name="cancellations")

    def _keep_house(self) -> None:
        """Look after the machine and the folders."""
        self._parts.run(self._conditions.run(), name="conditions")
        if self._settings.role is not Role.API:
            self._parts.run(self._storeroom.run(), name="storeroom")
        if not self._settings.is_errand:
            self._errands.run(self._logbook.sweep())

    def _succeeded(self) -> None:
        """Publish, tell and end what another supervisor left to be published, told and ended."""
        self._poster.poke()
        self._outbox.poke()
        self._hands.drains.take_up()

    def _broken(self) -> None:
        """Stop the house when a part of it has broken: half a supervisor is worse than none."""
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
        last_run.disown(self._settings.state, "its guard was gone")

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
        await self._rounds.describe((await self._status()).workers)

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
        self._postroom.attend(set(self._settings.own) - living)

    def _look(self) -> Seen:
        broker = self._postroom.view
        trouble = "" if broker.connected else broker.why
        return Seen(self._inbox.behind, self._ledger.unwritten, self._processes.pipes(), trouble)


async def _in_time(closing: Coroutine[None, None, None]) -> None:
    """Wait for the end of something, but not for a ledger or a broker that takes nothing."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closing, LAST_PATIENCE)
