"""The room where chains are brought to their end: their users are told once, when all has ended.

That a chain is to be looked at is noted in the ledger, with whatever changed it
(``ledger/chains.py``); what happens only says when to look. Several supervisors may look into one
ledger: each chain is told of by one of them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec

from consumers import logs
from consumers.clock import Clock
from supervisor.bulletin import Bulletin
from supervisor.clerk import Telling
from supervisor.core.chain_notices import Whole, write_chain
from supervisor.core.records import Chain, JobRecord, Notice
from supervisor.desks.events import Wanted
from supervisor.ledger import chains
from supervisor.ledger.chains import Ended, Key
from supervisor.ledger.errors import PATIENCE, LedgerClosedError, LedgerError
from supervisor.ledger.store import Ledger
from supervisor.notify import english
from supervisor.ports import Event

ENDS = frozenset({"completed", "failed", "cancelled", "removed"})
BETWEEN = 0.2  # seconds between two looks, however much happens
EVERY = 60.0  # seconds until somebody looks though nothing was heard

# For a chain that cannot be told in full: nothing of what its jobs hold is said.
_BARE = {**english.TEXTS, "chain.failed": "{subject}: {failed} of {count} jobs did not succeed."}

log = logs.get(__name__)


class Chains:
    """Looks at the chains of which something has ended, until cancelled."""

    def __init__(
        self,
        ledger: Ledger,
        telling: Callable[[], Telling],
        bulletin: Bulletin,
        clock: Clock,
    ) -> None:
        """Tell users in the manner that ``telling`` says at that moment."""
        self._ledger = ledger
        self._telling = telling
        self._bulletin = bulletin
        self._clock = clock
        self._tray = bulletin.listen(Wanted(names=ENDS), backlog=1)
        self._astray: set[Key] = set()  # left out until the next time that all are looked at
        self._look_at_all = 0.0  # when that is
        self._warned: dict[Key, str] = {}

    async def run(self) -> None:
        """Look whenever jobs have ended, and now and then; first at what was left by others."""
        said = ""
        while True:
            try:
                is_done, said = not await self.look(), ""
            except LedgerClosedError:
                return
            except LedgerError as error:
                if error.trouble is None and said != str(error):  # trouble is told of once, for all
                    said = str(error)
                    log.warning("chains not looked at, tried again", why=said)
                await self._clock.sleep(PATIENCE)
                continue
            await self._clock.sleep(BETWEEN)
            if is_done:
                await self._rest()

    async def look(self) -> bool:
        """Tell of chains that are over; answer whether there may be more. Raises LedgerError."""
        if not await self._ledger.read(chains.anything):
            return False
        telling, now = self._telling(), self._clock.utcnow()
        tell, besides = partial(self._write, telling, now), self._besides()
        look = partial(chains.settle, tell=tell, now=now, besides=besides)
        settled = await self._ledger.write(look)
        if settled.ended:
            telling.poke()
        for chain in settled.ended:
            self._publish(chain, now)
        self._leave_out(settled.astray)
        return settled.notes > 0

    def _besides(self) -> set[Key]:
        """Return the chains that are left out of a look: no minute has passed since they failed."""
        now = self._clock.monotonic()
        if now >= self._look_at_all:
            # Of what is well again it is said once more, should it go astray anew.
            self._warned = {key: self._warned[key] for key in self._astray}
            self._astray, self._look_at_all = set(), now + EVERY
        return self._astray

    def _leave_out(self, astray: Mapping[Key, Exception]) -> None:
        """Say once which chains could not be looked at, and why."""
        self._astray |= astray.keys()
        for key, error in astray.items():
            why = f"{type(error).__name__}: {error}"
            if self._warned.get(key) != why:
                self._warned[key] = why
                log.error(
                    "chain not looked at, tried again every minute; its user is told of nothing",
                    queue=key[0],
                    job=key[1],
                    exc_info=error,
                )

    def _write(
        self,
        telling: Telling,
        at: datetime,
        root: JobRecord,
        chain: Chain,
        members: Sequence[JobRecord],
    ) -> tuple[Notice, ...]:
        """Return what the user of a chain is told; on the ledger's thread."""
        whole, sinks = Whole(root, chain, members, at), telling.sinks
        try:
            return write_chain(whole, sinks=sinks, texts=telling.texts)
        except Exception:
            # Whatever its jobs hold and its texts say: one chain must not keep the others from
            # being told of, nor be met again at every start. Its user hears that it is over.
            log.exception("chain not told in full", job=root.id, queue=root.queue)
            bare = msgspec.structs.replace(root, data=None, result=None, error=None)
            return write_chain(Whole(bare, chain, (), at), sinks=sinks, texts=_BARE)

    def _publish(self, ended: Ended, now: datetime) -> None:
        root = ended.root
        states = {state.value: number for state, number in ended.chain.states.items()}
        log.info("chain finished", job=root.id, queue=root.queue, states=states)
        duration = (now - (root.created_at or now)).total_seconds()
        data = {"states": states, "duration": max(0.0, duration)}
        self._bulletin.publish(
            Event(name="finished", at=now, queue=root.queue, id=root.id, data=data)
        )

    async def _rest(self) -> None:
        """Wait until a job has ended, or for a while."""
        waits = (
            asyncio.ensure_future(self._tray.take()),
            asyncio.ensure_future(self._clock.sleep(EVERY)),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
