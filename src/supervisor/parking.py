"""The parked copies: for every job that takes long the coordinator holds one, until it is settled.

It is the only consumer of the node's queue of jobs in flight. What it holds it gives back to that
queue from time to time and gets again at once, so that no copy is unacked for too long; each time
it is judged anew. What nobody here works on goes back to its pool: ``core/parked.py`` decides. When
the ledger or the pool's lane is in the way, a copy stays held, and is judged again soon.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from consumers import copies, jobs, logs
from consumers.broker.port import Delivery, Session
from consumers.clock import Clock
from consumers.errands import Errands
from consumers.errors import BrokerError, OccupiedError
from consumers.kept import Kept
from consumers.topology import PoolQueues, inflight, pool_queues
from supervisor import nodes
from supervisor.book import Book, Holder, Key
from supervisor.core.parked import Fate, again, judge_parked
from supervisor.ledger import numbers
from supervisor.ledger.errors import LedgerClosedError, LedgerError
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


@dataclass(slots=True, eq=False)
class _Copy:
    """A parked copy in hand, and how it fares with being judged."""

    key: Key
    seq: int
    pool: str  # the public queue of the pool it ran in
    session: Session
    delivery: Delivery
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # one judges it at a time
    is_noted: bool = False  # the ledger knows that it is stored
    failed: int = 0  # times in a row
    is_waiting: bool = False  # to be judged again
    said: str = ""  # why, when that was last told


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
        self._pauses = Errands()  # before a copy is judged again; may be broken off
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
        """Finish what is under way; take nothing more in hand, and judge nothing again."""
        self._session = None
        await self._pauses.cancel()
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
        running.may_be_acked = True  # by its copy, and that is heard of afterwards
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
        await self._hold(copy)
        await self._judge(copy)

    async def _hold(self, copy: _Copy) -> None:
        """Hold a copy, and no other of its job: the newest there is."""
        rival = self._held.get(copy.key)
        if rival is not None and rival.seq > copy.seq:
            await self._settle(copy)
            return
        self._held[copy.key] = copy
        if rival is not None:
            await self._settle(rival)

    async def _judge(self, copy: _Copy) -> None:
        """Do with a held copy what is to be done; if that cannot be, try again soon."""
        async with copy.turn:
            if self._held.get(copy.key) is not copy:
                return
            try:
                await self._dispose(copy)
            except (LedgerError, BrokerError) as error:
                self._judge_later(copy, error)
            else:
                copy.failed, copy.said = 0, ""

    async def _dispose(self, copy: _Copy) -> None:
        """Find out what is to become of a copy, and do it.

        Raises:
            LedgerError: that is not known.
            BrokerError: it could not be done.
        """
        queue, job_id = copy.key
        if not copy.is_noted:
            await self._ledger.write(partial(numbers.met, queue=queue, job_id=job_id, seq=copy.seq))
            copy.is_noted = True
        known = await self._ledger.known(queue, job_id)
        if self._held.get(copy.key) is not copy:
            return
        match judge_parked(copy.seq, known, in_hand=self._book.is_in_hand(copy.key)):
            case Fate.HOLD:
                running = self._book.running(copy.key)
                if running is not None and running.claim.seq < copy.seq:
                    running.may_be_acked = True
                    self._tell(running.holder, Adopted(queue, job_id, copy.seq))
            case Fate.DONE:
                await self._ack(copy)
            case Fate.MOVE:
                await self._move(copy)

    def _judge_later(self, copy: _Copy, error: LedgerError | BrokerError) -> None:
        """Have a copy judged again after a pause, unless it is not ours any more."""
        is_ours = self._held.get(copy.key) is copy and copy.session is self._session
        if copy.is_waiting or not is_ours or isinstance(error, LedgerClosedError):
            return
        copy.is_waiting = True
        copy.failed += 1
        delay = again(copy.failed, roll=self._clock.roll())
        _say_why(copy, error, delay)
        self._pauses.run(self._judge_after(delay, copy))

    async def _judge_after(self, delay: float, copy: _Copy) -> None:
        await self._clock.sleep(delay)
        copy.is_waiting = False
        # Beside: the pause may be broken off, the judging may not.
        self._errands.run(self._judge(copy))

    async def _ack(self, copy: _Copy) -> None:
        self._let_go(copy)
        await self._settle(copy)

    async def _settle(self, copy: _Copy) -> None:
        try:
            await copy.session.ack(copy.delivery)
        except BrokerError as error:
            log.info("parked copy comes again", job=copy.key[1], why=str(error))

    async def _move(self, copy: _Copy) -> None:
        """Send a copy back to its pool.

        Raises:
            BrokerError: it is held as before, if its session is still there.
        """
        self._let_go(copy)
        pool = self._pools.get(copy.pool) or pool_queues(copy.pool)
        try:
            await nodes.send_home(copy.session, copy.delivery, pool)
        except BrokerError:
            if copy.session is self._session:
                await self._hold(copy)
            raise
        log.info("parked job sent back to its pool", job=copy.key[1], queue=pool.priority)

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

        await insist(write, clock=self._clock)

    def _let_go(self, copy: _Copy) -> None:
        if self._held.get(copy.key) is copy:
            del self._held[copy.key]

    async def _refresh(self, session: Session) -> None:
        """Give everything back from time to time: it comes straight back."""
        while True:
            await self._clock.sleep(self._plan.every)
            for copy in tuple(self._held.values()):
                if self._held.get(copy.key) is not copy:
                    continue  # it was settled, or is being sent back, since we began
                self._let_go(copy)
                try:
                    await session.requeue(copy.delivery)
                except BrokerError:
                    return  # the session is over, and all comes again with the next


def _read(session: Session, delivery: Delivery) -> _Copy | None:
    headers = delivery.message.properties.headers
    pool, job_id = nodes.home(delivery), headers.get(jobs.JOB_ID)
    seq = headers.get(jobs.SEQ)
    if pool is None or not isinstance(job_id, str) or not isinstance(seq, int):
        return None
    queue = copies.home_of(delivery.message, pool)
    return _Copy((queue, job_id), seq, pool, session, delivery)


def _say_why(copy: _Copy, error: LedgerError | BrokerError, delay: float) -> None:
    """Say once why a copy is not sent back; of a ledger in trouble others speak, for all copies."""
    facts = {"job": copy.key[1], "why": str(error), "next_try": f"{delay:.1f} s"}
    if str(error) == copy.said or isinstance(error, LedgerError):
        log.debug("parked copy not judged yet", tries=copy.failed, **facts)
    else:
        log.warning("parked job not sent back yet", queue=copy.pool, **facts)
    copy.said = str(error)


def _occupied(node: str) -> str:
    return (
        f"{inflight(node)}: another coordinator with this node id ({node}) is alive: stop it, or "
        "delete the file node.id in the state folder of the copy; if there is none, the broker "
        "will soon notice that our last connection is gone"
    )
