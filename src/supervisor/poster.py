"""The poster: the one road by which the coordinator itself puts jobs into queues.

What is to be published is committed first, as a row in state ``pending``, with whatever caused it
(``ledger/pending.py``). From there it is published in order, many copies at once, and those that
are stored are marked in one commit. While the broker is away, the rows wait.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from consumers import copies, logs
from consumers.broker.port import Message
from consumers.clock import Clock
from consumers.errors import BrokerError, MalformedError, UnroutableError, UnsayableError
from consumers.jobs import (
    MAX_ATTEMPTS,
    ONE_TO_FIVE,
    PRIORITY,
    Priority,
    Properties,
    priority_of,
)
from supervisor.book import Key
from supervisor.bulletin import Bulletin
from supervisor.core.records import PoolCard
from supervisor.core.schedules import EPOCH
from supervisor.ledger import publishing
from supervisor.ledger.errors import LedgerClosedError, LedgerError
from supervisor.ledger.insist import insist
from supervisor.ledger.publishing import Posting
from supervisor.ledger.store import Ledger
from supervisor.ports import Event
from supervisor.postroom import Postroom

BATCH = 500  # copies that are published at once
PATIENCE = 3.0  # seconds that whoever hands a job in waits for it to be in its queue
AGAIN = 1.0  # seconds until a broker or ledger in trouble is tried again, unless we are poked
REFUSED = 15.0  # seconds until a copy that its queue refused is published again
PUT_BACK = timedelta(seconds=0.5)  # a clock that lost so much between two looks was put back
REST = 60.0  # seconds between two looks when nothing is known to be due

log = logs.get(__name__)


class Poster:
    """Publishes what is pending, until it is cancelled."""

    def __init__(
        self,
        ledger: Ledger,
        postroom: Postroom,
        pools: Iterable[PoolCard],
        bulletin: Bulletin,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._postroom = postroom
        self._pools = {pool.name: pool for pool in pools}
        self._bulletin = bulletin
        self._clock = clock
        self._poked = asyncio.Event()
        self._ahead: timedelta | None = None  # of the wall clock before the other, at the last look
        self._waiting: dict[Key, asyncio.Future[None]] = {}
        self._told: dict[Key, int] = {}  # copies whose events are out, until they are stored

    def poke(self) -> None:
        """Look for something to publish: a row was entered, or the broker is back."""
        self._poked.set()

    async def posted(self, key: Key, *, within: float = PATIENCE) -> bool:
        """Answer whether a job that was just entered is in its queue within these seconds."""
        waiting = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        self.poke()
        try:
            async with asyncio.timeout(within):
                await asyncio.shield(waiting)
        except TimeoutError:
            return False
        finally:
            if self._waiting.get(key) is waiting:
                del self._waiting[key]
        return True

    async def run(self) -> None:
        """Publish whatever is pending, for as long as the house stands."""
        await self._name_strangers()
        while True:
            self._poked.clear()
            try:
                rest = await self._round()
            except LedgerClosedError:
                return
            except LedgerError as error:
                log.debug("pending jobs not read", why=str(error))  # one in trouble is told of once
                rest = AGAIN
            if rest > 0:
                await self._pause(rest)

    async def _round(self) -> float:
        """Publish a batch; return for how many seconds there is nothing more to do."""
        await self._follow_the_clock()
        if not self._postroom.is_connected:
            return REST  # we are poked when it is there
        now = self._clock.utcnow()
        pools = tuple(self._pools)
        batch = await self._ledger.read(
            partial(publishing.ready, pools=pools, limit=BATCH, now=now)
        )
        if not batch:
            await self._forget_removed()
            return await self._until_the_next(now)
        return AGAIN if await self._post(batch) else 0.0

    async def _follow_the_clock(self) -> None:
        """Bring nearer what was entered by a wall clock that was put back since the last look."""
        now, elapsed = self._clock.utcnow(), timedelta(seconds=self._clock.monotonic())
        ahead = now - EPOCH - elapsed
        step = timedelta() if self._ahead is None else self._ahead - ahead
        if step > PUT_BACK:
            await self._ledger.write(partial(publishing.bring_nearer, step=step, now=now))
            log.warning("clock was put back, pending jobs follow", seconds=step.total_seconds())
        self._ahead = ahead

    async def _forget_removed(self) -> None:
        """Forget whose event is out if it is not to be published any more."""
        if self._told:
            ids = [job_id for _, job_id in self._told]
            still = await self._ledger.read(partial(publishing.keys_of, ids=ids))
            self._told = {key: seq for key, seq in self._told.items() if key in still}

    async def _until_the_next(self, now: datetime) -> float:
        due = await self._ledger.read(partial(publishing.next_moment, now=now))
        return REST if due is None else min(REST, max(0.001, (due - now).total_seconds()))

    async def _post(self, batch: Sequence[Posting]) -> bool:
        """Publish copies and mark those that are stored; answer whether the broker went away."""
        errors = await asyncio.gather(*(self._publish(posting) for posting in batch))
        ends = tuple(zip(batch, errors, strict=True))
        stored = [posting for posting, error in ends if error is None]
        refused = [posting for posting, error in ends if isinstance(error, UnroutableError)]
        if stored:
            await self._mark(partial(publishing.stored, postings=stored, now=self._clock.utcnow()))
            self._done(stored)
        if refused:
            until = self._clock.utcnow() + timedelta(seconds=REFUSED)
            await self._mark(partial(publishing.put_off, postings=refused, until=until))
        return len(stored) + len(refused) < len(batch)

    async def _mark(self, change: "partial[None]") -> None:
        """Write what became of copies; until it is written, they would be published once more."""

        async def write() -> None:
            await self._ledger.write(change)

        if not await insist(write, clock=self._clock):
            message = "the ledger was closed before it was noted what was published"
            raise LedgerClosedError(message)

    async def _publish(self, posting: Posting) -> BrokerError | None:
        """Publish one copy; return why it is not stored, if it is not."""
        self._tell(posting)
        queue, message, delay = parcel(posting, self._pools[posting.pool], self._clock.utcnow())
        try:
            await self._send(queue, message, delay)
        except UnroutableError as error:
            log.warning("job not published yet", job=posting.id, queue=queue, why=str(error))
            return error
        except BrokerError as error:
            log.debug("job waits for the broker", job=posting.id, queue=queue, why=str(error))
            return error
        return None

    async def _send(self, queue: str, message: Message, delay: float) -> None:
        try:
            await self._postroom.publish(queue, message, delay=delay)
        except UnsayableError as error:
            log.warning("job does not fit AMQP, foreign headers left out", why=str(error))
            await self._postroom.publish(queue, copies.slimmed(message), delay=delay)

    def _tell(self, posting: Posting) -> None:
        """Say once that a job waits; before it does: a worker may have it before we know it."""
        if self._told.get(posting.key) == posting.seq:
            return
        self._told[posting.key] = posting.seq
        now = self._clock.utcnow()
        is_later = posting.due_at is not None and posting.due_at > now
        name = "delayed" if is_later else "waiting"
        kin = msgspec.structs.asdict(posting.kin)
        self._bulletin.publish(Event(name=name, at=now, queue=posting.queue, id=posting.id, **kin))

    def _done(self, stored: Iterable[Posting]) -> None:
        for posting in stored:
            self._told.pop(posting.key, None)
            waiting = self._waiting.pop(posting.key, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    async def _name_strangers(self) -> None:
        """Say which jobs wait for pools that are not configured any more."""
        with contextlib.suppress(LedgerError):
            question = partial(publishing.strangers, pools=tuple(self._pools))
            for pool, number in (await self._ledger.read(question)).items():
                log.warning("jobs wait for a pool that is not configured", pool=pool, jobs=number)

    async def _pause(self, rest: float) -> None:
        waits = (
            asyncio.ensure_future(self._poked.wait()),
            asyncio.ensure_future(self._clock.sleep(rest)),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def parcel(posting: Posting, pool: PoolCard, now: datetime) -> tuple[str, Message, float]:
    """Return where a copy is to be published, as what, and after how many seconds."""
    delay = 0.0 if posting.due_at is None else (posting.due_at - now).total_seconds()
    message = _worded(posting)
    is_first = posting.seq == 0
    if not is_first:
        message = copies.anew(
            message, job_id=posting.id, seq=posting.seq, attempts=posting.attempts
        )
    if pool.queues.public != posting.queue:
        message = copies.known_by(message, posting.queue)
    if pool.scale != ONE_TO_FIVE:  # there our AMQP levels would mean something else
        named = message.properties.with_headers(**{PRIORITY: posting.priority.word})
        message = Message(message.body, named)
    is_plain = is_first and delay <= 0 and posting.priority is Priority.NORMAL
    lane = pool.queues.public if is_plain else pool.queues.priority
    return lane, message, max(delay, 0.0)


def _worded(posting: Posting) -> Message:
    """Return the message of a job that says what the ledger has of it."""
    properties = posting.message.properties
    if not _says(properties, posting.priority):
        properties = msgspec.structs.replace(properties, priority=posting.priority.amqp)
        properties = properties.with_headers(**{PRIORITY: posting.priority.word})
    if posting.max_attempts is not None:
        properties = properties.with_headers(**{MAX_ATTEMPTS: posting.max_attempts})
    return Message(posting.message.body, properties)


def _says(properties: Properties, priority: Priority) -> bool:
    """Answer whether a message is as urgent as its job; what says nonsense is refused as it is."""
    try:
        return priority_of(properties) is priority
    except MalformedError:
        return priority is Priority.NORMAL
