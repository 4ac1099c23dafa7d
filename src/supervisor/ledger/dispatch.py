"""From ready to delivered: who gets the next messages of an embedded queue.

Nothing polls. Whatever may have made a message or a hand free calls ``look``; what is taken is
committed as claimed before it is delivered, so that a redelivery is known for one.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial

from sqlalchemy import Connection

from consumers import logs
from consumers.broker.operations import Delivered
from supervisor.ledger import messages
from supervisor.ledger.errors import LedgerError
from supervisor.ledger.insist import insist
from supervisor.ledger.messages import Claimed
from supervisor.ledger.store import Ledger
from supervisor.ledger.subscriptions import Queue

log = logs.get(__name__)

AGAIN = 1.0  # seconds until the ledger is tried again after it failed


class Dispatch:
    """The queues there are, and the way of their messages to consumers."""

    def __init__(self, ledger: Ledger, declared: Iterable[str]) -> None:
        self._ledger = ledger
        self._queues = {name: Queue(name) for name in declared}
        self._chores: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def find(self, name: str) -> Queue | None:
        """Return a declared queue, or None."""
        return self._queues.get(name)

    def add(self, names: Iterable[str]) -> None:
        """Know these queues from now on."""
        for name in names:
            self._queues.setdefault(name, Queue(name))

    def look(self, name: str) -> None:
        """Take as many messages as the queue's consumers can have; one look at a time."""
        queue = self._queues[name]
        if queue.is_claiming:
            queue.is_wanted = True
        elif queue.free and not self._is_closed:
            queue.is_claiming, queue.is_wanted = True, False
            claiming = self._ledger.write(partial(messages.claim, queue=name, limit=queue.free))
            claiming.add_done_callback(partial(self._claimed, queue))

    async def give_back(self, tags: Sequence[int], names: Iterable[str]) -> None:
        """Make messages ready that somebody held; tried until done, or they would be stuck."""
        await self.insist(partial(messages.give_back, tags=tags))
        for name in names:
            self.look(name)

    async def insist(self, change: Callable[[Connection], None]) -> bool:
        """Change something until it is changed (True), or the queues are closed (False)."""

        async def write() -> None:
            await self._ledger.write(change)

        clock = self._ledger.clock
        return await insist(write, worthwhile=lambda: not self._is_closed, clock=clock)

    def keep(self, chore: Coroutine[None, None, None]) -> None:
        """Run something beside all else, until ``close``."""
        if self._is_closed:
            chore.close()
            return
        task = asyncio.create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def close(self) -> None:
        """Deliver nothing more."""
        self._is_closed = True
        for task in self._chores:
            task.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)

    def _claimed(self, queue: Queue, claiming: asyncio.Future[tuple[Claimed, ...]]) -> None:
        queue.is_claiming = False
        if claiming.cancelled() or self._is_closed:
            return
        error = claiming.exception()
        if error is not None:
            if not (isinstance(error, LedgerError) and error.trouble):  # which is told of once
                log.warning("queue not read", queue=queue.name, why=str(error))
            self.keep(self._look_again(queue.name))
            return
        left = [message.tag for message in claiming.result() if not _deliver(queue, message)]
        if left:
            self.keep(self._put_back(left, queue.name))
        elif queue.is_wanted:
            self.look(queue.name)

    async def _put_back(self, tags: Sequence[int], name: str) -> None:
        """Give back what nobody was given: its consumer left while it was taken."""
        try:
            await self._ledger.write(partial(messages.unclaim, tags=tags))
        except LedgerError:
            await self.give_back(tags, ())
        self.look(name)

    async def _look_again(self, name: str) -> None:
        await self._ledger.clock.sleep(AGAIN)
        self.look(name)


def _deliver(queue: Queue, message: Claimed) -> bool:
    consumer = queue.next_free()
    if consumer is None:
        return False
    consumer.in_hand += 1
    consumer.client.held[message.tag] = consumer
    consumer.client.receive(
        Delivered(
            consumer=consumer.name,
            queue=queue.name,
            tag=message.tag,
            body=message.body,
            properties=message.properties,
            redelivered=message.redelivered,
        )
    )
    return True
