"""Who consumes which embedded queue, how much each has in hand, and whose turn it is."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from consumers.broker.operations import Delivered


@dataclass(slots=True, eq=False)
class Consumer:
    """One subscription of one client."""

    client: "Client"
    name: str
    queue: str
    prefetch: int
    in_hand: int = 0

    @property
    def free(self) -> int:
        """How many more deliveries it takes now."""
        return max(0, self.prefetch - self.in_hand)


@dataclass(slots=True, eq=False)
class Client:
    """A worker or the coordinator: its consumers, and the deliveries it has not settled."""

    name: str
    receive: Callable[[Delivered], None]
    consumers: dict[str, Consumer] = field(default_factory=dict)
    held: dict[int, Consumer] = field(default_factory=dict)
    is_gone: bool = False


@dataclass(slots=True, eq=False)
class Queue:
    """A queue's consumers, in the order of their turns.

    ``is_claiming`` while messages are being taken for them; ``is_wanted`` when something
    happened meanwhile, so that it must look again.
    """

    name: str
    consumers: deque[Consumer] = field(default_factory=deque)
    is_claiming: bool = False
    is_wanted: bool = False

    @property
    def free(self) -> int:
        """How many deliveries its consumers take now."""
        return sum(consumer.free for consumer in self.consumers)

    def next_free(self) -> Consumer | None:
        """Return the consumer whose turn it is, and give the turn to the next."""
        for _ in range(len(self.consumers)):
            consumer = self.consumers[0]
            self.consumers.rotate(-1)
            if consumer.free:
                return consumer
        return None

    def remove(self, consumer: Consumer) -> None:
        """Take a consumer off the queue."""
        if consumer in self.consumers:
            self.consumers.remove(consumer)
