"""The embedded queues as a worker reaches them: through its pipe."""

from collections.abc import Callable

from consumers.broker.operations import Answer, Delivered, Operation
from workers.desk import PipeDesk


class PipeExchange:
    """Implements the ``Exchange`` that the embedded broker is given."""

    def __init__(self, desk: PipeDesk) -> None:
        self._desk = desk
        self._receive: Callable[[Delivered], None] | None = None

    async def perform(self, operation: Operation) -> Answer:
        """Ask the coordinator, which owns the queues."""
        return await self._desk.perform(operation)

    def attach(self, receive: Callable[[Delivered], None]) -> None:
        """Name who gets the deliveries; the last one named does."""
        self._receive = receive

    def deliver(self, delivered: Delivered) -> None:
        """Pass a delivery on."""
        if self._receive is not None:
            self._receive(delivered)
