"""A job and all that came of it, with who steers them together and those who run them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from supervisor.convoy import BETWEEN_LOOKS, Convoy
from supervisor.core.records import JobFilter, JobRecord, Relative
from tests.support.offices import (
    CHAINED,
    FIRST,
    PREVIEW,
    Office,
    a_claim,
    a_result,
    an_office,
    made,
)
from tests.support.sessions import QUEUES
from tests.support.steering import Bridge, a_bridge

T = TypeVar("T")
ROOT = Relative(QUEUES.public, "j1")
KEY = (QUEUES.public, "j1")
VIEWS = PREVIEW.queues.public
TWO_LEVELS = b'{"link": "x", "from": "ana", "then": [{"pool": "preview", "then": "preview"}]}'


@dataclass
class Sea:
    """A convoy, and those who make its ships."""

    convoy: Convoy
    bridge: Bridge
    office: Office

    async def download(self, *paths: str, body: bytes = TWO_LEVELS) -> tuple[JobRecord, ...]:
        """Have a download complete; return what follows, once it is in its queue."""
        await self.office.clerk.claim(FIRST, a_claim(body=body))
        await self.office.clerk.completed(a_result(result=made(*paths)))
        return await self.following(ROOT)

    async def following(self, parent: Relative) -> tuple[JobRecord, ...]:
        """Return what follows a job, once it is in its queue."""
        found = await self.office.ledger.find(JobFilter(parent=parent, oldest=True))
        self.bridge.poster.poke()
        for job in found:
            await self.bridge.posted(job.id)
        return await self.office.ledger.find(JobFilter(parent=parent, oldest=True))

    async def run(self, job: JobRecord) -> None:
        """Have a job that follows run in the first worker."""
        body = msgspec.json.encode(job.data)
        await self.office.clerk.claim(FIRST, a_claim(job.id, body=body, queue=job.queue))
        await self.office.written()

    async def complete(self, job: JobRecord, *paths: str) -> tuple[JobRecord, ...]:
        """Have a running job complete; return what follows it."""
        result = a_result(job.id, queue_name=job.queue, result=made(*paths))
        await self.office.clerk.completed(result)
        self.settle(job)
        return await self.following(Relative(job.queue, job.id))

    async def outlast(self, steering: Coroutine[None, None, T]) -> T:
        """Let time pass until something that looks again and again has come to its end."""
        task = asyncio.ensure_future(steering)
        while not task.done():
            await self.office.clock.move(BETWEEN_LOOKS)
        return task.result()

    def settle(self, job: JobRecord) -> None:
        self.office.clerk.book.settle((job.queue, job.id), FIRST)

    async def states(self) -> dict[str, int]:
        """Return how many jobs there are in each state."""
        every = await self.office.ledger.find(JobFilter(limit=1000))
        names = [job.state.value for job in every]
        return {name: names.count(name) for name in sorted(set(names))}


@pytest.fixture(name="sea")
async def sea_of_two_pools(tmp_path: Path) -> AsyncIterator[Sea]:
    """Yield a convoy over an office of two pools, of which the second follows the first."""
    async for office in an_office(tmp_path, *CHAINED):
        async for bridge in a_bridge(office, *CHAINED):
            yield Sea(Convoy(bridge.pilot, office.ledger, office.clerk.book), bridge, office)
