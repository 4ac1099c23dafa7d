"""The desk for dead letters, served: they are looked up, sent again, taken back, kept, thrown away.

Everything that changes them is done in batches, each a transaction of its own. Whatever is broken
off, by a kill or by a full disk, is done for some and not for others, and every one is whole.
"""

import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import msgspec

from consumers import jobs, logs
from consumers.clock import Clock
from consumers.errors import MalformedError
from consumers.jobs import Properties
from supervisor.book import Book, Key
from supervisor.bulletin import Bulletin
from supervisor.core.bounds import FASTEST, SLOWEST
from supervisor.core.chains import check
from supervisor.core.letters import LetterFilter, in_words, lasting, moments
from supervisor.core.records import JobState, PoolCard
from supervisor.desks.letters import (
    FORMAT,
    BadLine,
    Chosen,
    EditOrder,
    ErrorGroup,
    Exported,
    LetterCard,
    LetterPage,
    Purged,
    Replay,
    Replayed,
    ReplayOrder,
    TakenIn,
    Undone,
    content_of,
)
from supervisor.ledger import letter_files, letters, replays
from supervisor.ledger.letter_files import Entry
from supervisor.ledger.letters import Pick
from supervisor.ledger.replays import Heading, Turn
from supervisor.ledger.store import Ledger
from supervisor.ledger.values import properties_of
from supervisor.letter_choice import Choice, has_changed
from supervisor.letter_views import apart, more, shares
from supervisor.ports import (
    BadOrderError,
    Event,
    UnknownPoolError,
    UnknownReplayError,
)

IN_A_COMMIT = 100  # letters that are changed at once: others want to write too

T = TypeVar("T")

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """What the desk works with; ``paused`` says which pools are, and why."""

    ledger: Ledger
    book: Book
    poke: Callable[[], None]  # there is something to publish
    bulletin: Bulletin
    paused: Callable[[], Mapping[str, str]]


class LetterDesk:
    """Implements ``desks.letters.Letters``."""

    def __init__(
        self, pools: Iterable[PoolCard], around: Around, clock: Clock, *, body_limit: int
    ) -> None:
        self._pools = {pool.name: pool for pool in pools}
        self._queues = {pool.queues.public for pool in self._pools.values()}
        self._around = around
        self._ledger = around.ledger
        self._clock = clock
        self._body_limit = body_limit
        self._choice = Choice(self._pools, self._ledger, clock)

    # --- looking ----------------------------------------------------------------------------

    async def find(self, chosen: Chosen, *, limit: int, after: int | None) -> LetterPage:
        """Return a page of the dead letters that fit, the newest jobs first."""
        wanted = await self._choice.wanted(chosen)
        page = partial(letters.page, wanted=wanted, limit=limit, after=after)
        found, following = await self._ledger.read(page)
        return LetterPage(found, None if following is None else str(following))

    async def groups(self, chosen: Chosen) -> tuple[ErrorGroup, ...]:
        """Return them by what they died of, the largest group first."""
        if chosen.ids or chosen.text is not None:
            raise BadOrderError("groups are chosen by pool, code, group, sender and age alone")
        wanted = await self._choice.wanted(chosen)
        return await self._ledger.read(partial(letters.groups, wanted=wanted))

    async def show(self, job_id: str) -> LetterCard:
        """Return one with all that befell it."""
        job = await self._choice.dead(job_id)
        await self._choice.name_groups()
        row = await self._ledger.read(partial(letters.whole, queue=job.queue, job_id=job.id))
        group = partial(letters.alike, queue=job.queue, group=row.error_group)
        properties, added = apart(properties_of(row.properties))
        return LetterCard(
            job=job,
            group=row.error_group,
            alike=await self._ledger.read(group),
            body=content_of(row.body),
            properties=properties,
            added=added,
            original=None if row.original in {None, row.body} else content_of(row.original),
            replay=row.replay,
            deaths=await self._ledger.read(partial(letters.deaths, job_id=job.id)),
        )

    # --- sending again ----------------------------------------------------------------------

    async def replay(self, order: ReplayOrder) -> Replayed:
        """Have dead letters run again, or say what would happen."""
        if order.rate is not None and not SLOWEST <= order.rate <= FASTEST:
            message = f"rate: must be {SLOWEST} to {FASTEST:,} jobs a second, is {order.rate:g}"
            raise BadOrderError(message)
        wanted = await self._choice.meant(order)
        picks, notes = await self._runnable(wanted, order)
        if order.group is not None and not (picks or notes):
            await self._choice.check_group(order.group)
        heading = Heading(in_words(wanted), order.rate)
        number, done = (None, len(picks)) if order.dry_run else await self._enter(heading, picks)
        return Replayed(
            replay=number,
            what=heading.what,
            jobs=done,
            seconds=lasting(done, order.rate),
            rate=order.rate,
            groups=shares(picks),
            notes=(*notes, *self._paused(picks)),
        )

    async def edit(self, job_id: str, order: EditOrder) -> Replayed:
        """Have one run again with another body."""
        body = msgspec.json.encode(order.data)
        try:
            check(jobs.read(body, Properties(), limit=self._body_limit).data, self._pools)
        except MalformedError as error:
            message = f"data: {error}"
            raise BadOrderError(message) from error
        job = await self._choice.dead(job_id)
        pick = await self._choice.only(job)
        heading = Heading(f"job {job.id}, edited", body=body)
        number, done = await self._enter(heading, (pick,))
        if not done:
            raise has_changed(job)
        notes = self._paused((pick,))
        return Replayed(number, heading.what, done, groups=shares((pick,)), notes=notes)

    async def _enter(self, heading: Heading, picks: Sequence[Pick]) -> tuple[int | None, int]:
        """Enter the next copies of dead letters; return the replay's number and how many."""
        when, done = moments(self._clock.utcnow(), heading.rate), 0
        turns = [Turn(*pick.key, post_at) for pick, post_at in zip(picks, when, strict=False)]
        for some in _batches(turns):
            enter = partial(replays.enter, heading=heading, turns=some, now=self._clock.utcnow())
            number, entered = await self._ledger.write(enter)
            heading, done = replace(heading, number=number), done + entered
            self._around.poke()
        if heading.number is not None:
            log.info("dead letters run again", replay=heading.number, what=heading.what, jobs=done)
        return heading.number, done

    async def replays(self, limit: int) -> tuple[Replay, ...]:
        """Return what was sent again, the newest first."""
        return await self._ledger.read(partial(replays.newest, limit=limit))

    async def undo(self, number: int) -> Undone:
        """Make what has not begun dead letters again, as they were."""
        found = await self._ledger.read(partial(replays.newest, limit=1, number=number))
        if not found:
            message = f"there is no replay {number}: `dlq replays` lists those there are"
            raise UnknownReplayError(message)
        keys = await self._ledger.read(partial(replays.unbegun, replay=number))
        done = 0
        for some in _batches(keys):
            done += await self._take_back(number, some)
        log.info("replay undone", replay=number, jobs=done)
        return Undone(number, done, found[0].jobs - done)

    async def _take_back(self, number: int, keys: Sequence[Key]) -> int:
        """Take jobs back that nobody has in hand; while we do, no delivery of them is judged."""
        async with AsyncExitStack() as steered:
            for key in sorted(keys):  # all who steer several do it in this order
                await steered.enter_async_context(self._around.book.steering(key))
            idle = [key for key in keys if not self._around.book.is_in_hand(key)]
            undo = partial(replays.undo, replay=number, keys=idle, now=self._clock.utcnow())
            return await self._ledger.write(undo)

    # --- throwing away, keeping -------------------------------------------------------------

    async def purge(self, order: Chosen) -> Purged:
        """Throw dead letters away for good, or say which that would be."""
        wanted = await self._choice.meant(order)
        picks = await self._choice.found(wanted, order)
        free = [pick for pick in picks if not pick.is_kept]
        idle = [pick for pick in free if not self._around.book.is_in_hand(pick.key)]
        kept, ending = len(picks) - len(free), len(free) - len(idle)
        notes = (
            *more(picks),
            *([f"{kept} belong to chains that are not over, and stay until then"] if kept else []),
            *([f"{ending} have just failed, and stay: try again"] if ending else []),
        )
        done = len(idle) if order.dry_run else await self._erase(idle)
        return Purged(in_words(wanted), done, shares(idle), notes)

    async def _erase(self, picks: Sequence[Pick]) -> int:
        gone: Counter[str] = Counter()
        for some in _batches(picks):
            erase = partial(letters.erase, picks=some, now=self._clock.utcnow())
            gone.update(await self._ledger.write(erase))
        for queue, number in gone.items():
            log.info("dead letters thrown away", queue=queue, jobs=number)
            data = {"state": JobState.FAILED.value, "jobs": number}
            at = self._clock.utcnow()
            self._around.bulletin.publish(Event(name="cleaned", at=at, queue=queue, data=data))
        return gone.total()

    async def export(self, chosen: Chosen) -> AsyncIterator[bytes]:
        """Yield dead letters as lines of JSON, the newest jobs first."""
        wanted = await self._choice.wanted(chosen)
        after: int | None = None
        left = sys.maxsize if chosen.limit is None else chosen.limit
        while True:
            lines, after = await self._ledger.read(
                partial(letter_files.out, wanted=wanted, after=after)
            )
            for line in lines[:left]:
                yield line
            left -= len(lines)
            if after is None or left <= 0:
                return

    async def take_in(self, lines: Sequence[bytes]) -> TakenIn:
        """Make dead letters of lines; what is known already is left as it is."""
        entries: list[Entry] = []
        refused: list[BadLine] = []
        for number, line in enumerate(lines, 1):
            try:
                if line.strip():
                    entries.append(letter_files.entry(self._read(line)))
            except (ValueError, UnknownPoolError) as error:
                refused.append(BadLine(number, str(error)))
        taken = 0
        for some in _batches(entries):
            taken += await self._ledger.write(partial(letter_files.take_in, entries=some))
        if taken:
            log.info("dead letters taken in", jobs=taken)
        return TakenIn(taken, len(entries) - taken, tuple(refused))

    def _read(self, line: bytes) -> Exported:
        """Return the letter of a line. Raises ValueError, and UnknownPoolError."""
        letter = msgspec.json.decode(line, type=Exported)
        if letter.format != FORMAT:
            message = f"format: is {letter.format}, this supervisor reads {FORMAT}"
            raise ValueError(message)
        if not 0 < len(letter.id.encode(errors="replace")) <= 255:
            raise ValueError("id: must be 1 to 255 bytes long")
        self._choice.pool(letter.pool)
        if letter.queue not in self._queues:
            message = f"queue: no pool consumes {letter.queue!r}"
            raise ValueError(message)
        return letter

    # --- inside -----------------------------------------------------------------------------

    async def _runnable(
        self, wanted: LetterFilter, order: ReplayOrder
    ) -> tuple[tuple[Pick, ...], tuple[str, ...]]:
        """Return which run again, and why others do not."""
        found = await self._choice.found(wanted, order)
        picks = tuple(pick for pick in found if pick.pool in self._pools)
        gone = Counter(pick.pool for pick in found if pick.pool not in self._pools)
        notes = [
            f"{number} are of the pool {pool}, which is not configured: they stay dead letters"
            for pool, number in gone.items()
        ]
        return picks, (*notes, *more(found))

    def _paused(self, picks: Iterable[Pick]) -> tuple[str, ...]:
        paused, pools = self._around.paused(), dict.fromkeys(pick.pool for pick in picks)
        return tuple(
            f"{pool} is paused ({paused[pool]}): its jobs wait until somebody resumes it"
            for pool in pools
            if pool in paused
        )


def _batches(many: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(many), IN_A_COMMIT):
        yield many[start : start + IN_A_COMMIT]
