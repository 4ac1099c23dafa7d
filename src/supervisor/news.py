"""Events as they travel: which there are, with which fields, and the JSON of one.

The same JSON goes to those who listen over HTTP, to the exchange in RabbitMQ and to the hooks: one
object on one line, ``name`` and ``at`` first, then what it is about, then the event's own fields.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from supervisor.desks.events import family
from supervisor.ports import Event

LARGEST = 16_000  # bytes of an event; what makes it larger is left out and named in ``omitted``
_SMALL = 1000  # bytes of a field that is never left out
_OMITTED = "omitted"

_HEAD = ("name", "at", "queue", "id", "worker", "root", "parent")

# Every event there is, with its own fields; docs/events.md says what they mean.
EVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "waiting": ("why", "pool", "exit", "blame"),
        "delayed": ("delay",),
        "active": ("data", "attempt"),
        "progress": ("percent", "note"),
        "completed": ("result", "duration"),
        "retrying": ("error", "duration", "delay"),
        "failed": ("error", "code", "duration"),
        "stalled": ("why",),
        "cancelled": ("duration",),
        "removed": (),
        "finished": ("states", "duration"),
        "worker.started": ("pid",),
        "worker.idle": ("pid",),
        "worker.error": ("cause", "why"),
        "worker.crashed": ("cause", "why", "exit", "jobs", "restart_in", "crashes_in_a_row"),
        "worker.restarting": ("cause", "why"),
        "worker.stopping": ("cause", "why"),
        "worker.stopped": ("cause", "why", "exit", "jobs"),
        "worker.failed": ("cause", "why", "exit", "jobs", "restart_in", "crashes_in_a_row"),
        "paused": ("pool", "why"),
        "resumed": ("pool", "why"),
        "drained": ("pool", "messages", "jobs"),
        "cleaned": ("state", "jobs"),
        "pool.held": ("pool", "hold", "why"),
        "pool.resumed": ("pool", "hold", "why"),
    }
)


def is_known(name: str) -> bool:
    """Answer whether there is an event, or a family of events (``worker.*``), of this name."""
    return name in EVENTS or name in {family(each) for each in EVENTS if "." in each}


def written(event: Event) -> bytes:
    """Return an event as JSON, at most a little over ``LARGEST`` bytes."""
    about = {name: getattr(event, name) for name in _HEAD}
    head = {name: value for name, value in about.items() if value != ""}
    body = msgspec.json.encode(head | dict(event.data) | head)
    if len(body) <= LARGEST:
        return body
    large = tuple(name for name, value in event.data.items() if _is_large(value))
    kept = {name: value for name, value in event.data.items() if name not in large}
    return msgspec.json.encode(head | kept | {_OMITTED: large} | head)


def read(body: bytes | str) -> Event:
    """Return the event that is written there. Raises msgspec.MsgspecError."""
    fields = msgspec.json.decode(body, type=dict[str, object])
    head = {name: fields.pop(name) for name in _HEAD if name in fields}
    return msgspec.convert(head | {"data": fields}, Event)


def route(name: str, queue: str) -> str:
    """Return the routing key of an event: ``<queue>.<event>``, of a worker's its name alone."""
    return f"{queue}.{name}" if queue else name


def in_one_line(body: bytes) -> msgspec.Raw:
    """Return JSON from elsewhere fit for an event: however its publisher laid it out."""
    is_plain = b"\n" not in body and b"\r" not in body
    return msgspec.Raw(body if is_plain else msgspec.json.format(body, indent=-1))


def _is_large(value: object) -> bool:
    return len(msgspec.json.encode(value)) > _SMALL
