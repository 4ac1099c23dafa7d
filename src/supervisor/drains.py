"""Drains: what waits in a queue is removed, from the broker and from the ledger.

The order is what makes it safe. Rows first: whatever is delivered from then on is dropped by its
row. Then the messages. Then the rows once more: those of jobs that were entered meanwhile, whose
messages may have gone with the others; a row whose message is gone would wait for ever. That a
drain is under way is in the ledger from the first to the last step, so that a coordinator that is
killed between two of them finishes it when it starts again. Meanwhile the pool is held, so that
what its workers had not begun is back in the queue.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from consumers import logs
from consumers.clock import Clock
from consumers.errors import BrokerError
from supervisor.bulletin import Bulletin
from supervisor.core.records import PoolCard
from supervisor.desks.queues import Drained
from supervisor.ledger import controls, draining
from supervisor.ledger.draining import Scope
from supervisor.ledger.store import Ledger
from supervisor.pauses import Gates
from supervisor.ports import Event, NotNowError
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

    def __init__(self, pools: Iterable[PoolCard], premises: Premises, clock: Clock) -> None:
        self._pools = {pool.queues.public: pool for pool in pools}
        self._ledger = premises.ledger
        self._postroom = premises.postroom
        self._gates = premises.gates
        self._bulletin = premises.bulletin
        self._clock = clock
        self._turn = asyncio.Lock()

    async def begin(self) -> None:
        """Finish what an earlier life had begun. Raises LedgerError."""
        for queue, scope in (await self._ledger.read(controls.draining)).items():
            pool = self._pools.get(queue)
            if pool is None:
                continue  # not ours: its own coordinator does it
            jobs = await self._sweep(pool, Scope(scope))
            await self._ledger.write(partial(controls.drained, queue=queue))
            log.info("drain of an earlier life finished", queue=queue, jobs=jobs)

    async def drain(self, pool: PoolCard, *, delayed: bool) -> Drained:
        """Remove what waits.

        Raises:
            NotNowError: the broker is away, or went away in between.
            LedgerError: the ledger takes nothing now.
        """
        if not self._postroom.is_connected:
            why = f"{pool.queues.public}: nothing was removed, the broker is away; try again"
            raise NotNowError(why)
        scope = Scope.DELAYED if delayed else Scope.WAITING
        async with self._turn:
            self._gates.hold(pool.name, HOLD, "its queue is being drained")
            try:
                drained = await self._drain(pool, scope)
            finally:
                self._gates.release(pool.name, HOLD)
        self._tell(drained)
        return drained

    async def _drain(self, pool: PoolCard, scope: Scope) -> Drained:
        queue, now = pool.queues.public, self._clock.utcnow()
        await self._ledger.write(partial(controls.drain, queue=queue, scope=scope.value, now=now))
        # What is being claimed just now shall be in somebody's hand, and run, or be back.
        await self._clock.sleep(GIVEN_BACK)
        jobs = await self._sweep(pool, scope)
        trouble: BrokerError | None = None
        messages = 0
        try:
            messages = await self._purge(pool, scope)
        except BrokerError as error:
            trouble = error
        jobs += await self._sweep(pool, scope)
        await self._ledger.write(partial(controls.drained, queue=queue))
        if trouble is not None:
            why = (
                f"{queue}: {jobs} jobs were removed, but perhaps not what other programs had "
                f"published; try again when the broker is back: {trouble}"
            )
            raise NotNowError(why) from trouble
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

    async def _sweep(self, pool: PoolCard, scope: Scope) -> int:
        last, total = await self._ledger.read(draining.newest), 0
        sweep = partial(draining.sweep, pool=pool.name, scope=scope, last=last)
        while swept := await self._ledger.write(partial(sweep, now=self._clock.utcnow())):
            total += swept
        return total

    def _tell(self, drained: Drained) -> None:
        facts = {"messages": drained.messages, "jobs": drained.jobs}
        log.warning("queue drained", queue=drained.queue, **facts)
        data = {"pool": drained.pool, **facts}
        event = Event(name="drained", at=self._clock.utcnow(), queue=drained.queue, data=data)
        self._bulletin.publish(event)
