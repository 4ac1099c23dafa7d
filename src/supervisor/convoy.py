"""A job and all that came of it, steered together: cancelled, or removed from the last one up.

Each of them is steered as by itself, with nothing held meanwhile but that one job, so that whoever
steers another one of them never waits for us in vain. What comes of them in the meantime is found
by looking again; a removal that was broken off is gone on with by asking for it once more.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from supervisor.book import Book, Key
from supervisor.core.records import JobRecord, JobState
from supervisor.core.steering import Wish
from supervisor.desks.steering import JobStatus
from supervisor.ledger import chains
from supervisor.ledger.chains import Descendant
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.store import Ledger
from supervisor.lookup import find
from supervisor.ports import ControlError, NotNowError, WrongStateError
from supervisor.steering import Pilot, StillFollowedError

AT_ONCE = 50  # jobs that are steered side by side
ROUNDS = 40  # looks at what is left; a chain has far fewer levels
BETWEEN_LOOKS = 1.0  # seconds, where nothing has changed

Steer = Callable[[Descendant], Awaitable[object]]


class Convoy:
    """Implements ``desks.steering.Steering``: what concerns one job alone is the pilot's."""

    def __init__(self, pilot: Pilot, ledger: Ledger, book: Book) -> None:
        self._pilot = pilot
        self._ledger = ledger
        self._book = book

    async def retry(self, job_id: str) -> JobRecord:
        """Run a failed or cancelled job again; what follows it follows it then."""
        return await self._pilot.retry(job_id)

    async def promote(self, job_id: str) -> JobRecord:
        """Run a delayed job now."""
        return await self._pilot.promote(job_id)

    async def reprioritize(self, job_id: str, level: int | str) -> JobRecord:
        """Have a job that waits be more urgent, or less."""
        return await self._pilot.reprioritize(job_id, level)

    async def status(self, job_id: str) -> JobStatus:
        """Return a job in few words, and where it stands."""
        return await self._pilot.status(job_id)

    async def cancelled(self, key: Key) -> JobRecord:
        """Cancel one job by itself, as another machine was asked to."""
        return await self._pilot.steered(key, Wish.CANCEL)

    async def close(self) -> None:
        """Wait no longer for what is under way."""
        await self._pilot.close()

    # --- all of them ------------------------------------------------------------------------

    async def cancel(self, job_id: str) -> JobRecord:
        """Cancel a job; of one that was completed, all that came of it and has not ended."""
        found = await find(self._ledger, job_id)
        return await self._pilot.seen_through(found, self._cancel_all(found))

    async def remove(self, job_id: str) -> JobRecord:
        """Remove a job, and before it all that came of it."""
        found = await find(self._ledger, job_id)
        return await self._pilot.seen_through(found, self._remove_all(found))

    async def _cancel_all(self, first: JobRecord) -> JobRecord:
        has_ended = first.state.is_final
        if not (has_ended and any(map(_is_cancellable, await self._below(first)))):
            try:
                return await self._pilot.steered((first.queue, first.id), Wish.CANCEL)
            except WrongStateError:
                # It may have been completed in that moment: what follows it is meant then.
                if not await self._under_way(first):
                    raise
        await self._until_none(first, self._under_way, self._cancel)
        return await find(self._ledger, first.id)

    async def _remove_all(self, first: JobRecord) -> JobRecord:
        try:
            await self._until_none(first, self._left, self._remove)
            return await self._pilot.steered((first.queue, first.id), Wish.REMOVE)
        except (ControlError, LedgerError):
            await self._stay(first)
            raise

    async def _cancel(self, one: Descendant) -> None:
        await self._pilot.steered(one.key, Wish.CANCEL)

    async def _remove(self, one: Descendant) -> None:
        """Remove one job; the ledger refuses while something is left that came of it."""
        if one.state is JobState.ACTIVE or self._book.running(one.key) is not None:
            cancelled = await self._pilot.steered(one.key, Wish.CANCEL)
            if not cancelled.state.is_final:
                return  # whoever runs it was asked: it is removed when that is done
        await self._pilot.steered(one.key, Wish.REMOVE)

    async def _until_none(
        self,
        first: JobRecord,
        left: Callable[[JobRecord], Awaitable[Sequence[Descendant]]],
        steer: Steer,
    ) -> None:
        """Steer what is left until nothing is, or nothing changes any more."""
        before: Sequence[Descendant] = ()
        has_changed = False  # at the last look
        refusals: list[ControlError | LedgerError] = []
        for _ in range(ROUNDS):
            some = await left(first)
            if not some:
                return
            has_changed = some != before
            if not has_changed and refusals:
                break
            if not has_changed:
                await self._ledger.clock.sleep(BETWEEN_LOOKS)  # it is under way, on another machine
            before, refusals = some, await self._each(some, steer)
        raise _refused(first, before, refusals, has_changed=has_changed)

    async def _each(
        self, some: Sequence[Descendant], steer: Steer
    ) -> list[ControlError | LedgerError]:
        """Steer many side by side; return why some of them could not be steered so."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one_of_them(one: Descendant) -> ControlError | LedgerError | None:
            async with places:
                try:
                    await steer(one)
                except (ControlError, LedgerError) as refusal:  # it is gone, or has changed
                    return refusal
            return None

        ends = await asyncio.gather(*map(one_of_them, some))
        # What waits for others that are steered beside it is no reason: those are.
        return [
            refusal
            for refusal in ends
            if refusal is not None and not isinstance(refusal, StillFollowedError)
        ]

    # --- what is left -----------------------------------------------------------------------

    async def _below(self, first: JobRecord) -> tuple[Descendant, ...]:
        """Return all that came of a job, the last generation first."""
        below = partial(chains.descendants, queue=first.queue, job_id=first.id)
        return (await self._ledger.read(below))[::-1]

    async def _under_way(self, first: JobRecord) -> tuple[Descendant, ...]:
        return tuple(each for each in await self._below(first) if not each.state.is_final)

    async def _left(self, first: JobRecord) -> tuple[Descendant, ...]:
        """Return what is to be removed; before any of it is, that it is no news is on record."""
        left = tuple(
            each for each in await self._below(first) if each.state is not JobState.REMOVED
        )
        if left:
            # Said at each look: somebody else's removal that was refused may have taken it back.
            leave = partial(chains.leave, queue=first.queue, job_id=first.id)
            try:
                await self._ledger.write(leave)
            except LedgerError as error:
                why = f"try again when the ledger takes it: {error}"
                raise NotNowError(why) from error
        return left

    async def _stay(self, first: JobRecord) -> None:
        """Have the user of a chain told of it after all; what is broken off stays as it is."""
        with contextlib.suppress(LedgerError):
            await self._ledger.write(partial(chains.stay, queue=first.queue, job_id=first.id))


def _is_cancellable(one: Descendant) -> bool:
    """Answer whether a job can be cancelled, or was: what is wished twice is granted twice."""
    return one.state is JobState.CANCELLED or not one.state.is_final


def _refused(
    first: JobRecord,
    left: Sequence[Descendant],
    refusals: Sequence[ControlError | LedgerError],
    *,
    has_changed: bool,
) -> ControlError:
    """Return why some of what came of a job is as it was."""
    if not refusals and not has_changed:
        running = sum(1 for each in left if not each.state.is_final) or len(left)
        still = "1 still runs" if running == 1 else f"{running} still run"
        return NotNowError(f"of what came of job {first.id}, {still} on another machine: try again")
    why = str(refusals[0]) if refusals else "more of them came all the time"
    words = f"of what came of job {first.id}, {len(left)} could not be steered so: {why}"
    is_passing = any(isinstance(refusal, NotNowError | LedgerError) for refusal in refusals)
    return NotNowError(words) if is_passing else WrongStateError(words)
