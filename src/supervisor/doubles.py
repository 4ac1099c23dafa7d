"""Orders that mean the same job: by their key they come to one, whoever hands them in when."""

from contextlib import AsyncExitStack
from functools import partial

from consumers.clock import Clock
from supervisor.book import Book
from supervisor.core.records import NewJob
from supervisor.ledger import deduplications
from supervisor.ledger.deduplications import Entry, Terms
from supervisor.ledger.store import Ledger


class Doubles:
    """Enters jobs under a key."""

    def __init__(self, ledger: Ledger, book: Book, clock: Clock) -> None:
        self._ledger = ledger
        self._book = book
        self._clock = clock

    async def enter(self, job: NewJob, terms: Terms) -> Entry:
        """Enter a job, or find the one there is for its key. Raises LedgerError."""
        while True:
            now = self._clock.utcnow()
            look = partial(deduplications.holder, queue=job.queue, key=terms.key, now=now)
            found = await self._ledger.read(look)
            entry = await self._enter(job, terms, found)
            if entry is not None:
                return entry  # otherwise somebody else was faster

    async def _enter(self, job: NewJob, terms: Terms, expected: str) -> Entry | None:
        key = (job.queue, expected)
        async with AsyncExitStack() as stack:
            if expected:
                await stack.enter_async_context(self._book.steering(key))
                running = self._book.running(key)
                if running is not None:
                    await running.begun.wait()  # so that the ledger knows that it runs
            step = partial(deduplications.enter, job=job, terms=terms, expected=expected)
            return await self._ledger.write(partial(step, now=self._clock.utcnow()))
