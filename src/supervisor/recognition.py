"""Recognition: which job a message is that carries no id, and was delivered before.

Only what surely comes again is recognised, and each job answers for one message. In doubt a message
is a job of its own: to do something twice is allowed, to lose it is not (ADR 7).
"""

import asyncio
from functools import partial
from weakref import WeakValueDictionary

from consumers.clock import Clock
from consumers.desk import Claim
from supervisor.book import Book, Holder, Running
from supervisor.core.records import Known
from supervisor.ledger import claims
from supervisor.ledger.claims import Redelivery
from supervisor.ledger.store import Ledger
from supervisor.probes import Probes

AWAY = 1.0  # seconds between two looks whether a coordinator is back, or succeeded
LOOK_AGAIN = 0.1  # seconds between two looks at a job that a redelivery may be


class Recognition:
    """Knows messages by their words."""

    def __init__(self, ledger: Ledger, book: Book, clock: Clock) -> None:
        self._ledger = ledger
        self._book = book
        self._clock = clock
        self.probes = Probes()
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def turn(self, claim: Claim) -> asyncio.Lock:
        """Return what redeliveries of the same words wait for: one is compared at a time.

        It may be one message, first by a worker that died meanwhile: then what that was taken for
        has to be in the book before the other one is compared.
        """
        words = (claim.queue, claim.fingerprint)
        if not claim.redelivered or claim.job_id is not None:
            return asyncio.Lock()
        return self._turns.setdefault(words, asyncio.Lock())

    async def recognise(self, holder: Holder, claim: Claim) -> Known | None:
        """Return what is known of the job that a message is, None if it is one of its own.

        Nor is anything known when the session that brought it ended meanwhile: it comes again, to
        somebody else perhaps, and shall be recognised there.
        """
        if not claim.redelivered:
            return None
        await self._until_told(holder, claim)
        others = await self._others(claim)
        if self._book.is_over(holder, claim):
            return None
        running = self._book.coming_again(claim)
        redelivery = Redelivery(claim.queue, claim.fingerprint, running, others)
        return await self._ledger.recognise(redelivery)

    async def _until_told(self, holder: Holder, claim: Claim) -> None:
        """Wait while it may be a job of a coordinator that is away: that one is succeeded soon."""
        if not self._ledger.is_shared:
            return
        is_in_doubt = partial(claims.is_in_doubt, queue=claim.queue, fingerprint=claim.fingerprint)
        while not self._book.is_over(holder, claim) and await self._ledger.read(is_in_doubt):
            await self._clock.sleep(AWAY)

    async def _others(self, claim: Claim) -> frozenset[str]:
        """Return, once no job in hand can be this message, those that surely are not.

        The news that a job's worker died, or lost its session, can be hours behind the message: of
        some connections only the broker's half is gone. So the broker is asked.
        """
        rivals = dict(self._book.alike(claim))
        asked = {run: asyncio.ensure_future(self.probes.is_alive(run.holder)) for run in rivals}
        others: dict[Running, str] = {}
        try:
            while rivals:
                looking = asyncio.ensure_future(self._clock.sleep(LOOK_AGAIN))
                waits = {looking, *(asked[run] for run in rivals if not asked[run].done())}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                looking.cancel()
                alike = self._book.alike(claim)  # what began since is another message's
                rivals = {run: job_id for run, job_id in rivals.items() if run in alike}
                others |= {
                    run: job_id
                    for run, job_id in rivals.items()
                    if _answers(asked[run]) and not self._book.is_over(run.holder, run.claim)
                }
                rivals = {run: job_id for run, job_id in rivals.items() if run not in others}
        finally:
            for asking in asked.values():
                asking.cancel()
        # What began since is a message that somebody else has.
        return frozenset(others.values()) | frozenset(self._book.alike(claim).values())


def _answers(asking: "asyncio.Future[bool]") -> bool:
    """Answer whether the broker knows the session that was asked about."""
    return asking.done() and asking.result()
