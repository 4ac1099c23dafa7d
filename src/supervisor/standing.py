"""Where a job stands in its queue, when it may begin, and its status in few words."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from consumers.clock import Clock
from supervisor.book import Book
from supervisor.core.fleet import Worker
from supervisor.core.records import JobRecord, JobState, PoolCard
from supervisor.desks.steering import JobPlace, JobStatus
from supervisor.ledger import places
from supervisor.ledger.store import Ledger
from supervisor.postroom import Postroom


@dataclass(frozen=True, slots=True)
class Views:
    """Where it is seen how many wait and how many run."""

    ledger: Ledger
    postroom: Postroom
    book: Book
    slots: Callable[[str], int]  # how many jobs of a pool run at once


class Standing:
    """Knows how many go before a job, and how fast they go.

    Exactly where the queues are embedded: every message in them is numbered.
    """

    def __init__(
        self, pools: Iterable[PoolCard], views: Views, clock: Clock, *, is_exact: bool
    ) -> None:
        self._pools = {pool.name: pool for pool in pools}
        self._views = views
        self._clock = clock
        self._is_exact = is_exact

    async def of(self, job: JobRecord) -> JobPlace | None:
        """Return where a job stands; None if it does not wait."""
        pool = self._pools.get(job.pool)
        match job.state:
            case JobState.DELAYED:
                return JobPlace(starts_at=job.due_at)
            case JobState.WAITING if pool is not None:
                ahead = await self._ahead(job, pool)
                begins = None if ahead is None else await self._begins(job, pool, ahead)
                position = None if ahead is None else ahead + 1
                return JobPlace(position, begins, is_approximate=not self._is_exact)
            case JobState.PENDING | JobState.WAITING:
                return JobPlace(starts_at=job.due_at, is_approximate=not self._is_exact)
            case _:
                return None

    async def _ahead(self, job: JobRecord, pool: PoolCard) -> int | None:
        if self._is_exact:
            count = partial(places.exactly_before, queues=pool.queues, job_id=job.id)
            return await self._views.ledger.read(count)
        known = await self._views.ledger.read(partial(places.rivals, job=job))
        depth = (await self._views.postroom.figures(pool.name)).ready
        # What other programs published is not in the ledger yet: they are taken to go first.
        return known.ahead if depth is None else max(known.ahead, depth - known.behind - 1)

    async def _begins(self, job: JobRecord, pool: PoolCard, ahead: int) -> datetime | None:
        took = await self._views.ledger.read(partial(places.typical, queue=job.queue))
        slots = self._views.slots(pool.name)
        free = max(0, slots - self._views.book.active(pool.queues.public))
        wait = estimate(ahead, slots=slots, free=free, typical=took)
        return None if wait is None else self._clock.utcnow() + timedelta(seconds=wait)


def open_slots(workers: Iterable[Worker], each: int) -> int:
    """Return how many jobs these workers take at once: one that is held takes none."""
    return sum(each for one in workers if one.pid and not one.holds)


def estimate(ahead: int, *, slots: int, free: int, typical: float | None) -> float | None:
    """Return in how many seconds a job may begin; None if nothing is known to tell it by.

    Args:
        ahead: how many go before it.
        slots: how many run at once.
        free: how many of these slots are free.
        typical: seconds a job takes.
    """
    if ahead < free:
        return 0.0
    if typical is None or slots < 1:
        return None
    return (ahead - free + 1) * typical / slots


def status_of(job: JobRecord, place: JobPlace | None) -> JobStatus:
    """Return a job in few words."""
    return JobStatus(
        id=job.id,
        name=job.name,
        data=job.data,
        state=job.state.value,
        progress=job.progress,
        attempts_made=job.attempts + (job.state is JobState.COMPLETED),
        processed_on=_milliseconds(job.started_at),
        finished_on=_milliseconds(job.finished_at),
        returnvalue=job.returned,
        failed_reason=job.error.message if job.error else None,
        place=place,
    )


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
