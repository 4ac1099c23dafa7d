"""The gazette: events for other programs, published to an exchange in RabbitMQ, best effort.

While the broker is away the newest wait and the oldest give way; how many were lost is counted and
said once. They are written many at a time, and nothing that goes wrong here touches a job.
"""

import asyncio
from collections.abc import Iterator, Sequence

from consumers import logs
from consumers.broker.port import Message, Note, Session
from consumers.clock import Clock
from consumers.errors import BrokerError
from consumers.jobs import Properties
from consumers.topology import Exchange, Layout
from supervisor import news
from supervisor.bulletin import Bulletin
from supervisor.desks.events import News, Told, Wanted
from supervisor.ports import EventsView

BUFFER = 5000  # events that wait while the broker is away
PACE = 0.05  # seconds between two writes: many events cost little more than one
AGAIN = 5.0  # seconds after which the broker is asked again that said no
THIN = 1.0  # seconds: of one job no more than one progress event in that time

log = logs.get(__name__)


class Gazette:
    """A tenant of the coordinator's session."""

    def __init__(self, bulletin: Bulletin, exchange: str, wanted: Wanted, clock: Clock) -> None:
        self._bulletin = bulletin
        self._exchange = exchange
        self._tray = bulletin.listen(wanted, backlog=BUFFER)
        self._clock = clock
        self._session: Session | None = None
        self._has_session = asyncio.Event()
        self._is_laid = False  # the exchange is there, as far as this session knows
        self._unsent: tuple[Told, ...] = ()
        self._progressed: dict[tuple[str, str], float] = {}  # by job, when that was last told
        self._why = ""  # nothing can be published just now
        self._missed_now = 0  # and not said yet
        self._is_over = asyncio.Event()
        self.published = 0
        self.missed = 0

    @property
    def view(self) -> EventsView:
        """Return how it fares, for people."""
        return EventsView(self._exchange, self.published, self.missed, self._why)

    # --- the tenant -------------------------------------------------------------------------

    async def open(self, session: Session) -> None:
        """Publish by this session from now on."""
        self._session, self._is_laid = session, False
        self._has_session.set()

    def lost(self) -> None:
        """Keep the newest events for the next session."""
        self._session = None
        self._has_session.clear()

    # --- its work ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Publish what happens, until there is no more."""
        try:
            while await self._gather():
                await self._has_session.wait()
                session = self._session
                if session is not None and await self._write(session):
                    await self._clock.sleep(PACE)
                else:
                    await self._clock.sleep(AGAIN)
        finally:
            self._is_over.set()

    async def close(self) -> None:
        """Publish what is left, if there is a session."""
        self._bulletin.hand_out()
        self._tray.close()
        if self._session is not None and not self._why:
            await self._is_over.wait()

    async def _gather(self) -> bool:
        """Take what happened; answers whether there is, or may be, something to write."""
        if self._unsent:
            return True
        taken = await self._tray.take()
        if taken is None:
            return False
        self._count(taken)
        self._unsent = tuple(self._thinned(taken.told))
        return True

    def _count(self, taken: News) -> None:
        self.missed += taken.missed or 0
        self._missed_now += taken.missed or 0

    async def _write(self, session: Session) -> bool:
        """Write what is unsent; answers whether it is written."""
        notes = [self._note(told) for told in self._unsent]
        try:
            if not self._is_laid:
                await session.lay(Layout(exchanges=(Exchange(self._exchange),)))
                self._is_laid = True
            if notes:
                await session.announce(notes)
        except BrokerError as error:
            self._is_laid = False
            self._complain(error)
            return False
        self.published += len(notes)
        self._unsent = ()
        self._be_well()
        return True

    def _note(self, told: Told) -> Note:
        properties = Properties(
            message_id=told.key,
            content_type="application/json",
            type=told.name,
            timestamp=told.at,
        )
        key = news.route(told.name, told.queue)
        return Note(self._exchange, key, Message(told.body, properties))

    def _thinned(self, told: Sequence[Told]) -> Iterator[Told]:
        """Yield events, of one job no more than one about its progress in a while."""
        now = self._clock.monotonic()
        recent = {job: at for job, at in self._progressed.items() if now - at < THIN}
        for each in told:
            job = (each.queue, each.job)
            if each.name != "progress":
                yield each
            elif job not in recent:
                recent[job] = now
                yield each
        self._progressed = recent

    def _complain(self, error: BrokerError) -> None:
        if str(error) != self._why and self._session is not None:
            log.warning(
                "events not published for now",
                exchange=self._exchange,
                why=str(error),
                hint=error.hint,
            )
        self._why = str(error)

    def _be_well(self) -> None:
        if self._missed_now:
            log.warning("events lost", exchange=self._exchange, count=self._missed_now)
        elif self._why:
            log.info("events published again", exchange=self._exchange)
        self._why, self._missed_now = "", 0
