"""The coordinator's own session with the broker: publishes, counts, minds orphaned dead letters."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from consumers import logs
from consumers.broker.port import Message, Session
from consumers.dead_letters import DeadLetterConsumer
from consumers.desk import Undertaker
from consumers.errands import Errands
from consumers.errors import BrokerError, ForbiddenError, UnreachableError
from consumers.kept import Kept, usual
from consumers.survey import survey
from consumers.topology import PoolQueues, oversized, plain
from supervisor.inquiry import Inquiry
from supervisor.ports import BrokerView

log = logs.get(__name__)

NOT_CONNECTED = "no session with the broker yet"
CONFIRM = 25.0  # seconds for the broker to confirm a job
SOON = 1.0  # second: whoever asks how things stand does so when the broker does not answer, too


@dataclass(frozen=True, slots=True)
class Figures:
    """What a pool's queues hold; None while nobody knows."""

    ready: int | None = None  # jobs
    oversized: int | None = None  # dead letters that were too large


class Postroom:
    """A tenant of the coordinator's session; knows whether the broker can be reached."""

    def __init__(
        self,
        address: str,
        pools: Mapping[str, PoolQueues],
        undertaker: Undertaker,
        keep: Callable[[], Kept] = usual,
        own: Collection[str] | None = None,
    ) -> None:
        """Look after the queues of our ``own`` pools (None: all); those of others are declared."""
        self._address = address
        self._pools = pools
        self._own = pools if own is None else {name: pools[name] for name in own}
        self._session: Session | None = None
        self._why = NOT_CONNECTED
        self._alarm: BrokerError | None = None
        self._gravest: BrokerError | None = None  # that was said of the outage there is
        self.outages = 0  # so far
        self._minders = {
            name: DeadLetterConsumer(queues, undertaker, keep()) for name, queues in pools.items()
        }
        self._minded: set[str] = set()
        self._unattended: frozenset[str] = frozenset()
        self._inquiries = {name: Inquiry(partial(self._look, name)) for name in pools}
        self._errands = Errands()
        self._lock = asyncio.Lock()
        self._warned: set[str] = set()  # dangers that were spoken of
        self.takes_jobs: Callable[[], None] = _nobody_waits  # told when publishing may go well

    # --- the tenant -------------------------------------------------------------------------

    async def open(self, session: Session) -> None:
        """Declare every pool's queues."""
        for queues in self._pools.values():
            await session.declare(queues)
        self._session = session
        self._errands.run(self._mind())
        self._errands.run(self._survey(session))
        self._errands.run(self._lay(session))
        self.takes_jobs()

    def lost(self) -> None:
        """Forget the ended session."""
        self._session = None
        for minder in self._minders.values():  # those of pools that have a worker again too
            minder.lost()
        self._minded.clear()

    # --- the watcher ------------------------------------------------------------------------

    def opened(self, peer: str) -> None:
        """Say that the broker is there."""
        self._why, self._alarm, self._gravest = "", None, None
        log.info("broker connected", broker=self._address, peer=peer)

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        """Say in one line that it is not there and what to do; then only that we still wait."""
        is_news, self._why = str(error) != self._why, str(error)
        facts: dict[str, object] = {"tries": failed, "next_try": f"{delay:.1f} s"}
        if is_news:
            hint = {"hint": error.hint} if error.hint else {}
            facts = {"why": self._why, **hint, **facts}
        if _is_graver(error, self._gravest):
            self._gravest = error
            self.outages += 1
            log.warning("broker away, waiting for it", broker=self._address, **facts)
        else:
            log.info("broker still away", broker=self._address, **facts)

    def alarmed(self, alarm: BrokerError | None) -> None:
        """Say that the broker takes no publish for now, or does again."""
        self._alarm = alarm
        if alarm is None:
            log.info("broker takes publishes again", broker=self._address)
            self.takes_jobs()
        else:
            log.warning(
                "broker takes no publish, copies wait",
                broker=self._address,
                why=str(alarm),
                hint=alarm.hint,
            )

    @property
    def is_connected(self) -> bool:
        """Answer whether there is a session."""
        return self._session is not None

    @property
    def view(self) -> BrokerView:
        """Return the broker as people see it."""
        return BrokerView(self._address, connected=self._session is not None, why=self._why)

    # --- its work ---------------------------------------------------------------------------

    async def publish(self, queue: str, message: Message, *, delay: float) -> None:
        """Store a job. Raises BrokerError when it cannot be stored now."""
        if self._session is None:
            raise UnreachableError(self._why or NOT_CONNECTED)
        if self._alarm is not None:
            raise UnreachableError(self._alarm.advised)
        try:
            async with asyncio.timeout(CONFIRM):
                await self._session.publish(queue, message, delay=delay)
        except TimeoutError as error:
            raise self._unconfirmed() from error

    async def depth(self, name: str) -> int | None:
        """Return how many jobs of a pool are ready; None while nobody knows."""
        session, queues = self._session, self._pools[name]
        if session is None:
            return None
        try:
            return await session.depth(queues.public) + await session.depth(queues.priority)
        except BrokerError:
            return None

    async def figures(self, name: str) -> Figures:
        """Return what a pool's queues hold, for people: they would rather hear than wait."""
        found = await self._inquiries[name].answer(within=SOON)
        return Figures() if found is None else found

    async def purge(self, name: str, *, delayed: bool) -> int:
        """Throw away what is ready in a pool's two lanes, and return how much that was.

        Raises BrokerError.
        """
        session, queues = self._session, self._pools[name]
        if session is None:
            raise UnreachableError(self._why or NOT_CONNECTED)
        purged = await session.purge(queues.public)
        return purged + await session.purge(queues.priority, delayed=delayed)

    async def oversized(self, name: str) -> int | None:
        """Return how many dead letters of a pool were too large; None while nobody knows."""
        if self._session is None:
            return None
        try:
            return await self._session.depth(oversized(self._pools[name].dead))
        except BrokerError:
            return None

    async def _look(self, name: str) -> Figures:
        return Figures(*await asyncio.gather(self.depth(name), self.oversized(name)))

    def staying(self, name: str) -> int:
        """Return how many such letters of a pool are in our own hand and stay where they are."""
        return self._minders[name].staying

    def attend(self, unattended: Iterable[str]) -> None:
        """Take over the dead letters of the pools that have no living worker, and only theirs."""
        wanted = frozenset(unattended)
        if wanted != self._unattended:
            self._unattended = wanted
            self._errands.run(self._mind())

    async def close(self) -> None:
        """Finish the dead letters in hand."""
        await self._errands.finish()
        for name in tuple(self._minded):
            await self._minders[name].drain()

    def _unconfirmed(self) -> UnreachableError:
        if self._alarm is not None:
            return UnreachableError(self._alarm.advised)
        return UnreachableError(f"the broker has not confirmed the job within {CONFIRM:g} s")

    async def _survey(self, session: Session) -> None:
        """Warn of queues that somebody declared so that they lose messages, once for each."""
        try:
            for queues in self._own.values():
                for danger in await survey(session, queues):
                    if danger not in self._warned:
                        self._warned.add(danger)
                        log.warning("queue may lose messages", why=danger)
        except BrokerError as error:
            log.info("queues not looked at", why=str(error))

    async def _lay(self, session: Session) -> None:
        """Have the queues of letters too large be there: to ask for one in vain is an error."""
        try:
            for queues in self._pools.values():
                await session.lay(plain(oversized(queues.dead)))
        except BrokerError as error:
            log.info("queue for dead letters too large not declared", why=str(error))

    async def _mind(self) -> None:
        async with self._lock:
            session = self._session
            if session is None:
                return
            try:
                for name in self._minded - self._unattended:
                    await self._minders[name].drain()
                    self._minded.discard(name)
                for name in self._unattended - self._minded:
                    await self._minders[name].open(session)
                    if session is not self._session:
                        return  # it ended meanwhile; the next one minds them
                    self._minded.add(name)
            except BrokerError as error:
                log.info("dead letters wait for the next session", why=str(error))


def _nobody_waits() -> None:
    """Take no notice."""


def _is_graver(error: BrokerError, said: BrokerError | None) -> bool:
    """Answer whether somebody should look who was not called yet in this outage."""
    return said is None or (
        isinstance(error, ForbiddenError) and not isinstance(said, ForbiddenError)
    )
