"""Taking deliveries from a consumer in a test, each with a deadline."""

import asyncio

from consumers.broker.port import Delivery


class Inbox:
    """Hand `inbox.receive` to a consumer, then take what came in the order it came."""

    def __init__(self) -> None:
        self._came: asyncio.Queue[Delivery] = asyncio.Queue()

    def receive(self, delivery: Delivery) -> None:
        self._came.put_nowait(delivery)

    async def take(self, *, within: float = 10.0) -> Delivery:
        """Return the next delivery; TimeoutError if none comes."""
        async with asyncio.timeout(within):
            return await self._came.get()

    async def take_several(self, count: int, *, within: float = 10.0) -> list[Delivery]:
        async with asyncio.timeout(within):
            return [await self._came.get() for _ in range(count)]

    async def stays_empty(self, *, during: float) -> bool:
        """Tell whether nothing came for a while: the only way to see that something does not."""
        try:
            await self.take(within=during)
        except TimeoutError:
            return True
        return False

    def __len__(self) -> int:
        return self._came.qsize()
