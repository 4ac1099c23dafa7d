"""Steering jobs, on behalf of people: every step is committed before anything is said or published.

While a job is steered no delivery of it is judged (``Book.steering``), so that it either runs
already or does not begin; what is decided then holds. Older copies of it that lie in a queue are
dropped when they are met.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial

import msgspec

from consumers import logs
from consumers.clock import Clock
from consumers.errors import MalformedError
from consumers.jobs import ONE_TO_FIVE, Priority, Scale, priority_named
from supervisor.book import Book, Key, Running
from supervisor.bulletin import Bulletin
from supervisor.cancellations import Elsewhere
from supervisor.core.cancellations import came_first
from supervisor.core.events import CancelIgnored
from supervisor.core.records import JobRecord, JobState
from supervisor.core.steering import WAITING, Go, Granted, Refused, Wish, rule
from supervisor.desks.steering import JobStatus
from supervisor.inbox import Inbox
from supervisor.ledger import listing, next_copies, withdrawals
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.next_copies import Again
from supervisor.ledger.store import Ledger
from supervisor.lookup import find, gone
from supervisor.ports import BadOrderError, Event, NotNowError, WrongStateError
from supervisor.poster import Poster
from supervisor.standing import Standing, status_of
from supervisor.switchboard import Switchboard
from workers import messages

MARGIN = 3.0  # seconds on top of the grace for a run that ends by itself to be heard of
DYING = 15.0  # seconds for the process of a run that did not end to be gone
SETTLING = 5.0  # seconds for a run that has ended to be settled
BETWEEN_LOOKS = 0.05  # seconds
PATIENCE = 20.0  # seconds until whoever asked is told how far it is

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Helm:
    """What jobs are steered with."""

    book: Book
    switchboard: Switchboard
    inbox: Inbox
    poster: Poster
    bulletin: Bulletin
    scales: Mapping[str, Scale] = field(default_factory=dict)  # of the pools that have their own


class StillFollowedError(WrongStateError):
    """A job that is over cannot be forgotten before those that came of it."""


class Pilot:
    """Implements ``desks.steering.Steering``; ``grace`` is the time to react to a cancel flag."""

    def __init__(
        self, helm: Helm, ledger: Ledger, standing: Standing, clock: Clock, *, grace: float = 10.0
    ) -> None:
        self._helm = helm
        self._ledger = ledger
        self._standing = standing
        self._grace = grace
        self._clock = clock
        self._elsewhere = Elsewhere(ledger, clock)
        self._under_way: set[asyncio.Task[JobRecord]] = set()

    async def retry(self, job_id: str) -> JobRecord:
        """Run a failed or cancelled job again, with a clean count of attempts and crashes."""
        among = frozenset({JobState.FAILED, JobState.CANCELLED})
        return await self._steer(job_id, Wish.RETRY, partial(self._again, Again(among=among)))

    async def promote(self, job_id: str) -> JobRecord:
        """Run a delayed job now."""

        async def hurry(record: JobRecord) -> None:
            if record.due_at is not None:  # or it is pending, and to be run at once
                await self._again(Again(among=WAITING), record)

        return await self._steer(job_id, Wish.PROMOTE, hurry)

    async def reprioritize(self, job_id: str, level: int | str) -> JobRecord:
        """Have a job that waits be more urgent, or less."""

        async def change(record: JobRecord) -> None:
            priority = self._level(level, record.pool)
            if record.priority is not priority:
                await self._again(Again(delay=None, priority=priority, among=WAITING), record)

        def check(record: JobRecord) -> None:
            self._level(level, record.pool)

        return await self._steer(job_id, Wish.REPRIORITIZE, change, check)

    def _level(self, level: int | str, pool: str) -> Priority:
        """Return the priority that is meant by those who know the pool. Raises BadOrderError."""
        try:
            return priority_named(level, self._helm.scales.get(pool, ONE_TO_FIVE))
        except MalformedError as error:
            why = f"priority: {str(error).partition(': ')[2]}"
            raise BadOrderError(why) from error

    async def cancel(self, job_id: str) -> JobRecord:
        """Have a job not run, or stop its run."""
        return await self._steer(job_id, Wish.CANCEL, self._cancel)

    async def remove(self, job_id: str) -> JobRecord:
        """Have a waiting job not run, and forget it; or a finished one."""
        return await self._steer(job_id, Wish.REMOVE, self._remove)

    async def steered(self, key: Key, wish: Wish) -> JobRecord:
        """Cancel or remove one job, whatever has come of it; returns when that is done."""
        return await self._obey(key, wish, self._cancel if wish is Wish.CANCEL else self._remove)

    async def status(self, job_id: str) -> JobStatus:
        """Return a job in few words, and where it stands."""
        record = await find(self._ledger, job_id)
        return status_of(record, await self._standing.of(record))

    async def close(self) -> None:
        """Wait no longer for runs to end; their processes end with the house."""
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    # --- one at a time ----------------------------------------------------------------------

    async def _steer(
        self,
        job_id: str,
        wish: Wish,
        act: Callable[[JobRecord], Awaitable[None]],
        check: Callable[[JobRecord], None] = lambda _: None,
    ) -> JobRecord:
        """Do what is wished, also when whoever asked has gone; after a while tell how far it is.

        ``check`` raises what is wrong with the wish, whatever the state of its job.
        """
        found = await find(self._ledger, job_id)
        check(found)
        return await self.seen_through(found, self._obey((found.queue, found.id), wish, act))

    async def seen_through(
        self, found: JobRecord, work: Coroutine[None, None, JobRecord]
    ) -> JobRecord:
        """Return what comes of some steering, or after a while the job as it is until then."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        return task.result() if done else await find(self._ledger, found.id)

    async def _obey(
        self, key: Key, wish: Wish, act: Callable[[JobRecord], Awaitable[None]]
    ) -> JobRecord:
        async with self._helm.book.steering(key):
            record = await self._settled(key, wish)
            match rule(wish, record.state):
                case Refused(why=why):
                    message = f"job {record.id} {why}"
                    raise WrongStateError(message)
                case Granted():
                    return record
                case Go():
                    await self._try(act, record)
        log.info("job steered", job=record.id, queue=record.queue, wish=wish.value)
        after = await self._after(record)
        if wish is Wish.CANCEL and after.state is JobState.ACTIVE:
            return await self._elsewhere.end(after)
        return after

    async def _try(self, act: Callable[[JobRecord], Awaitable[None]], record: JobRecord) -> None:
        try:
            await act(record)
        except LedgerError as error:
            why = f"nothing was changed, try again when the ledger takes it: {error}"
            raise NotNowError(why) from error

    async def _after(self, record: JobRecord) -> JobRecord:
        """Return the job as it is now; one that is erased, as it was last."""
        found = await self._ledger.show(record.id)
        if found is None or found.queue != record.queue:
            return msgspec.structs.replace(record, state=JobState.REMOVED)
        return found

    async def _settled(self, key: Key, wish: Wish) -> JobRecord:
        """Return a job as it stands; one whose run has just ended, once that is settled."""
        until = self._clock.monotonic() + SETTLING
        while True:
            record = await self._look(key)
            if self._helm.book.running(key) is not None and not record.state.is_final:
                return msgspec.structs.replace(record, state=JobState.ACTIVE)
            is_ending = record.state is JobState.ACTIVE or (
                record.state.is_final
                and wish in {Wish.RETRY, Wish.REMOVE}
                and self._helm.book.is_in_hand(key)
            )
            if not is_ending:
                return record
            if await self._is_elsewhere(record):
                return record
            if self._clock.monotonic() >= until:
                message = f"job {record.id} is just ending: try again in a moment"
                raise WrongStateError(message)
            await self._clock.sleep(BETWEEN_LOOKS)

    async def _is_elsewhere(self, record: JobRecord) -> bool:
        """Answer whether a job runs on another machine, which alone can stop it."""
        if not self._ledger.is_shared or record.state is not JobState.ACTIVE:
            return False
        known = await self._ledger.known(record.queue, record.id)
        return known is not None and bool(known.elsewhere)

    async def _look(self, key: Key) -> JobRecord:
        now = self._clock.utcnow()
        look = partial(listing.at, queue=key[0], job_id=key[1], now=now)
        record = await self._ledger.read(look)
        if record is None:
            raise gone(key[1])
        return record

    # --- the steps --------------------------------------------------------------------------

    async def _again(self, copy: Again, record: JobRecord) -> None:
        step = partial(next_copies.again, queue=record.queue, job_id=record.id, copy=copy)
        if not await self._ledger.write(partial(step, now=self._clock.utcnow())):
            raise _has_changed(record)
        self._helm.poster.poke()

    async def _remove(self, record: JobRecord) -> None:
        key, now = (record.queue, record.id), self._clock.utcnow()
        if record.state.is_final:
            erase = partial(withdrawals.erase, queue=key[0], job_id=key[1], now=now)
            if not await self._ledger.write(erase):
                raise await self._why_it_stays(record)
        else:
            await self._call_off(record, JobState.REMOVED)
        self._tell("removed", record)

    async def _why_it_stays(self, record: JobRecord) -> WrongStateError:
        if (await self._look((record.queue, record.id))).state is not record.state:
            return _has_changed(record)
        left = f"`jobs --parent {record.id}` lists them"
        why = f"job {record.id} stays as long as a job that came of it is there; {left}"
        return StillFollowedError(why)

    async def _call_off(self, record: JobRecord, state: JobState) -> None:
        off = partial(withdrawals.call_off, queue=record.queue, job_id=record.id, state=state)
        if not await self._ledger.write(partial(off, now=self._clock.utcnow())):
            raise _has_changed(record)

    async def _cancel(self, record: JobRecord) -> None:
        key = (record.queue, record.id)
        running = self._helm.book.running(key)
        if running is not None:
            await self._cancel_run(record, running)
        elif record.state is JobState.ACTIVE:
            await self._elsewhere.ask(record)
        else:
            await self._call_off(record, JobState.CANCELLED)
            self._tell("cancelled", record)

    async def _cancel_run(self, record: JobRecord, running: Running) -> None:
        """Ask the processor to stop; end its process if it does not."""
        grace, key = self._grace, (record.queue, record.id)
        order = messages.Cancel(*key, seq=record.seq, grace=grace)
        self._helm.switchboard.send(running.holder, order)
        if not await self._has_ended(running, grace + MARGIN):
            await self._cut_short(record, running)
            return
        after = await self._look(key)
        if after.state is JobState.CANCELLED:
            return  # told of by whoever wrote it
        if after.state.is_final or after.state is JobState.ACTIVE:
            message = f"job {record.id} {came_first(after.state) or came_first(JobState.FAILED)}"
            raise WrongStateError(message)
        # It was to be tried again, or its worker died meanwhile.
        await self._call_off(after, JobState.CANCELLED)
        self._tell("cancelled", after)

    async def _cut_short(self, record: JobRecord, running: Running) -> None:
        """Write that a run is cancelled, then end its process: so it never comes back."""
        key = (record.queue, record.id)
        if await self._ledger.cancel(*key, worker=running.holder[0]):
            self._tell("cancelled", record)
        self._helm.inbox.put(CancelIgnored(*running.holder, *key))
        await self._has_ended(running, DYING)

    async def _has_ended(self, running: Running, within: float) -> bool:
        ends = (
            asyncio.ensure_future(running.ended.wait()),
            asyncio.ensure_future(self._clock.sleep(within)),
        )
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        return running.ended.is_set()

    def _tell(self, name: str, record: JobRecord) -> None:
        kin = msgspec.structs.asdict(record.kin)
        event = Event(name, self._clock.utcnow(), queue=record.queue, id=record.id, **kin)
        self._helm.bulletin.publish(event)


def _has_changed(record: JobRecord) -> WrongStateError:
    return WrongStateError(f"job {record.id} has just changed: look at it, and try again")
