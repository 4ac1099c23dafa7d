"""The foundations: parts of the house, built from the settings and from the parts they stand on.

Each is built once, in the order in which ``house.py`` asks for them.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial

from consumers.clock import Clock
from consumers.desk import DeadLetter
from consumers.errors import BrokerError
from consumers.kept import Kept
from supervisor.blueprints import OURSELVES, pool_card, retention_rules, spools
from supervisor.book import Book
from supervisor.bulletin import Bulletin
from supervisor.cancellations import Cancellations
from supervisor.chains import Chains
from supervisor.cleaning import Cleaning
from supervisor.clerk import Clerk, Telling
from supervisor.conditions import Conditions, Surroundings
from supervisor.config.settings import Role, Settings
from supervisor.convoy import Convoy
from supervisor.core.conditions import MEDIA_DISK, OWN_DISKS, Limits
from supervisor.core.fleet import Fleet
from supervisor.core.intake import Terms, called
from supervisor.core.notices import Texts
from supervisor.core.records import PoolCard
from supervisor.desks.events import Wanted
from supervisor.desks.queues import PoolShape
from supervisor.drains import Drains, Premises
from supervisor.gazette import Gazette
from supervisor.heralds import Heralds
from supervisor.hooks.runner import Hooks
from supervisor.inbox import Inbox
from supervisor.intake import Intake, Knocks
from supervisor.ledger import listing
from supervisor.ledger.cancellations import KNOCK
from supervisor.ledger.insist import insist
from supervisor.ledger.store import Ledger
from supervisor.letters import Around as AroundLetters
from supervisor.letters import LetterDesk
from supervisor.log_files import LogFiles
from supervisor.logbook import Logbook
from supervisor.notify.sinks import Sink
from supervisor.notify.templates import load_texts
from supervisor.on_demand import Around, OnDemand
from supervisor.parking import ParkingLot, Plan
from supervisor.pauses import Pauses
from supervisor.pools import PoolOffice
from supervisor.ports import Status
from supervisor.poster import Poster
from supervisor.postroom import Postroom
from supervisor.queue_desk import Hands, QueueDesk
from supervisor.replies import Replies
from supervisor.retries import RetryCounts
from supervisor.salvage import Salvage
from supervisor.scheduler import Scheduler
from supervisor.standing import Standing, Views, open_slots
from supervisor.steering import Helm, Pilot
from supervisor.storeroom import Storeroom, Upkeep
from supervisor.switchboard import Switchboard
from supervisor.timetables import Calls, Timetables
from supervisor.turnstile import Turnstiles
from workers import holdings
from workers.spec import EMBEDDED


@dataclass(frozen=True, slots=True)
class Foundations:
    """What every part stands on."""

    settings: Settings
    ledger: Ledger
    clock: Clock

    def cards(self) -> list[PoolCard]:
        """Return what the parts know the pools by."""
        return [pool_card(pool, self.settings) for pool in self.settings.workers.values()]

    def own_cards(self) -> list[PoolCard]:
        """Return the cards of the pools that are ours to look after."""
        return [card for card in self.cards() if card.name in self.settings.own]

    def texts(self) -> Texts:
        """Return the texts of notices, read anew."""
        notify = self.settings.notify
        pools = {name: pool.processor for name, pool in self.settings.workers.items()}
        return load_texts(notify.language, notify.templates, pools=pools)

    def clerk(self, sinks: list[Sink], poke: Callable[[], None], bulletin: Bulletin) -> Clerk:
        """Return who writes what becomes of jobs; ``poke`` says that a notice is written."""
        telling = Telling([sink.name for sink in sinks], self.texts(), poke)
        return Clerk(self.ledger, self.cards(), telling, bulletin, self.clock)

    async def salvage(self, clerk: Clerk) -> None:
        """Write down what the workers of a supervisor that was killed had done."""
        pools = () if self.settings.role is Role.API else self.settings.own
        await Salvage(self.ledger, clerk, pools).run(spools(self.settings))

    def keep(self) -> Kept:
        """Return a place for dead letters that the ledger does not take yet."""
        return Kept(self.clock, after=self.settings.park_after)

    def lot(self, plan: Plan | None, clerk: Clerk, switchboard: Switchboard) -> ParkingLot | None:
        """Return where jobs that take long are parked, if they are, known to both."""
        if plan is None:
            return None
        lot = ParkingLot(plan, clerk.book, self.ledger, switchboard.send, self.clock)
        clerk.park_in(lot)
        switchboard.lot = lot
        return lot

    def turnstiles(self, switchboard: Switchboard) -> Turnstiles:
        """Return where the pools with a rate have their permits from, known to the switchboard."""
        turnstiles = Turnstiles(self.ledger, self.cards(), switchboard.send, self.clock)
        switchboard.turnstiles = turnstiles
        return turnstiles

    def heralds(self, clerk: Clerk, bulletin: Bulletin) -> Heralds:
        """Return who carries what happens to others; the clerk has answers sent by them."""
        settings, clock = self.settings, self.clock
        clerk.replies = replies = Replies(self.ledger, bulletin, clock)
        gazette, hooks = None, None
        if settings.events.exchange and settings.broker != EMBEDDED:
            wanted = Wanted(names=frozenset(settings.events.only))
            gazette = Gazette(bulletin, settings.events.exchange, wanted, clock)
        if settings.hooks:
            hooks = Hooks(settings.hooks, bulletin, clock, limit=settings.hook_timeout)
        return Heralds(replies, gazette, hooks)

    def chains(self, clerk: Clerk, bulletin: Bulletin) -> Chains:
        """Return who brings chains to their end, telling users as the clerk does."""
        return Chains(self.ledger, lambda: clerk.telling, bulletin, self.clock)

    def poster(self, postroom: Postroom, clerk: Clerk, bulletin: Bulletin) -> Poster:
        """Return who publishes what is pending, poked when that may go well, or more is."""
        poster = Poster(self.ledger, postroom, self.cards(), bulletin, self.clock)
        postroom.takes_jobs = clerk.followed = poster.poke
        return poster

    def scheduler(self, poster: Poster) -> Scheduler:
        """Return who enters the jobs that come by themselves."""
        pools, configured = self._by_name(), self.settings.schedules or {}
        return Scheduler(self.ledger, pools, configured, entered=poster.poke)

    def timetables(self, scheduler: Scheduler, poster: Poster) -> Timetables:
        """Return who answers about schedules."""
        calls, limit = Calls(scheduler.poke, poster.poke), self.settings.body_limit
        return Timetables(self.ledger, self._by_name(), calls, body_limit=limit)

    def retries(self) -> RetryCounts:
        """Return who answers about retries."""
        policies = {name: pool.retry for name, pool in self.settings.workers.items()}
        return RetryCounts(self.ledger, self._by_name(), policies)

    def logbook(self, fleet: Callable[[], Fleet]) -> Logbook:
        """Return who answers about logs."""
        keep, files = self.settings.logs.keep, LogFiles(self.settings.log_folder)
        return Logbook(files, self.clock, lambda: fleet().workers, is_kept=keep > 0)

    def _by_name(self) -> Mapping[str, PoolCard]:
        return {card.name: card for card in self.cards()}

    def storeroom(self) -> Storeroom:
        """Return who looks after the media folder."""
        upkeep = Upkeep(self.settings.media_keep, self.settings.media_quota)
        return Storeroom(self.settings.media, upkeep, self._ends, self.clock)

    def conditions(self, around: Surroundings) -> Conditions:
        """Return who watches the machine."""
        settings = self.settings
        limits = Limits(settings.min_free_disk, settings.min_free_memory, settings.media_quota)
        own = {"state": settings.state}
        if self.ledger.folder is not None:
            own = {"ledger": self.ledger.folder} | own
        media = {} if settings.role is Role.API else {MEDIA_DISK: settings.media}
        folders = media | {OWN_DISKS[name]: own[name] for name in own}
        return Conditions(limits, folders, around, self.clock)

    def hands(self, premises: Premises, poster: Poster, book: Book) -> Hands:
        """Return who does what is asked at the desk for queues."""
        ledger, clock, cards = self.ledger, self.clock, self.cards()
        bulletin, keep = premises.bulletin, self.settings.retention
        return Hands(
            ledger,
            Pauses(cards, ledger, premises.gates, bulletin, clock),
            Drains(self.own_cards(), premises, book, clock),
            Cleaning(retention_rules(keep), keep.intake, ledger, bulletin, clock),
            poster,
            self.intake(poster),
        )

    def intake(self, poster: Poster) -> Intake:
        """Return who takes in what other programs put into the ledger."""
        settings = self.settings
        known, own = self._by_name(), {card.name: card for card in self.own_cards()}
        terms = Terms(called(own), settings.body_limit, known)
        is_alone = not (self.ledger.is_shared or settings.is_errand)
        return Intake(self.ledger, terms, settings.intake, poster.poke, is_alone=is_alone)

    def cancellations(self, convoy: Convoy, bulletin: Bulletin) -> Cancellations:
        """Return who cancels jobs that run here when another machine is asked to."""
        return Cancellations(self.ledger, convoy.cancelled, bulletin, self.clock)

    def knocks(self, cancellations: Cancellations) -> Knocks | None:
        """Return who says when rows were put in, if the ledger has somebody who knows."""
        if not self.ledger.is_shared:
            return None
        # Loaded when it is asked for: most ledgers are files, and psycopg may not be installed.
        from supervisor.ledger.listening import INTAKE, listen  # noqa: PLC0415

        def knocks(taken_in: Callable[[], None]) -> Coroutine[None, None, None]:
            heard = {INTAKE: taken_in, KNOCK: cancellations.knock}
            return listen(self.settings.ledger, heard, clock=self.clock)

        return knocks

    def queue_desk(self, hands: Hands, status: Callable[[], Awaitable[Status]]) -> QueueDesk:
        """Return who is asked about queues."""
        pools = self.settings.workers.values()
        shapes = {pool.name: PoolShape(pool.instances, pool.concurrency) for pool in pools}
        return QueueDesk(self.cards(), shapes, hands, status, self.clock)

    def letter_desk(self, clerk: Clerk, hands: Hands, bulletin: Bulletin) -> LetterDesk:
        """Return who is asked about dead letters."""
        paused, limit = hands.pauses.now, self.settings.body_limit
        poke = hands.poster.poke
        around = AroundLetters(self.ledger, clerk.book, poke, bulletin, paused)
        return LetterDesk(self.cards(), around, self.clock, body_limit=limit)

    def pilot(
        self, helm: Helm, postroom: Postroom, fleet: Callable[[], Fleet], *, is_exact: bool
    ) -> Convoy:
        """Return who steers jobs; ``is_exact`` where it is known which message is which."""
        pools = self.settings.workers

        def slots(pool: str) -> int:
            workers = [one for one in fleet().workers.values() if one.pool == pool]
            return open_slots(workers, pools[pool].concurrency)

        views = Views(self.ledger, postroom, helm.book, slots)
        standing = Standing(self.cards(), views, self.clock, is_exact=is_exact)
        grace = self.settings.cancel_grace
        helm = replace(helm, scales={card.name: card.scale for card in self.cards()})
        pilot = Pilot(helm, self.ledger, standing, self.clock, grace=grace)
        return Convoy(pilot, self.ledger, helm.book)

    def on_demand(self, around: Around) -> OnDemand:
        """Return who has pools worked off when somebody asks for it."""
        return OnDemand(self.cards(), around, self.clock)

    def pools(self, fleet: Callable[[], Fleet], inbox: Inbox, on_demand: OnDemand) -> PoolOffice:
        """Return who is asked about pools."""
        office = PoolOffice(self.settings.workers, fleet, inbox, on_demand, self.clock)
        office.works = self.settings.role is not Role.API
        return office

    async def _ends(self, folders: Collection[str]) -> Mapping[str, bool]:
        return await self.ledger.read(partial(listing.ends, names=folders, named=holdings.key))


@dataclass(frozen=True, slots=True)
class Undertaker:
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
