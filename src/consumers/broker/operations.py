"""What the embedded broker asks of its exchange, and what it is told: plain values.

They cross the pipe between worker and coordinator as they are.
"""

import msgspec

from consumers.jobs import Properties


class Declare(msgspec.Struct, frozen=True, tag="declare"):
    """Make sure these queues exist."""

    queues: tuple[str, ...]


class Publish(msgspec.Struct, frozen=True, tag="publish"):
    """Store a message, to be ready after ``delay`` seconds."""

    queue: str
    body: bytes
    properties: Properties
    delay: float = 0.0


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe"):
    """Deliver a queue's messages to ``consumer``, at most ``prefetch`` unsettled at a time."""

    queue: str
    consumer: str
    prefetch: int


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe"):
    """Deliver nothing more to ``consumer``; what it holds stays in its hand."""

    consumer: str


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """Settle a delivery for good; one that is settled already is fine."""

    tag: int


class Requeue(msgspec.Struct, frozen=True, tag="requeue"):
    """Give a delivery back to its queue."""

    tag: int


class Depth(msgspec.Struct, frozen=True, tag="depth"):
    """Count the ready messages of a queue."""

    queue: str


class Purge(msgspec.Struct, frozen=True, tag="purge"):
    """Throw the ready messages of a queue away; with ``delayed`` those to be ready later too."""

    queue: str
    delayed: bool = False


Operation = Declare | Publish | Subscribe | Unsubscribe | Ack | Requeue | Depth | Purge


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an operation went: ``number`` for those that count, ``error`` when it was refused."""

    number: int = 0
    error: str = ""


class Delivered(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message handed to a consumer; ``tag`` settles it and is unique for ever."""

    consumer: str
    queue: str
    tag: int
    body: bytes
    properties: Properties
    redelivered: bool = False
