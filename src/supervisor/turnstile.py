"""The turnstiles: permits to begin a job, for pools with a rate; whoever asked first goes first.

A permit is granted at the moment at which a job may begin, never ahead of it: a worker that dies,
pauses or leaves while it waits takes none with it. How a pool stands is in the ledger: its rate
holds over a restart, and over all machines that share the ledger.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial

from consumers import logs
from consumers.clock import Clock, WallWatch
from consumers.errands import Errands
from supervisor.book import Holder, pool_of
from supervisor.core import rates as rules
from supervisor.core.rates import Pace
from supervisor.core.records import PoolCard
from supervisor.ledger import rates
from supervisor.ledger.errors import LedgerClosedError, LedgerError
from supervisor.ledger.rates import Permit, Taking
from supervisor.ledger.store import Ledger
from workers import messages

AGAIN = 1.0  # seconds until a ledger that failed is asked again
LONGEST = 60.0  # seconds until it is asked again in any case: others may have given permits back
REMEMBERED = 1000  # permits that can still be given back
PUT_BACK = 0.05  # seconds; a clock that lost so much since the last permit was put back

Ticket = tuple[Holder, int]  # who asked, and the number of its call
Send = Callable[[Holder, messages.Permitted], None]

log = logs.get(__name__)


class Turnstiles:
    """One turnstile for each pool that has a rate."""

    def __init__(self, ledger: Ledger, pools: Iterable[PoolCard], send: Send, clock: Clock) -> None:
        self._turnstiles = {
            pool.name: Turnstile(ledger, pool.queues.public, _pace(pool), send, clock)
            for pool in pools
            if pool.limits.of_pool
        }

    def ask(self, holder: Holder, call: int) -> None:
        """Grant a worker a permit as soon as the rate of its pool allows."""
        turnstile = self._turnstiles.get(pool_of(holder))
        if turnstile is not None:
            turnstile.ask((holder, call))

    def withdraw(self, holder: Holder, call: int) -> None:
        """Grant it no more, or take it back unused."""
        turnstile = self._turnstiles.get(pool_of(holder))
        if turnstile is not None:
            turnstile.withdraw((holder, call))

    def gone(self, holder: Holder) -> None:
        """Forget what a process that is dead waits for."""
        turnstile = self._turnstiles.get(pool_of(holder))
        if turnstile is not None:
            turnstile.gone(holder)

    def is_waiting(self, pool: str) -> bool:
        """Answer whether jobs of a pool wait for its rate."""
        turnstile = self._turnstiles.get(pool)
        return turnstile is not None and turnstile.is_waited_for

    async def close(self) -> None:
        """Grant nothing more."""
        for turnstile in self._turnstiles.values():
            await turnstile.close()


class Turnstile:
    """The permits of one pool."""

    def __init__(self, ledger: Ledger, queue: str, pace: Pace, send: Send, clock: Clock) -> None:
        self._ledger = ledger
        self._queue = queue
        self._pace = pace
        self._send = send
        self._clock = clock
        self._wall = WallWatch(clock, PUT_BACK)
        self._waiting: OrderedDict[Ticket, None] = OrderedDict()
        self._granted: OrderedDict[Ticket, Permit] = OrderedDict()
        self._nudge = asyncio.Event()  # the pool may stand better than it was thought to
        self._errands = Errands()
        self._is_serving = False
        self.is_waited_for = False  # the rate does not allow what is asked for

    def ask(self, ticket: Ticket) -> None:
        """Let somebody wait for a permit."""
        self._waiting[ticket] = None
        if not self._is_serving:
            self._is_serving = True
            self._errands.run(self._serve())

    def withdraw(self, ticket: Ticket) -> None:
        """Let somebody wait no longer, or take an unused permit back."""
        self._waiting.pop(ticket, None)
        permit = self._granted.pop(ticket, None)
        if permit is not None:
            self._errands.run(self._undo((permit,)))

    def gone(self, holder: Holder) -> None:
        """Forget a process: it waits no more, and gives nothing back."""
        for tickets in (self._waiting, self._granted):
            for ticket in [ticket for ticket in tickets if ticket[0] == holder]:
                del tickets[ticket]

    async def close(self) -> None:
        """Grant nothing more."""
        await self._errands.cancel()

    async def _serve(self) -> None:
        """Grant until nobody waits."""
        try:
            while self._waiting:
                wait = await self._grant()
                self.is_waited_for = bool(self._waiting)
                if self._waiting:
                    await self._sleep(min(wait, LONGEST))
        except LedgerClosedError:
            log.debug("no more permits, the ledger is closed", queue=self._queue)
        finally:
            self._is_serving = self.is_waited_for = False

    async def _grant(self) -> float:
        """Grant what can be granted now; return the seconds until there is more."""
        wanted, began = len(self._waiting), self._clock.monotonic()
        try:
            taking = await self._take(wanted)
        except LedgerClosedError:
            raise
        except LedgerError as error:
            log.debug("no permits, the ledger does not answer", queue=self._queue, why=str(error))
            self._wall.look_again()
            return AGAIN
        unused = [permit for permit in taking.permits if not self._hand_out(permit)]
        if unused:
            await self._undo(unused[::-1])
        return max(0.0, taking.wait - (self._clock.monotonic() - began))

    async def _take(self, wanted: int) -> Taking:
        queue, pace, now = self._queue, self._pace, self._clock.utcnow()
        if self._wall.was_put_back():
            await self._ledger.write(partial(rates.set_back, queue=queue, pace=pace, now=now))
        take = partial(rates.take, queue=queue, pace=pace, wanted=wanted, now=now)
        return await self._ledger.write(take)

    def _hand_out(self, permit: Permit) -> bool:
        """Give a permit to whoever has waited longest; False: nobody waits any more."""
        if not self._waiting:
            return False
        ticket, _ = self._waiting.popitem(last=False)
        self._granted[ticket] = permit
        if len(self._granted) > REMEMBERED:
            self._granted.popitem(last=False)
        holder, call = ticket
        self._send(holder, messages.Permitted(call=call))
        return True

    async def _undo(self, permits: Iterable[Permit]) -> None:
        """Take permits back, the newest first; what was granted after them makes that too late."""
        for permit in permits:
            undo = partial(rates.undo, queue=self._queue, permit=permit)
            try:
                is_undone = await self._ledger.write(undo)
            except LedgerError as error:
                log.debug("permit not taken back", queue=self._queue, why=str(error))
                return
            if is_undone:
                self._nudge.set()

    async def _sleep(self, wait: float) -> None:
        """Wait until there may be a permit: for so long, or until one was given back."""
        self._nudge.clear()
        sleeping = asyncio.ensure_future(self._clock.sleep(wait))
        nudged = asyncio.ensure_future(self._nudge.wait())
        try:
            await asyncio.wait((sleeping, nudged), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            nudged.cancel()


def _pace(pool: PoolCard) -> Pace:
    rate = pool.limits.rate
    if rate is None:
        message = f"pool {pool.name} has no rate; only one that has needs a turnstile"
        raise ValueError(message)
    return rules.pace(rate, pool.limits.burst)
