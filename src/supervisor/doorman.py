"""The doorman: whether a job may begin on its key's account, and when it comes back if not.

A pool may be limited ``by`` a key: how many jobs of one key run at once, how many begin in which
time. A job whose key has no room gives way to the others: it comes back as its next copy, at a
moment of its own, so that those who wait come back in their order and find room.

For a rate that moment is exact: the slot is kept for it, in the ledger; a job whose slot is days
away comes to see once a day, as no broker keeps it for longer than some weeks. Where only so many
may run at once it is an estimate, from how long the jobs of the key have taken.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from consumers.clock import Clock
from consumers.desk import Claim, Drop, Later, Run
from consumers.errands import Errands
from supervisor.book import Running
from supervisor.core import rates as rules
from supervisor.core.claims import SETTLED
from supervisor.core.rates import MICROSECONDS, Pace
from supervisor.core.records import JobState, Known, PoolCard
from supervisor.ledger import rates, shelves
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.interruptions import Copy
from supervisor.ledger.jobs import Taking
from supervisor.ledger.shelves import Shelved
from supervisor.ledger.store import Ledger
from supervisor.ledger.values import stamp

GUESS = 0.25  # seconds a job takes of whose key none has ended yet
SMOOTHING = 0.2  # weight of the newest job in the moving average
LONGEST_GUESS = 60.0  # seconds after which whoever waits for the end of others looks again
DAY = 86_400.0  # seconds after which whoever has a slot far away comes to see
PATIENCE = 0.5  # seconds a job that came back waits for one before it to end
EARLY = 50_000  # microseconds that a job may come before its slot
TIDY = 1000  # accounts, until those with nothing to remember are forgotten


@dataclass(slots=True, eq=False)
class Account:
    """The jobs of one key: those inside, and when the last of those outside comes back."""

    inside: int = 0
    line: int = 0  # microseconds, monotonic
    typical: float | None = None  # seconds a job takes
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    def took(self, seconds: float) -> None:
        """Learn from one more job."""
        before = seconds if self.typical is None else self.typical
        self.typical = before + SMOOTHING * (seconds - before)

    def leave(self) -> None:
        """Give the place of one that leaves to whoever has waited longest."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.inside -= 1


@dataclass(slots=True, eq=False)
class Place:
    """A place inside, from the moment it is given."""

    account: Account
    since: float
    is_left: bool = False

    def leave(self) -> None:
        """Leave it to others; a second time it does nothing."""
        if not self.is_left:
            self.is_left = True
            self.account.leave()


@dataclass(frozen=True, slots=True)
class Caller:
    """A job at the door."""

    claim: Claim
    run: Run  # the verdict, were there no limits
    known: Known | None
    pool: PoolCard

    @property
    def seq(self) -> int:
        """Return the least number that its next copy may have."""
        return max(self.claim.seq, self.known.seq if self.known else 0) + 1

    @property
    def is_back(self) -> bool:
        """Answer whether it was put aside before, or delayed for another reason."""
        return self.known is not None and self.known.state is JobState.DELAYED

    @property
    def taking(self) -> Taking:
        """Return it as the ledger takes it."""
        return Taking(self.claim, self.run.job_id, self.pool.name)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a job at the door is told; with ``Run`` it has its place, if places are counted."""

    verdict: Run | Later | Drop
    place: Place | None = None


Ask = Callable[[Callable[[], Awaitable[Shelved | None]]], Awaitable[Shelved | None]]


class Doorman:
    """The accounts of all limited pools; where those of other machines stand is not known here."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._accounts: dict[tuple[str, str], Account] = {}
        self._errands = Errands()

    async def admit(self, caller: Caller, ask: Ask) -> Answer:
        """Return whether a job may begin now; ``ask`` is how the ledger is written to."""
        account, most = self._account(caller.claim), caller.pool.limits.concurrency
        if most is None:
            return await self._in_time(caller, ask)
        place = await self._enter(account, most, is_back=caller.is_back)
        if place is None:
            delay = self._line_up(account, most)
            slot_at = caller.known.slot_at if caller.known else None
            return await self._put_aside(caller, delay, slot_at, ask)
        is_in = False
        try:
            answer = await self._in_time(caller, ask)
            is_in = isinstance(answer.verdict, Run)
        finally:
            if not is_in:
                place.leave()
        return Answer(answer.verdict, place if is_in else None)

    def entered(self, place: Place, running: Running) -> None:
        """Keep a place for a run, until that ends."""
        self._errands.run(self._stay(place, running))

    async def close(self) -> None:
        """Watch nobody any more."""
        await self._errands.cancel()

    async def _stay(self, place: Place, running: Running) -> None:
        try:
            await running.ended.wait()
        finally:
            place.account.took(self._clock.monotonic() - place.since)
            place.leave()

    # --- so many at once --------------------------------------------------------------------

    async def _enter(self, account: Account, most: int, *, is_back: bool) -> Place | None:
        """Return a place inside, None if there is none.

        One that came back waits a moment for it, as its return is not timed to the millisecond;
        but not many do, so that the slots are left to others.
        """
        if account.inside < most:
            account.inside += 1
        elif not is_back or len(account.waiting) >= most or not await self._wait(account):
            return None
        return Place(account, self._clock.monotonic())

    async def _wait(self, account: Account) -> bool:
        """Answer whether a place came free in time; the one who left has given it to us."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        account.waiting.append(turn)
        try:
            # Not `wait_for`: that may say it was too long when the place is given just then.
            await asyncio.wait({turn}, timeout=PATIENCE)
        except asyncio.CancelledError:
            if turn.done():
                account.leave()  # to the next one
            raise
        finally:
            if not turn.done():
                account.waiting.remove(turn)
        return turn.done()

    def _line_up(self, account: Account, most: int) -> float:
        """Return in how many seconds one more may come back and find room, as far as we know."""
        typical = GUESS if account.typical is None else account.typical
        now = round(self._clock.monotonic() * MICROSECONDS)
        pace = Pace(max(1, round(typical / most * MICROSECONDS)))
        # No further than the guess is worth anything: the jobs may be shorter than those before.
        latest = now + round(LONGEST_GUESS * MICROSECONDS)
        account.line = min(rules.place(account.line, now, pace).due, latest)
        return (account.line - now) / MICROSECONDS

    # --- so many in a time ------------------------------------------------------------------

    async def _in_time(self, caller: Caller, ask: Ask) -> Answer:
        limits, now = caller.pool.limits, self._clock.utcnow()
        if limits.rate is None:
            return Answer(caller.run)
        kept = caller.known.slot_at if caller.known else None
        if kept is not None and rules.is_sober(kept, stamp(now)):
            early = kept - stamp(now)
            if early <= EARLY:
                return Answer(caller.run)
            return await self._put_aside(caller, early / MICROSECONDS, kept, ask)
        pace = rules.pace(limits.rate, limits.burst)
        copy = Copy(caller.seq, DAY)
        write = partial(shelves.in_time, taking=caller.taking, pace=pace, copy=copy, now=now)
        return self._told(caller, await ask(partial(self._ledger.write, write)))

    async def _put_aside(
        self, caller: Caller, delay: float, slot_at: int | None, ask: Ask
    ) -> Answer:
        write = partial(
            shelves.put,
            taking=caller.taking,
            copy=Copy(caller.seq, min(delay, DAY)),
            slot_at=slot_at,
            now=self._clock.utcnow(),
        )
        return self._told(caller, await ask(partial(self._ledger.write, write)))

    def _told(self, caller: Caller, shelved: Shelved | None) -> Answer:
        if shelved is None:
            return Answer(caller.run)
        job_id, run = caller.run.job_id, caller.run
        if not shelved.seq:
            return Answer(Drop(job_id, SETTLED))
        why = f"{caller.claim.limit_key} has no room: {caller.pool.limits.words}"
        return Answer(Later(job_id, shelved.delay, shelved.seq, attempts=run.attempts, why=why))

    # --- accounts ---------------------------------------------------------------------------

    def _account(self, claim: Claim) -> Account:
        key = claim.queue, claim.limit_key
        if key not in self._accounts:
            if len(self._accounts) % TIDY == TIDY - 1:
                self._tidy()
            self._accounts[key] = Account()
        return self._accounts[key]

    def _tidy(self) -> None:
        """Forget the accounts that stand as if they were new."""
        now = self._clock.monotonic() * MICROSECONDS
        self._accounts = {
            key: account
            for key, account in self._accounts.items()
            if account.inside or account.line > now
        }
        self._errands.run(self._sweep())

    async def _sweep(self) -> None:
        with suppress(LedgerError):  # another time
            await self._ledger.write(partial(rates.sweep, now=self._clock.utcnow()))
