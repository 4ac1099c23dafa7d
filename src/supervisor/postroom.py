"""The coordinator's own session with the broker: publishes, counts, minds orphaned dead letters."""

import asyncio
from collections.abc import Iterable, Mapping

from consumers import logs
from consumers.broker.port import Message, Session
from consumers.dead_letters import DeadLetterConsumer
from consumers.desk import Undertaker
from consumers.errands import Errands
from consumers.errors import BrokerError, UnreachableError
from consumers.topology import PoolQueues
from supervisor.ports import BrokerView

log = logs.get(__name__)

START_ONE = "start RabbitMQ: docker compose -f docker-compose.rabbitmq.yml up -d"
NOT_CONNECTED = "no session with the broker yet"


class Postroom:
    """A tenant of the coordinator's session; knows whether the broker can be reached."""

    def __init__(
        self, address: str, pools: Mapping[str, PoolQueues], undertaker: Undertaker
    ) -> None:
        self._address = address
        self._pools = pools
        self._session: Session | None = None
        self._why = NOT_CONNECTED
        self._minders = {
            name: DeadLetterConsumer(queues, undertaker) for name, queues in pools.items()
        }
        self._minded: set[str] = set()
        self._unattended: frozenset[str] = frozenset()
        self._errands = Errands()
        self._lock = asyncio.Lock()

    # --- the tenant -------------------------------------------------------------------------

    async def open(self, session: Session) -> None:
        """Declare every pool's queues."""
        for queues in self._pools.values():
            await session.declare(queues)
        self._session = session
        self._errands.run(self._mind())

    def lost(self) -> None:
        """Forget the ended session."""
        self._session = None
        for name in self._minded:
            self._minders[name].lost()
        self._minded.clear()

    # --- the watcher ------------------------------------------------------------------------

    def opened(self, peer: str) -> None:
        """Say that the broker is there."""
        self._why = ""
        log.info("broker connected", broker=self._address, peer=peer)

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        """Say in one line that it is not there and what to do; then only that we still wait."""
        is_news, self._why = str(error) != self._why, str(error)
        facts = {"tries": failed, "next_try": f"{delay:.1f} s"}
        if not is_news:
            log.info("broker still away", broker=self._address, **facts)
            return
        hint = {"hint": START_ONE} if "refused" in self._why else {}
        log.warning(
            "broker away, waiting for it", broker=self._address, why=self._why, **hint, **facts
        )

    @property
    def view(self) -> BrokerView:
        """Return the broker as people see it."""
        return BrokerView(self._address, connected=self._session is not None, why=self._why)

    # --- its work ---------------------------------------------------------------------------

    async def publish(self, queue: str, message: Message, *, delay: float) -> None:
        """Store a job. Raises BrokerError when it cannot be stored now."""
        if self._session is None:
            raise UnreachableError(self._why or NOT_CONNECTED)
        await self._session.publish(queue, message, delay=delay)

    async def depth(self, name: str) -> int | None:
        """Return how many jobs of a pool are ready; None while nobody knows."""
        session, queues = self._session, self._pools[name]
        if session is None:
            return None
        try:
            return await session.depth(queues.public) + await session.depth(queues.priority)
        except BrokerError:
            return None

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
