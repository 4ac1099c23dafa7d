"""What is done in RabbitMQ on a channel that is thrown away: the broker closes one to say no."""

from typing import Any

import aiormq
from aiormq.abc import AbstractChannel

from consumers.broker.port import Look
from consumers.errors import OccupiedError
from consumers.topology import Layout


class Visit:
    """What is done on a channel that is thrown away afterwards."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    async def look(self, queue: str) -> Look:
        """Return what a queue that exists holds, and how many consume it."""
        found = await self._channel.queue_declare(queue, passive=True)
        return Look(found.message_count or 0, found.consumer_count or 0)

    async def create(self, queue: str) -> None:
        """Declare a public queue: durable and nothing else."""
        await self._channel.queue_declare(queue, durable=True)

    async def purge(self, queue: str) -> int:
        """Throw the ready messages away and return how many there were."""
        return (await self._channel.queue_purge(queue)).message_count or 0

    async def drop(self, queue: str) -> None:
        """Delete a queue; one that is not there is fine."""
        await self._channel.queue_delete(queue)

    async def find(self, exchange: str) -> None:
        """See whether an exchange exists: if not, the broker says that it was not found."""
        await self._channel.exchange_declare(exchange, passive=True)

    async def seize(self, queue: str) -> None:
        """Have a queue for this connection alone, until it is dropped or the connection ends.

        Raises:
            OccupiedError: another connection has it.
        """
        try:
            await self._channel.queue_declare(queue, exclusive=True)
        except aiormq.exceptions.ChannelLockedResource as error:
            message = f"{queue}: another connection has it"
            raise OccupiedError(message) from error

    async def lay(self, layout: Layout) -> None:
        """Declare private exchanges, queues and bindings; what is there already is fine."""
        for exchange in layout.exchanges:
            await self._channel.exchange_declare(
                exchange.name,
                exchange_type=exchange.kind,
                durable=True,
                arguments=dict(exchange.arguments),
            )
        for queue in layout.queues:
            arguments: dict[str, Any] = dict(queue.arguments)
            await self._channel.queue_declare(queue.name, durable=True, arguments=arguments)
        for it in layout.bindings:
            if it.queue:
                await self._channel.queue_bind(it.queue, it.source, it.key)
            else:
                await self._channel.exchange_bind(it.exchange, it.source, it.key)
