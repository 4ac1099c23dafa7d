"""The outbox: notices that are committed and not yet delivered, tried until they are.

At least once: a notice is forgotten only when its sink has taken it, so that a crash in between
delivers it again under the same key. Whatever was waiting at a stop is found again at the start.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from consumers import logs
from consumers.clock import Clock
from consumers.retry import RetryPolicy, may_retry, retry_delay
from supervisor.core.records import Notice
from supervisor.core.troubles import StoreError
from supervisor.notify.sinks import NotDeliveredError, Sink

log = logs.get(__name__)

# 5 s doubling to an hour, with jitter: 42 tries take about a day.
POLICY = RetryPolicy(attempts=42, delay=5.0, max=3600.0)
LONGEST_WAIT = 86_400.0  # seconds; a receiver's Retry-After is honoured up to here
LOOK_EVERY = 10.0  # seconds between looks when nothing calls
TAKEN_AT_ONCE = 200  # notices in memory
AT_A_TIME = 4  # deliveries under way for each sink
PATIENCE = 5.0  # seconds that deliveries under way get at a stop

_Key = tuple[str, str]  # a notice's key and its sink


class NoticeStore(Protocol):
    """Where notices wait; all three return when it is done and durable."""

    async def due(self, now: datetime, limit: int) -> Sequence[Notice]:
        """Return the notices whose time has come, neither delivered nor given up, oldest first."""

    async def delivered(self, key: str, sink: str) -> None:
        """Note that this sink has taken the notice."""

    async def postpone(self, key: str, sink: str, *, error: str, due_at: datetime | None) -> None:
        """Note one more try that failed, and when the next one is due; None gives it up."""


def next_try(
    notice: Notice, refusal: NotDeliveredError, *, policy: RetryPolicy = POLICY, roll: float
) -> float | None:
    """Return the seconds before the next try after a failed one, or None to give up."""
    failed = notice.deliveries + 1
    if refusal.final or not may_retry(policy, failed=failed):
        return None
    return max(
        retry_delay(policy, failed=failed, roll=roll), min(refusal.after or 0.0, LONGEST_WAIT)
    )


class Outbox:
    """Takes due notices from the store and hands them to their sinks, until stopped."""

    def __init__(
        self,
        store: NoticeStore,
        sinks: Iterable[Sink],
        *,
        clock: Clock,
        policy: RetryPolicy = POLICY,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._store = store
        self._sinks = {sink.name: sink for sink in sinks}
        # Slots are per sink, so that one that does not answer holds up no other.
        self._slots = {name: asyncio.Semaphore(AT_A_TIME) for name in self._sinks}
        self._clock = clock
        self._policy = policy
        self._look_every = look_every
        self._called = asyncio.Event()
        self._under_way: dict[_Key, asyncio.Task[None]] = {}
        self._arrived: set[_Key] = set()  # delivered, but the store could not note it yet
        self._more = False  # the last look did not see everything
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin delivering, with what was left over from before."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._run(), name="outbox")

    async def stop(self) -> None:
        """End delivering; what is under way gets a few seconds, the rest stays in the store."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.cancel()
            await asyncio.wait({loop})
        if self._under_way:
            _, late = await asyncio.wait(self._under_way.values(), timeout=PATIENCE)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def poke(self) -> None:
        """Say that a notice was committed: look at once."""
        self._called.set()

    async def _run(self) -> None:
        while True:
            self._called.clear()
            try:
                await self._look()
            except StoreError as error:
                _remark("outbox cannot be read", error)
            except Exception:  # around a notifier: it outlives a store that fails for a while
                log.exception("outbox cannot be read")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), self._look_every)

    async def _look(self) -> None:
        notices = await self._store.due(self._clock.utcnow(), TAKEN_AT_ONCE)
        self._more = len(notices) == TAKEN_AT_ONCE
        for notice in notices:
            key = (notice.key, notice.sink)
            if key not in self._under_way:
                self._under_way[key] = asyncio.create_task(self._attempt(notice, key))

    async def _attempt(self, notice: Notice, key: _Key) -> None:
        try:
            await self._settle(notice, key)
        except StoreError as error:
            self._more = False
            _remark("notice stays in the outbox", error)
        except Exception:  # around a notifier: one notice must not end the others
            self._more = False  # no hurry while something is broken
            log.exception("notice stays in the outbox", key=notice.key, sink=notice.sink)
        finally:
            del self._under_way[key]
            if self._more and len(self._under_way) <= TAKEN_AT_ONCE // 2:
                self._called.set()

    async def _settle(self, notice: Notice, key: _Key) -> None:
        if key not in self._arrived:
            try:
                await self._deliver(notice)
            except NotDeliveredError as refusal:
                await self._put_back(notice, refusal)
                return
            self._arrived.add(key)
        await self._store.delivered(notice.key, notice.sink)
        self._arrived.discard(key)

    async def _deliver(self, notice: Notice) -> None:
        sink = self._sinks.get(notice.sink)
        if sink is None:
            why = f"no sink named {notice.sink} is configured any more"
            raise NotDeliveredError(why)
        async with self._slots[notice.sink]:
            await sink.deliver(notice)

    async def _put_back(self, notice: Notice, refusal: NotDeliveredError) -> None:
        delay = next_try(notice, refusal, policy=self._policy, roll=self._clock.roll())
        due_at: datetime | None = None
        if delay is None:
            log.error("notice given up", key=notice.key, sink=notice.sink, why=refusal.why)
        else:
            due_at = self._clock.utcnow() + timedelta(seconds=delay)
            why = {"why": refusal.why, "again_in": round(delay, 1)}
            log.warning("notice not delivered", key=notice.key, sink=notice.sink, **why)
        await self._store.postpone(notice.key, notice.sink, error=refusal.why, due_at=due_at)
        if delay is not None and delay < self._look_every:
            asyncio.get_running_loop().call_later(delay, self.poke)


def _remark(what: str, error: StoreError) -> None:
    """Say what the store refused; of a store in trouble others tell, once for all."""
    if error.trouble is None:
        log.warning(what, why=str(error))
