"""Which dead letters an order is about: what it says is checked, and they are found."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from consumers.clock import Clock
from supervisor.book import Key
from supervisor.core.bounds import LONGEST_AGE
from supervisor.core.letters import LetterFilter
from supervisor.core.records import JobRecord, JobState, PoolCard
from supervisor.desks.letters import AT_ONCE, Chosen
from supervisor.ledger import letters
from supervisor.ledger.letters import Pick
from supervisor.ledger.store import Ledger
from supervisor.lookup import find
from supervisor.ports import BadOrderError, WrongStateError, unknown_group, unknown_pool


class Choice:
    """Finds dead letters by what orders say of them."""

    def __init__(self, pools: Mapping[str, PoolCard], ledger: Ledger, clock: Clock) -> None:
        self._pools = pools
        self._ledger = ledger
        self._clock = clock
        self._are_grouped = False  # those of before there were groups

    async def meant(self, order: Chosen) -> LetterFilter:
        """Return what an order is about: all dead letters only if that is said."""
        wanted = await self.wanted(order)
        if wanted.is_everything is not order.every:
            if order.every:
                raise BadOrderError("every: means all dead letters; leave it out, or all else")
            which = "ids, pool, group, code, from, text, older, newer"
            message = f"which dead letters are meant? say one of {which}; or every"
            raise BadOrderError(message)
        return wanted

    async def wanted(self, chosen: Chosen) -> LetterFilter:
        """Return what is asked for; nothing said: all of them."""
        if chosen.pool is not None:
            self.pool(chosen.pool)
        _limit(chosen.limit)
        await self.name_groups()
        now = self._clock.utcnow()
        return LetterFilter(
            pool=chosen.pool,
            group=chosen.group,
            code=chosen.code,
            sender=chosen.sender,
            text=chosen.text,
            since=_ago("newer", chosen.newer, now),
            until=_ago("older", chosen.older, now),
            keys=tuple([_key(await self.dead(job_id)) for job_id in chosen.ids]),
        )

    async def found(self, wanted: LetterFilter, order: Chosen) -> tuple[Pick, ...]:
        """Return those that fit, as many as an order is about; what failed first comes first."""
        pick = partial(letters.pick, wanted=wanted, limit=_limit(order.limit))
        return await self._ledger.read(pick)

    async def dead(self, job_id: str) -> JobRecord:
        """Return the job of a dead letter. Raises WrongStateError if it is none."""
        job = await find(self._ledger, job_id)
        if job.state is not JobState.FAILED:
            message = f"job {job.id} is {job.state.value}, it is no dead letter"
            raise WrongStateError(message)
        return job

    async def only(self, job: JobRecord) -> Pick:
        """Return the dead letter of one job. Raises WrongStateError if it is one no more."""
        self.pool(job.pool)
        wanted = LetterFilter(keys=(_key(job),))
        found = await self._ledger.read(partial(letters.pick, wanted=wanted, limit=1))
        if not found:
            raise has_changed(job)
        return found[0]

    async def check_group(self, group: str) -> None:
        """Refuse a group of which there is no dead letter at all: its name may be mistyped."""
        only = LetterFilter(group=group)
        if not await self._ledger.read(partial(letters.pick, wanted=only, limit=1)):
            raise unknown_group(group)

    async def name_groups(self) -> None:
        """See that all have a group: those that failed before there were any get theirs now."""
        while not self._are_grouped:
            self._are_grouped = await self._ledger.write(letters.name_groups) == 0

    def pool(self, name: str) -> PoolCard:
        """Return a pool by its name. Raises UnknownPoolError."""
        if name not in self._pools:
            raise unknown_pool(name, self._pools)
        return self._pools[name]


def has_changed(job: JobRecord) -> WrongStateError:
    """Return the refusal of what was to be done with a job that somebody else was faster with."""
    return WrongStateError(f"job {job.id} has just changed: look at it, and try again")


def _key(job: JobRecord) -> Key:
    return job.queue, job.id


def _limit(asked: int | None) -> int:
    if asked is not None and asked < 1:
        message = f"limit: must be 1 or more, is {asked}"
        raise BadOrderError(message)
    return AT_ONCE if asked is None else min(asked, AT_ONCE)


def _ago(name: str, age: float | None, now: datetime) -> datetime | None:
    if age is None:
        return None
    if not 0 <= age <= LONGEST_AGE:
        message = f"{name}: must be 0 to {LONGEST_AGE:,.0f} seconds, is {age:g}"
        raise BadOrderError(message)
    return now - timedelta(seconds=age)
