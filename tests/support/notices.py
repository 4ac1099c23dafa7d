"""An outbox's store in memory, a sink that keeps what it is told, and notices to put in."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from consumers.jobs import Priority
from supervisor.core.records import JobRecord, JobState, Notice
from supervisor.notify.sinks import NotDeliveredError

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def a_job(**changes: object) -> JobRecord:
    """A finished download on behalf of user123."""
    job = JobRecord(
        id="7f3",
        pool="download",
        queue="download_queue",
        state=JobState.COMPLETED,
        priority=Priority.NORMAL,
        data={"link": "https://example.org/clip", "from": "user123"},
        sender="user123",
    )
    return msgspec.structs.replace(job, **changes)


def a_notice(number: int = 1, sink: str = "box", **changes: object) -> Notice:
    """A notice that is due."""
    notice = Notice(
        key=f"download_queue:{number}:completed",
        event="job.completed",
        sink=sink,
        queue="download_queue",
        job_id=str(number),
        sender="user123",
        text="Your video is here: /results/clip.mp4",
        body=b'{"event":"job.completed"}',
    )
    return msgspec.structs.replace(notice, **changes)


class NoticesInMemory:
    """A NoticeStore; what it holds survives the outbox that works on it."""

    def __init__(self, *notices: Notice) -> None:
        self._rows: dict[tuple[str, str], Notice] = {}
        self.given_up: set[tuple[str, str]] = set()
        self.add(*notices)
        self._changed = asyncio.Condition()
        self.failures = 0  # how many calls of `delivered` are still to fail
        self.failed = asyncio.Event()

    def add(self, *notices: Notice) -> None:
        self._rows |= {(notice.key, notice.sink): notice for notice in notices}

    def rows(self) -> list[Notice]:
        return list(self._rows.values())

    async def due(self, now: datetime, limit: int) -> Sequence[Notice]:
        rows = [
            row
            for row in self._rows.values()
            if row.delivered_at is None
            and (row.key, row.sink) not in self.given_up
            and (row.due_at or LONG_AGO) <= now
        ]
        return sorted(rows, key=lambda row: row.due_at or LONG_AGO)[:limit]

    async def delivered(self, key: str, sink: str) -> None:
        if self.failures:
            self.failures -= 1
            self.failed.set()
            raise OSError("disk full")
        await self._change(key, sink, delivered_at=LONG_AGO + timedelta(days=1))

    async def postpone(self, key: str, sink: str, *, error: str, due_at: datetime | None) -> None:
        deliveries = self._rows[key, sink].deliveries + 1
        if due_at is None:
            self.given_up.add((key, sink))
        await self._change(key, sink, error=error, due_at=due_at, deliveries=deliveries)

    async def until(self, is_so: Callable[[list[Notice]], bool], *, within: float = 5.0) -> None:
        """Wait until the rows are as wanted."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: is_so(self.rows()))

    async def _change(self, key: str, sink: str, **changes: object) -> None:
        row = self._rows[key, sink]
        self._rows[key, sink] = msgspec.structs.replace(row, **changes)
        async with self._changed:
            self._changed.notify_all()


def all_delivered(rows: list[Notice]) -> bool:
    return all(row.delivered_at is not None for row in rows)


class Box:
    """A sink that keeps what it is told, and refuses as often as it was asked to."""

    def __init__(self, name: str = "box", *, refusals: int = 0, final: bool = False) -> None:
        self._name = name
        self._refusals = refusals
        self._final = final
        self.open = asyncio.Event()  # deliveries wait for it
        self.open.set()
        self.asked = asyncio.Event()
        self.at_once = self.most_at_once = 0
        self.told: list[Notice] = []

    @property
    def name(self) -> str:
        return self._name

    async def deliver(self, notice: Notice) -> None:
        self.asked.set()
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.open.wait()
        finally:
            self.at_once -= 1
        if self._refusals:
            self._refusals -= 1
            raise NotDeliveredError("the box is shut", final=self._final)
        self.told.append(notice)
