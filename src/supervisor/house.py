"""The house: all parts of a running supervisor, wired, started and stopped in one order."""

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial

from consumers import logs
from consumers.broker.embedded import EmbeddedBroker
from consumers.broker.port import Broker
from consumers.broker.rabbitmq import RabbitBroker
from consumers.clock import Clock
from consumers.desk import DeadLetter
from consumers.errands import Errands
from consumers.sessions import Sessions, Tenant
from consumers.topology import pool_queues
from supervisor import guard
from supervisor.api.server import ApiServer
from supervisor.bulletin import Bulletin
from supervisor.clerk import Clerk, Telling
from supervisor.config.settings import Pool, Settings
from supervisor.coordinator import Coordinator, Crew
from supervisor.core import fleet as fleets
from supervisor.core.events import Measured, StopAsked, StopNowAsked
from supervisor.core.fleet import Fleet, PoolPolicy
from supervisor.core.records import PoolCard
from supervisor.inbox import Inbox
from supervisor.ledger.errors import PATIENCE, LedgerError
from supervisor.ledger.queues import Queues
from supervisor.ledger.store import Ledger
from supervisor.notify.log import LogSink
from supervisor.notify.outbox import Outbox
from supervisor.notify.sinks import Sink, webhook_names
from supervisor.notify.templates import load_texts
from supervisor.notify.webhook import WebhookSink
from supervisor.office import Office, Sources
from supervisor.perform import Offices, Performer
from supervisor.postroom import Postroom
from supervisor.processes import Death, Processes
from supervisor.strays import Strays
from supervisor.switchboard import Switchboard
from workers.spec import WorkerSpec

HARDER = 1.5  # the hard memory limit, as a multiple of the soft one, unless configured
OURSELVES = "coordinator"

log = logs.get(__name__)


class House:
    """All parts of a running supervisor, wired."""

    def __init__(
        self, settings: Settings, ledger: Ledger, queues: Queues | None, clock: Clock
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._inbox = Inbox()
        self._bulletin = Bulletin()
        self._queues = queues
        self._sinks = _sinks(settings, clock)
        self._outbox = Outbox(ledger, self._sinks, clock=clock)
        self._cards = [_card(pool) for pool in settings.workers.values()]
        self._clerk = self._hire_clerk([sink.name for sink in self._sinks])
        self._switchboard = Switchboard(self._inbox, self._clerk, self._queues, clock)
        self._processes = Processes(self._died)
        self._performer = self._hire_performer()
        self._broker = _broker(settings, self._queues)
        self._postroom = Postroom(
            self._broker.address,
            {card.name: card.queues for card in self._cards},
            _Undertaker(self._clerk, clock),
        )
        self._strays = Strays(card.queues for card in self._cards)
        self.coordinator = self._hire_coordinator()
        self._office = self._open_office()
        self._api = ApiServer(self._office, settings.socket)
        self._background: list[asyncio.Task[None]] = []
        self._errands = Errands()
        self._is_stopping = False
        self.has_failed = False  # something that should run as long as we do has ended

    # --- building ---------------------------------------------------------------------------

    def _hire_clerk(self, sinks: list[str]) -> Clerk:
        notify = self._settings.notify
        texts = load_texts(notify.language, notify.templates, pools=self._settings.workers)
        telling = Telling(sinks, texts, self._outbox.poke)
        return Clerk(self._ledger, self._cards, telling, self._bulletin, self._clock)

    def _hire_performer(self) -> Performer:
        offices = Offices(
            self._processes, self._switchboard, self._clerk, self._ledger, self._bulletin
        )
        return Performer(offices, self._inbox, self._spec_for, self._clock)

    def _hire_coordinator(self) -> Coordinator:
        pools = self._settings.workers.values()
        policies = [_policy(pool, self._settings) for pool in pools]
        fleet, commands = fleets.initial(policies, self._clock.monotonic())
        crew = Crew(self._inbox, self._performer, self._fleet_changed)
        return Coordinator(fleet, commands, crew, self._clock)

    def _open_office(self) -> Office:
        sources = Sources(
            self._ledger,
            self._postroom,
            self._clerk,
            self._switchboard,
            self._performer,
            self._bulletin,
            lambda: self.coordinator.fleet,
        )
        limit = self._settings.body_limit
        return Office(self._cards, sources, self._clock, body_limit=limit)

    def _spec_for(self, worker: str, incarnation: int) -> WorkerSpec:
        settings = self._settings
        pool = settings.workers[worker.rpartition("-")[0]]
        return WorkerSpec(
            worker_id=worker,
            incarnation=incarnation,
            pool=pool.name,
            processor=pool.processor,
            queues=_card(pool).queues,
            broker=settings.broker,
            media=str(settings.media),
            stacks=str(settings.state / "stacks" / f"{worker}.txt"),
            concurrency=pool.concurrency,
            retry=pool.retry,
            reconnect=settings.reconnect,
            timeout=pool.timeout,
            heartbeat=settings.heartbeat.interval,
            metrics=settings.metrics,
            cpu=pool.cpu,
            body_limit=settings.body_limit,
            body_warning=settings.body_warning,
            options=pool.options,
            log_level=settings.logs.level,
            log_json=json_logs(settings),
        )

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
        self._run_beside(sessions.run(), name="sessions")
        self._run_beside(self._measure(), name="measure")
        self._run_beside(self._office.catch_up(), name="catch up")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop in the opposite order; nothing that was promised is dropped."""
        await self._errands.finish()
        await self._performer.close()
        await self._switchboard.quiet()
        await self._postroom.close()
        await self._strays.close()
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
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU):
            meaningless = "signal has no meaning yet"
            here.add_signal_handler(number, partial(log.info, meaningless, signal=number.name))
        guard.watch(partial(_from_thread, here, self._inbox))

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

    def _fleet_changed(self, fleet: Fleet) -> None:
        living = {worker.pool for worker in fleet.workers.values() if worker.is_live}
        self._postroom.attend(set(self._settings.workers) - living)


@dataclass(frozen=True, slots=True)
class _Undertaker:
    """Dead letters of pools without a worker, handed to the clerk by the coordinator itself."""

    clerk: Clerk

    clock: Clock

    async def buried(self, letter: DeadLetter) -> None:
        """Hand a dead letter in; a ledger that does not take it is asked again."""
        while True:
            try:
                return await self.clerk.buried(letter, OURSELVES)
            except LedgerError as error:
                log.warning("dead letter not written, trying again", why=str(error))
                await self.clock.sleep(PATIENCE)


def _sinks(settings: Settings, clock: Clock) -> list[Sink]:
    webhooks = settings.notify.webhooks
    names = webhook_names(webhook.url for webhook in webhooks)
    sinks: list[Sink] = [
        WebhookSink(name, hook.url, secret=hook.secret, timeout=hook.timeout, clock=clock)
        for name, hook in zip(names, webhooks, strict=True)
    ]
    return [LogSink(), *sinks] if settings.notify.log else sinks


def _broker(settings: Settings, queues: Queues | None) -> Broker:
    if queues is not None:
        return EmbeddedBroker(queues.local(OURSELVES))
    return RabbitBroker(settings.broker)


def _card(pool: Pool) -> PoolCard:
    queues = pool_queues(pool.queue, dead=pool.dead_letter)
    return PoolCard(pool.name, queues, pool.max_crashes)


def _policy(pool: Pool, settings: Settings) -> PoolPolicy:
    hard = pool.memory_hard
    if hard is None and pool.memory is not None:
        hard = int(pool.memory * HARDER)
    return PoolPolicy(
        name=pool.name,
        instances=pool.instances,
        restart=fleets.RestartPolicy(pool.restart.value),
        delay=pool.backoff.delay,
        max_delay=pool.backoff.max,
        stable=pool.backoff.stable,
        memory_soft=pool.memory,
        memory_hard=hard,
        max_cpu=pool.max_cpu,
        timeout=pool.timeout,
        heartbeat_timeout=settings.heartbeat.timeout,
        stop_grace=settings.stop_grace,
    )


def _from_thread(here: asyncio.AbstractEventLoop, inbox: Inbox) -> None:
    """Stop now: the guard is gone, and nothing would end our descendants after us."""
    here.call_soon_threadsafe(inbox.put, StopNowAsked())


def json_logs(settings: Settings) -> bool | None:
    """Return whether logs are JSON; None leaves it to whether stderr is a terminal."""
    return {"console": False, "json": True}.get(settings.logs.format)
