"""The intake: rows that other programs put into a table of the ledger become jobs, in batches.

Looked for every few seconds, and at once where the database says that there are some. A batch is
one transaction: a kill at any instant leaves each row either as it was or a job.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from consumers import logs
from consumers.clock import Clock
from supervisor.core.intake import Pace, Terms
from supervisor.ledger import intake
from supervisor.ledger.errors import LedgerClosedError, LedgerError
from supervisor.ledger.intake import Batch, Loaded
from supervisor.ledger.store import Ledger

FULL = 0.25  # seconds until it is seen whether what is on its way has arrived

# Calls what it is given whenever rows may have come, until it is cancelled.
Knocks = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]

log = logs.get(__name__)


class Intake:
    """Takes rows in until it is cancelled; ``entered`` is called when there are jobs to publish."""

    def __init__(
        self,
        ledger: Ledger,
        terms: Terms,
        pace: Pace,
        entered: Callable[[], None],
        *,
        is_alone: bool,
    ) -> None:
        """Say by what rows are judged; ``is_alone``: for queues we do not know there is nobody."""
        self._ledger = ledger
        self._terms = terms
        self._pools = tuple({card.name for card in terms.pools.values()})
        self._names = None if is_alone else tuple(terms.pools)
        self._pace = pace
        self._entered = entered
        self._clock: Clock = ledger.clock
        self._knocked = asyncio.Event()
        self._warned: set[str] = set()
        self.is_loading = False  # there are rows that are being taken in

    async def run(self, knocks: Knocks | None = None) -> None:
        """Take in what there is, for ever; ``knocks`` says when to look before it is time."""
        async with asyncio.TaskGroup() as both:
            listening = None if knocks is None else both.create_task(knocks(self.knock))
            await self._load()
            if listening is not None:
                listening.cancel()

    def knock(self) -> None:
        """Look now."""
        self._knocked.set()

    async def _load(self) -> None:
        while True:
            self._knocked.clear()
            try:
                rest = await self._turn()
            except LedgerClosedError:
                return
            except LedgerError as error:
                if error.trouble is None:  # one in trouble is told of once, for all
                    log.warning("intake table not looked into", why=str(error))
                rest = self._pace.interval
            if rest > 0:
                await self._rest(rest)

    async def _turn(self) -> float:
        """Take in a batch; return the seconds until there may be more."""
        self.is_loading = await self._ledger.read(partial(intake.has_some, names=self._names))
        if self._names is not None:
            await self._name_strangers()
        if await self._ledger.read(intake.is_owing):
            await self._ledger.write(intake.repay)
        if not self.is_loading:
            return self._pace.interval
        now, most = self._clock.utcnow(), self._pace.most_on_the_way
        look = partial(intake.on_the_way, pools=self._pools, limit=most, now=now)
        if await self._ledger.read(look) >= most:
            return FULL
        batch = Batch(self._pace.batch_size, self._terms, self._names)
        loaded = await self._ledger.write(partial(intake.load, batch=batch, now=now))
        self._tell(loaded)
        self.is_loading = loaded.may_be_more
        return 0.0 if self.is_loading else self._pace.interval

    def _tell(self, loaded: Loaded) -> None:
        if loaded.entered:
            log.debug("rows taken in", rows=loaded.rows, jobs=loaded.entered)
            self._entered()
        if loaded.refused:
            first, why = loaded.refused[0]
            log.warning(
                "rows of the intake refused", rows=len(loaded.refused), first=first, why=why
            )

    async def _name_strangers(self) -> None:
        """Say which rows wait for pools that we do not have; another machine may."""
        names = tuple(self._terms.pools)
        for name in await self._ledger.read(partial(intake.strangers, names=names)):
            if name not in self._warned and len(self._warned) < 100:
                self._warned.add(name)
                log.info("rows wait for a queue that no pool here has", queue=name)

    async def _rest(self, pause: float) -> None:
        """Wait so long, or until somebody knocks."""
        sleeping = asyncio.ensure_future(self._clock.sleep(pause))
        knocked = asyncio.ensure_future(self._knocked.wait())
        try:
            await asyncio.wait({sleeping, knocked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            knocked.cancel()
