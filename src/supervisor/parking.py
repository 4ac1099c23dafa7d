"""The parked copies: for every job that takes long the coordinator holds one, until it is settled.

It is the only consumer of the node's queue of jobs in flight. What it holds it gives back to that
queue from time to time and gets again at once, so that no copy is unacked for too long; each time
it is judged anew. What nobody here works on goes back to its pool: ``core/parked.py`` decides.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from consumers import copies, jobs, logs
from consumers.broker.port import Delivery, Session
from consumers.clock import Clock
from consumers.errands import Errands
from consumers.errors import BrokerError, OccupiedError, UnreachableError
from consumers.kept import Kept
from consumers.topology import PoolQueues, inflight, pool_queues
from supervisor import nodes
from supervisor.book import Book, Holder, Key
from supervisor.core.parked import Fate, judge_parked
from supervisor.ledger import numbers
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.insist import insist
from supervisor.ledger.store import Ledger
from workers import messages
from workers.messages import Adopted

MOST = 50_000  # copies in hand at once; every slot has one at the most, but for moments

log = logs.get(__name__)

Tell = Callable[[Holder, Adopted], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Whose jobs in flight these are, how often they are refreshed, and where they belong."""

    node: str
    every: float  # seconds
    pools: tuple[PoolQueues, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Copy:
    """A parked copy in hand."""

    key: Key
    seq: int
    pool: str  # the public queue of the pool it ran in
    session: Session
    delivery: Delivery


class ParkingLot:
    """A tenant of a session of its own: another coordinator of its name may keep it out."""

    def __init__(self, plan: Plan, book: Book, ledger: Ledger, tell: Tell, clock: Clock) -> None:
        self._plan = plan
        self._pools = {pool.public: pool for pool in plan.pools}
        self._book = book
        self._ledger = ledger
        self._tell = tell
        self._clock = clock
        self._session: Session | None = None
        self._held: dict[Key, _Copy] = {}
        self._kept = Kept(clock, after=plan.every)
        self._refreshing: asyncio.Task[None] | None = None
        self._errands = Errands()
        self._opened = asyncio.Event()
        book.ended = self.review

    @property
    def is_open(self) -> bool:
        """Answer whether copies that are parked now come here, and nowhere else."""
        return self._opened.is_set()

    async def opened(self) -> Literal[True]:
        """Wait until that is so."""
        return await self._opened.wait()

    # --- the tenant -------------------------------------------------------------------------

    async def open(self, session: Session) -> None:
        """Take in hand what is parked, and be the only one who does.

        Raises:
            OccupiedError: somebody else does.
        """
        queue = inflight(self._plan.node)
        await nodes.enrol(session, self._plan.node, now=self._clock.utcnow())
        self._session = session
        receive = partial(self._receive, session)
        try:
            await session.consume(queue, prefetch=MOST, receive=receive, exclusive=True)
        except OccupiedError as error:
            raise OccupiedError(_occupied(self._plan.node)) from error
        if session is self._session:
            self._opened.set()
            self._refreshing = asyncio.ensure_future(self._refresh(session))

    def lost(self) -> None:
        """Forget what the ended session delivered; it comes again with the next."""
        self._session = None
        self._opened.clear()
        self._held.clear()
        self._kept.lost()
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = None

    async def close(self) -> None:
        """Finish what is under way."""
        await self._errands.finish()

    # --- what workers ask and say -----------------------------------------------------------

    async def number(self, holder: Holder, asked: messages.Parking) -> int:
        """Return the number of the copy that a running job is to be parked as; 0 for not now.

        Raises LedgerError.
        """
        key = (asked.queue_name, asked.job_id)
        running = self._book.running(key)
        if not self.is_open or running is None or running.holder != holder:
            return 0
        await running.begun.wait()
        return await self._ledger.write(partial(numbers.park, queue=key[0], job_id=key[1]))

    def parked(self, said: messages.Parked) -> None:
        """Note that a parked copy stands for a job's delivery."""
        self._book.park((said.queue_name, said.job_id), said.seq, is_owed=said.is_owed)
        self._errands.run(self._note(said))

    # --- news of jobs -----------------------------------------------------------------------

    def review(self, key: Key) -> None:
        """Look again at what is held for a job: something has become of its run."""
        copy = self._held.get(key)
        if copy is not None:
            self._errands.run(self._judge(copy))

    def finish(self, key: Key) -> None:
        """Let go of what is held for a job: its run is settled, and whatever follows is stored."""
        copy = self._held.get(key)
        if copy is not None:
            self._errands.run(self._ack(copy))

    # --- copies -----------------------------------------------------------------------------

    def _receive(self, session: Session, delivery: Delivery) -> None:
        if session is not self._session:
            return
        copy = _read(session, delivery)
        if copy is None:
            log.error("message of another program in a private queue, kept", queue=delivery.queue)
            self._kept.keep(session, delivery)
        else:
            self._errands.run(self._take(copy))

    async def _take(self, copy: _Copy) -> None:
        """Hold a copy, and no other of its job; have all know that it is stored."""
        rival = self._held.get(copy.key)
        if rival is not None and rival.seq > copy.seq:
            await self._ack(copy)
            return
        self._held[copy.key] = copy
        if rival is not None:
            await self._settle(rival)
        queue, job_id = copy.key
        met = partial(numbers.met, queue=queue, job_id=job_id, seq=copy.seq)
        try:
            await self._ledger.write(met)
        except LedgerError as error:
            log.info("parked copy not noted yet", job=job_id, why=str(error))
            return  # it is held, and met again when it is refreshed
        await self._judge(copy)

    async def _judge(self, copy: _Copy) -> None:
        queue, job_id = copy.key
        try:
            known = await self._ledger.known(queue, job_id)
        except LedgerError as error:
            log.info("parked copy not judged yet", job=job_id, why=str(error))
            return
        if self._held.get(copy.key) is not copy:
            return
        match judge_parked(copy.seq, known, in_hand=self._book.is_in_hand(copy.key)):
            case Fate.HOLD:
                running = self._book.running(copy.key)
                if running is not None and running.claim.seq < copy.seq:
                    self._tell(running.holder, Adopted(queue, job_id, copy.seq))
            case Fate.DONE:
                await self._ack(copy)
            case Fate.MOVE:
                await self._move(copy)

    async def _ack(self, copy: _Copy) -> None:
        self._let_go(copy)
        await self._settle(copy)

    async def _settle(self, copy: _Copy) -> None:
        try:
            await copy.session.ack(copy.delivery)
        except BrokerError as error:
            log.info("parked copy comes again", job=copy.key[1], why=str(error))

    async def _move(self, copy: _Copy) -> None:
        """Send a copy back to its pool; while that does not take it, it stays held."""
        self._let_go(copy)
        pool = self._pools.get(copy.pool) or pool_queues(copy.pool)
        facts = {"job": copy.key[1], "queue": pool.priority}
        try:
            await nodes.send_home(copy.session, copy.delivery, pool)
        except BrokerError as error:
            log.warning("parked job not sent back yet", why=str(error), **facts)
            if copy.session is self._session:
                self._held.setdefault(copy.key, copy)
        else:
            log.info("parked job sent back to its pool", **facts)

    async def _note(self, said: messages.Parked) -> None:
        note = partial(
            numbers.parked,
            queue=said.queue_name,
            job_id=said.job_id,
            seq=said.seq,
            is_owed=said.is_owed,
        )

        async def write() -> None:
            await self._ledger.write(note)

        await insist(write, worthwhile=lambda: True, clock=self._clock)

    def _let_go(self, copy: _Copy) -> None:
        if self._held.get(copy.key) is copy:
            del self._held[copy.key]

    async def _refresh(self, session: Session) -> None:
        """Give everything back from time to time: it comes straight back."""
        while True:
            await self._clock.sleep(self._plan.every)
            for copy in tuple(self._held.values()):
                self._let_go(copy)
                try:
                    await session.requeue(copy.delivery)
                except BrokerError:
                    return  # the session is over, and all comes again with the next


class Gatekeeper:
    """Watches the sessions of a parking lot; the broker itself is talked of elsewhere.

    ``is_well`` answers whether the coordinator's own session with the same broker is there.
    """

    def __init__(self, is_well: Callable[[], bool]) -> None:
        self._is_well = is_well
        self._said = ""

    def opened(self, peer: str) -> None:
        """Note that parked jobs are in our hands."""
        log.debug("parked jobs are kept here", peer=peer)
        self._said = ""

    def troubled(self, error: BrokerError, failed: int, delay: float) -> None:
        """Say in one line why jobs cannot be parked; nothing of an ordinary outage."""
        why = str(error)
        if isinstance(error, UnreachableError):
            self._said = ""
        if why != self._said and self._is_ours_alone(error, failed):
            log.error("jobs cannot be parked", why=why, next_try=f"{delay:.1f} s")
            self._said = why
        else:
            log.debug("no session for parked jobs", why=why, tries=failed)

    def _is_ours_alone(self, error: BrokerError, failed: int) -> bool:
        """Answer whether nobody else would say it: of a whole broker the postroom speaks."""
        if isinstance(error, OccupiedError):
            return True
        # At the first failure the other session may be about to end for the same reason.
        return not isinstance(error, UnreachableError) and failed > 1 and self._is_well()


def _read(session: Session, delivery: Delivery) -> _Copy | None:
    headers = delivery.message.properties.headers
    pool, job_id = nodes.home(delivery), headers.get(jobs.JOB_ID)
    seq = headers.get(jobs.SEQ)
    if pool is None or not isinstance(job_id, str) or not isinstance(seq, int):
        return None
    queue = copies.home_of(delivery.message, pool)
    return _Copy((queue, job_id), seq, pool, session, delivery)


def _occupied(node: str) -> str:
    return (
        f"{inflight(node)}: another coordinator with this node id ({node}) is alive: stop it, or "
        "delete the file node.id in the state folder of the copy; if there is none, the broker "
        "will soon notice that our last connection is gone"
    )
