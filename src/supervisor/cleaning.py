"""Cleaning: finished jobs go for good, by an operator's word, and hourly by the rules there are.

In small batches with a breath between them, so that what matters more is written meanwhile.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from consumers import logs
from consumers.clock import Clock
from supervisor.bulletin import Bulletin
from supervisor.core.records import JobState
from supervisor.core.retention import Rule, oldest_kept
from supervisor.ledger import retention
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.retention import BATCH, BEGINNING, Expired, Mark
from supervisor.ledger.store import Ledger
from supervisor.ports import Event

FIRST = 60.0  # seconds after the start: it has more urgent things to do
EVERY = 3600.0
BREATH = 0.02  # seconds between two batches

log = logs.get(__name__)


class Cleaning:
    """Removes finished jobs; ``rules`` say how long those of each state stay."""

    def __init__(
        self,
        rules: Mapping[JobState, Rule],
        intake: Rule,
        ledger: Ledger,
        bulletin: Bulletin,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._intake = intake
        self._ledger = ledger
        self._bulletin = bulletin
        self._clock = clock

    async def run(self) -> None:
        """Follow the rules every hour, until cancelled."""
        await self._clock.sleep(FIRST)
        while True:
            try:
                await self.tidy()
            except LedgerError as error:
                log.warning("finished jobs not removed, tried again later", why=str(error))
            await self._clock.sleep(EVERY)

    async def tidy(self) -> None:
        """Remove what is beyond the rules. Raises LedgerError."""
        for queue in await self._ledger.read(retention.queues):
            for state, rule in self._rules.items():
                before = await self._limit(queue, state, rule)
                if before is not None:
                    await self.clean(Expired(queue, state, before))
        await self._ledger.write(partial(retention.remove_keys, now=self._clock.utcnow()))
        if self._intake.age:
            await self._tidy_intake(self._clock.utcnow() - timedelta(seconds=self._intake.age))

    async def clean(self, expired: Expired, *, limit: int | None = None) -> int:
        """Remove these jobs, at the most so many, the oldest first; return how many that were.

        Raises LedgerError.
        """
        total, is_more = 0, True
        while is_more and (limit is None or total < limit):
            left = None if limit is None else limit - total
            removed, is_more = await self._pass(expired, limit=left)
            total += removed
        if total:
            self._tell(expired, total)
        return total

    async def _pass(self, expired: Expired, *, limit: int | None) -> tuple[int, bool]:
        """Look at each of these jobs once; return how many went, and whether more can go now."""
        total, frees = 0, False
        after: Mark | None = BEGINNING
        while after is not None and (limit is None or total < limit):
            some = BATCH if limit is None else limit - total
            now = self._clock.utcnow()
            remove = partial(retention.remove, expired=expired, after=after, limit=some, now=now)
            removed = await self._ledger.write(remove)
            total, frees, after = total + removed.jobs, frees or removed.frees, removed.after
            if removed.jobs or after is not None:
                await self._clock.sleep(BREATH)
        return total, frees

    async def _limit(self, queue: str, state: JobState, rule: Rule) -> datetime | None:
        if rule.is_for_ever:
            return None
        surplus = None
        if rule.count:
            beyond = partial(retention.one_too_many, queue=queue, state=state, count=rule.count)
            surplus = await self._ledger.read(beyond)
        return oldest_kept(rule, surplus, self._clock.utcnow())

    async def _tidy_intake(self, before: datetime) -> None:
        while await self._ledger.write(partial(retention.remove_intake, before=before)):
            await self._clock.sleep(BREATH)

    def _tell(self, expired: Expired, jobs: int) -> None:
        log.info("finished jobs removed", queue=expired.queue, state=expired.state.value, jobs=jobs)
        data = {"state": expired.state.value, "jobs": jobs}
        event = Event(name="cleaned", at=self._clock.utcnow(), queue=expired.queue, data=data)
        self._bulletin.publish(event)
