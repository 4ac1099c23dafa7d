"""The delay ladder in RabbitMQ: made level by level, and none is used that could be a ruin.

For about three seconds RabbitMQ keeps the name of its newest quorum queue in memory only. A broker
killed then loses all that this queue has confirmed, and afterwards has a ruin of it: a queue that
answers a declaration and nothing else, for ever (3.10 and 4.0). So each level's queue is followed
by another new one, and gets the exchange through which it is used only then: a level that has its
exchange is sound. One that has not was never used, and is made anew.
"""

import asyncio
import secrets
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from consumers.broker.amqp_faults import is_not_found
from consumers.broker.amqp_visit import Visit
from consumers.errors import BrokerError, OccupiedError, UnreachableError
from consumers.topology import (
    DELAY_BUILDING,
    Layout,
    delay_exit,
    delay_level,
    lane_binding,
    newer_queue,
)

LADDER = 25.0  # seconds for any one step: quorum queues are slow to make, and ruins to remove
LOOK_AGAIN = 0.2  # seconds until one who found another building looks again
TRIES = 150


class Visiting(Protocol):
    """Lends a channel to throw away."""

    def __call__(self, doing: str, *, within: float) -> AbstractAsyncContextManager[Visit]:
        """Lend it for as long as the context lasts, ``within`` seconds at the most."""


class Ladder:
    """What one session has seen to of the ladder that all of them share."""

    def __init__(self, visit: Visiting) -> None:
        self._lend = visit
        self._levels = 0  # known to be sound, from the bottom

    def reaches(self, level: int) -> bool:
        """Answer whether a level may be used."""
        return level < self._levels

    async def end_in(self, lane: str) -> None:
        """Let the ladder's exit find a private priority queue."""
        async with self._visit() as visit:
            await visit.lay(delay_exit())
            await visit.lay(Layout(bindings=(lane_binding(lane),)))

    async def reach(self, level: int) -> None:
        """Make sure that a level and all below it may be used."""
        for each in range(self._levels, level + 1):
            await self._raise(delay_level(each))
            self._levels = each + 1

    async def _raise(self, level: Layout) -> None:
        if not await self._is_sound(level):
            await self._build_in_turn(level)
        async with self._visit() as visit:
            await visit.lay(level)

    async def _build_in_turn(self, level: Layout) -> None:
        for _ in range(TRIES):
            if await self._build(level):
                return
            await asyncio.sleep(LOOK_AGAIN)
        busy = f"{DELAY_BUILDING}: another connection has been building for too long"
        raise UnreachableError(busy)

    async def _build(self, level: Layout) -> bool:
        """Build a level unless somebody else, on whatever machine, is building: answer which."""
        async with self._visit() as visit:  # one connection from first to last: the lock is its own
            try:
                await visit.seize(DELAY_BUILDING)
            except OccupiedError:
                return False
            try:
                # Another may have built it while we waited, and may have jobs in it by now.
                if not await self._is_sound(level):
                    await self._lay(level)
            finally:
                await visit.drop(DELAY_BUILDING)
        return True

    async def _is_sound(self, level: Layout) -> bool:
        try:
            async with self._visit() as visit:
                await visit.find(level.exchanges[0].name)
        except BrokerError as error:
            if is_not_found(error):
                return False
            raise
        return True

    async def _lay(self, level: Layout) -> None:
        rung, newer = Layout(queues=level.queues), newer_queue(secrets.token_hex(6))
        async with self._visit() as visit:
            await visit.lay(rung)  # if it is there already: is it ours?
            await visit.drop(level.queues[0].name)
            await visit.lay(rung)
            await visit.lay(Layout(queues=(newer,)))
            await visit.lay(level)
            await visit.drop(newer.name)

    def _visit(self) -> AbstractAsyncContextManager[Visit]:
        return self._lend("build the delay ladder", within=LADDER)
