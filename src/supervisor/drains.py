"""Drains: what waits in a queue is removed, from the broker and from the ledger.

The order is what makes it safe. Rows first: whatever is delivered from then on is dropped by its
row. Then the messages. Then the rows once more: those of jobs that were entered meanwhile, whose
messages may have gone with the others; a row whose message is gone would wait for ever. Meanwhile
the pool is held, so that what its workers had not begun is back in the queue.

That a drain is under way is in the ledger from the first to the last step. One that was broken off,
by a kill or by a ledger in trouble, is made up for: what waited when it began is removed; all else
that waits by then may have lost its message, and is published once more. So is a job in hand whose
run ends without an outcome: its own message may have come back, and be gone with the others.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from consumers import logs
from consumers.clock import Clock
from consumers.errands import Errands
from consumers.errors import BrokerError
from supervisor.book import Book, Key, Running
from supervisor.bulletin import Bulletin
from supervisor.core.records import PoolCard
from supervisor.desks.queues import Drained
from supervisor.ledger import controls, draining
from supervisor.ledger.controls import Drain
from supervisor.ledger.draining import Scope, Sweep
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.insist import insist
from supervisor.ledger.store import Ledger
from supervisor.pauses import Gates
from supervisor.ports import BrokerAwayError, Event, NotNowError
from supervisor.postroom import Postroom

HOLD = "drain"
GIVEN_BACK = 0.3  # seconds that workers have to give back what they have not begun
LOOKS = 10  # in all, until nothing more is given back

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Premises:
    """Where jobs wait, who brings them there, and who is told."""

    ledger: Ledger
    postroom: Postroom
    gates: Gates
    bulletin: Bulletin


class Drains:
    """Empties queues, one at a time."""

    def __init__(
        self, pools: Iterable[PoolCard], premises: Premises, book: Book, clock: Clock
    ) -> None:
        self._pools = {pool.queues.public: pool for pool in pools}
        self._ledger = premises.ledger
        self._postroom = premises.postroom
        self._gates = premises.gates
        self._bulletin = premises.bulletin
        self._clock = clock
        self._book = book
        self._errands = Errands()
        self._turn = asyncio.Lock()

    async def begin(self) -> None:
        """Make up for what was broken off in an earlier life of ours. Raises LedgerError."""
        for drain in await self._ledger.read(controls.draining):
            pool = self._pools.get(drain.queue)
            if pool is not None:  # else it is of another supervisor with this ledger
                await self._make_up(pool, drain)

    def take_up(self) -> None:
        """Make up for what another coordinator broke off, whose heir we are now."""
        self._errands.run(self._take_up())

    async def drain(self, pool: PoolCard, *, delayed: bool) -> Drained:
        """Remove what waits.

        Raises:
            BrokerAwayError: the broker is away, or went away in between.
            NotNowError: another coordinator drains the queue, or did when it went.
            LedgerError: the ledger takes nothing now.
        """
        if not self._postroom.is_connected:
            why = f"{pool.queues.public}: nothing was removed, the broker is away; try again"
            raise BrokerAwayError(why)
        scope = Scope.DELAYED if delayed else Scope.WAITING
        async with self._held(pool):
            try:
                drained = await self._drain(pool, scope)
            except (LedgerError, asyncio.CancelledError):
                self._errands.run(self._finish(pool))
                raise
        self._tell(drained)
        return drained

    @asynccontextmanager
    async def _held(self, pool: PoolCard) -> AsyncIterator[None]:
        """Have nothing new be begun by a pool's workers, and nobody else drain."""
        async with self._turn:
            self._gates.hold(pool.name, HOLD, "its queue is being drained")
            self._book.drained.add(pool.name)
            try:
                yield
            finally:
                self._book.drained.discard(pool.name)
                self._gates.release(pool.name, HOLD)

    async def _drain(self, pool: PoolCard, scope: Scope) -> Drained:
        in_hand = dict(self._book.runs_in(pool.name))
        try:
            return await self._empty(pool, scope, [job_id for _, job_id in in_hand.values()])
        finally:
            in_hand |= self._book.runs_in(pool.name)
            for run, key in in_hand.items():
                is_back = run.is_cut_off or run.ended.is_set() or self._book.is_gone(run.holder)
                self._errands.run(self._see_through(run, key, was_purged=is_back))

    async def _empty(self, pool: PoolCard, scope: Scope, in_hand: Collection[str]) -> Drained:
        queue, now = pool.queues.public, self._clock.utcnow()
        begin = partial(controls.drain, queue=queue, scope=scope.value, now=now)
        drain = await self._ledger.write(begin)
        if drain is None:
            why = (
                f"{queue}: nothing was removed; another machine is draining it, or was when it "
                "went, and another one ends that within two minutes; try again then"
            )
            raise NotNowError(why)
        # What is being claimed just now shall be in somebody's hand, and run, or be back.
        await self._clock.sleep(GIVEN_BACK)
        sweep = Sweep(pool.name, scope, drain.last, in_hand)
        jobs = await self._sweep(sweep)
        trouble: BrokerError | None = None
        messages = 0
        try:
            messages = await self._purge(pool, scope)
        except BrokerError as error:
            trouble = error
        jobs += await self._sweep(replace(sweep, last=await self._ledger.read(draining.newest)))
        await self._ledger.write(partial(controls.drained, queue=queue))
        if trouble is not None:
            why = (
                f"{queue}: {jobs} jobs were removed, but perhaps not what other programs had "
                f"published; try again when the broker is back: {trouble}"
            )
            raise BrokerAwayError(why) from trouble
        return Drained(pool.name, queue, messages, jobs)

    async def _purge(self, pool: PoolCard, scope: Scope) -> int:
        """Purge until nothing more is given back by workers; Raises BrokerError."""
        total = 0
        for look in range(LOOKS):
            purged = await self._postroom.purge(pool.name, delayed=scope is Scope.DELAYED)
            total += purged
            if look and not purged:
                break
            await self._clock.sleep(GIVEN_BACK)
        return total

    async def _sweep(self, what: Sweep, *, at: datetime | None = None) -> int:
        total, sweep = 0, partial(draining.sweep, what=what)
        while swept := await self._ledger.write(partial(sweep, now=at or self._clock.utcnow())):
            total += swept
        return total

    # --- what was broken off ----------------------------------------------------------------

    async def _take_up(self) -> None:
        """Make up for all that are ours to end; one that is just under way is done by then."""

        async def finish_all() -> None:
            for drain in await self._ledger.read(controls.draining):
                pool = self._pools.get(drain.queue)
                if pool is not None:
                    await self._finish(pool)

        await insist(finish_all, clock=self._clock)

    async def _finish(self, pool: PoolCard) -> None:
        """Make up for a drain that the ledger broke off, as soon as that takes it."""

        async def finish() -> None:
            async with self._held(pool):
                for drain in await self._ledger.read(controls.draining):
                    if drain.queue == pool.queues.public:
                        await self._make_up(pool, drain)

        await insist(finish, clock=self._clock)

    async def _make_up(self, pool: PoolCard, drain: Drain) -> None:
        scope = Scope(drain.scope)
        waited = Sweep(pool.name, scope, drain.last, has_begun=False)
        jobs = await self._sweep(waited, at=drain.begun_at)
        renew = partial(draining.renew, pool=pool.name, scope=scope)
        renewed = 0
        while number := await self._ledger.write(partial(renew, now=self._clock.utcnow())):
            renewed += number
        await self._ledger.write(partial(controls.drained, queue=drain.queue))
        self._postroom.takes_jobs()
        log.info("drain that was broken off finished", queue=drain.queue, jobs=jobs, again=renewed)

    async def _see_through(self, run: Running, key: Key, *, was_purged: bool) -> None:
        """Have a job come again whose run has no outcome; an older copy is dropped if it comes."""
        await run.ended.wait()
        if run.is_final or run.is_parked:
            return
        queue, job_id = key
        again = partial(draining.come_again, queue=queue, job_id=job_id, was_purged=was_purged)

        async def enter() -> None:
            async with self._book.steering(key):
                if self._book.running(key) is None:
                    await self._ledger.write(partial(again, now=self._clock.utcnow()))

        if await insist(enter, clock=self._clock):
            self._postroom.takes_jobs()

    def _tell(self, drained: Drained) -> None:
        facts = {"messages": drained.messages, "jobs": drained.jobs}
        log.warning("queue drained", queue=drained.queue, **facts)
        data = {"pool": drained.pool, **facts}
        event = Event(name="drained", at=self._clock.utcnow(), queue=drained.queue, data=data)
        self._bulletin.publish(event)
