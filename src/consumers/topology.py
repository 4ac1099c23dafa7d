"""The shape of our queues: which exist, with which arguments, and how a delay is routed.

Public queues are declared without arguments, so that any program's plain durable declaration
fits; everything that needs arguments is private to us.

A delay is a binary number of units. Level *k* of the ladder holds a message for 2^k units and
hands it to level *k-1*; a level whose bit is 0 is passed by. The idea is NServiceBus's "delayed
delivery"; ours is on quorum queues with at-least-once dead-lettering, because classic ones lose
messages when the broker is killed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from consumers.errors import MalformedError, UnroutableError
from consumers.jobs import PRIORITY, Priority, Properties, priority_named

PREFIX = "supervisor."
UNROUTABLE = f"{PREFIX}unroutable"
DELAY_EXIT = f"{PREFIX}delay.exit"
DELAY_BUILDING = f"{PREFIX}delay.building"  # a lock: whoever adds to the ladder has it
NODES = f"{PREFIX}nodes"  # one message for each supervisor that ever kept jobs in flight here

DELAY_UNIT = 0.25  # seconds
NEWER_LIVES = 60.0  # seconds, if whoever made it does not remove it
DELAY_LEVELS = 24
LONGEST_DELAY = (2**DELAY_LEVELS - 1) * DELAY_UNIT  # seconds, a little over 48 days

_LANE = ".priority"
_LONGEST_KEY = 255  # bytes, of a routing key or binding key in AMQP 0-9-1


@dataclass(frozen=True, slots=True)
class PoolQueues:
    """The three queues of a pool: ``Q``, its private second lane, and its dead letters."""

    public: str
    priority: str
    dead: str


@dataclass(frozen=True, slots=True)
class Queue:
    """A private durable queue and its arguments."""

    name: str
    arguments: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A private durable exchange."""

    name: str
    kind: str = "topic"
    arguments: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binding:
    """What flows from an exchange into ``queue`` or, when that is empty, into ``exchange``."""

    source: str
    key: str
    queue: str = ""
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Things to declare, in this order: exchanges, queues, bindings."""

    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True)
class DelayRoute:
    """Where a delayed message is published, and the highest level it needs."""

    exchange: str
    key: str
    level: int


def pool_queues(queue: str, *, dead: str | None = None) -> PoolQueues:
    """Return the queue names of the pool that consumes ``queue``."""
    return PoolQueues(public=queue, priority=f"{queue}{_LANE}", dead=dead or f"{queue}_dlq")


def lane_pool(lane: str) -> PoolQueues:
    """Return the queues of the pool that a private priority queue belongs to."""
    return pool_queues(lane.removesuffix(_LANE))


def is_lane(queue: str) -> bool:
    """Answer whether a queue is a pool's private priority queue."""
    return queue.endswith(_LANE)


def lane_level(properties: Properties) -> int:
    """Return the AMQP priority, 1 (background) to 5 (critical), a job has in a priority queue.

    ``x-job-priority`` wins; then the AMQP property, where absent or 0 is normal and more than 5
    is critical. What cannot be understood is normal: the consumer will say what is wrong with it.
    """
    named = properties.headers.get(PRIORITY)
    if named is None:
        return min(properties.priority or Priority.NORMAL.amqp, Priority.CRITICAL.amqp)
    try:
        return priority_named(named).amqp
    except MalformedError:
        return Priority.NORMAL.amqp


def priority_lane(queue: str) -> Layout:
    """Return what a private priority queue needs: itself, and its way out of the ladder.

    The type is named because a vhost may make quorum queues by default, which have no strict
    priorities before RabbitMQ 4.3.
    """
    lane = Queue(queue, {"x-queue-type": "classic", "x-max-priority": Priority.CRITICAL.amqp})
    return Layout(queues=(lane,), bindings=(lane_binding(queue),))


def lane_binding(queue: str) -> Binding:
    """Return the binding that lets the ladder's exit find ``queue``.

    The words before the name are counted, not skipped by ``#``: the lane ``b`` must not take what
    is meant for ``a.b``.
    """
    if not queue or {"*", "#"} & set(queue.split(".")):
        raise _no_way_in(queue, "* and # are wildcards there")
    key = "*." * DELAY_LEVELS + queue
    if len(key.encode()) > _LONGEST_KEY:
        raise _no_way_in(queue, f"its name is over {_LONGEST_KEY - 2 * DELAY_LEVELS} bytes long")
    return Binding(DELAY_EXIT, key, queue=queue)


def inflight(node: str) -> str:
    """Return the queue in which the supervisor of this id keeps the jobs that take long."""
    return f"{PREFIX}inflight.{node}"


def oversized(dead: str) -> str:
    """Return the queue in which the letters of ``dead`` wait that are too large to record."""
    return f"{PREFIX}oversized.{dead}"


def plain(queue: str) -> Layout:
    """Return a private queue of ours that keeps what it gets, in order and without limit."""
    return Layout(queues=(Queue(queue, {"x-queue-type": "classic"}),))


def delay_exit() -> Layout:
    """Return the end of the ladder; what no queue wants there is kept in ``UNROUTABLE``.

    Without that, some forty jobs for a deleted queue would block the ladder for everybody.
    """
    return Layout(
        exchanges=(
            Exchange(UNROUTABLE, kind="fanout"),
            Exchange(DELAY_EXIT, arguments={"alternate-exchange": UNROUTABLE}),
        ),
        queues=(Queue(UNROUTABLE, {"x-queue-type": "classic"}),),
        bindings=(Binding(UNROUTABLE, "", queue=UNROUTABLE),),
    )


def newer_queue(name: str) -> Queue:
    """Return a queue that nothing is put into: it is there to be newer than another, for a moment.

    The name must never have been used: a queue made again is not new to RabbitMQ.
    """
    expires = round(NEWER_LIVES * 1000)
    return Queue(f"{PREFIX}delay.newer.{name}", {"x-queue-type": "quorum", "x-expires": expires})


def delay_level(level: int) -> Layout:
    """Return one level of the ladder; the one below it, or the exit, must exist before."""
    here = _level_name(level)
    passed = "*." * (DELAY_LEVELS - 1 - level)
    waits = Binding(here, f"{passed}1.#", queue=here)
    passes = Binding(here, f"{passed}0.#", exchange=_below(level))
    return Layout((Exchange(here),), (_rung(level),), (waits, passes))


def delay_route(queue: str, delay: float) -> DelayRoute:
    """Return how a message gets to ``queue`` after ``delay`` seconds, rounded up to whole units.

    Raises:
        UnroutableError: it is no private priority queue, or the delay is longer than 48 days.
    """
    if not is_lane(queue):
        raise _no_way_in(queue, f"a delay must end in a private *{_LANE} queue")
    if not 0 < delay <= LONGEST_DELAY:
        raise _no_way_in(queue, f"{delay:g} s is not more than 0 and up to {LONGEST_DELAY:.0f} s")
    lane_binding(queue)  # refuse a name that nothing could come out to
    units = math.ceil(delay / DELAY_UNIT)
    level = units.bit_length() - 1
    bits = f"{units:0{DELAY_LEVELS}b}"
    return DelayRoute(_level_name(level), f"{'.'.join(bits)}.{queue}", level)


def _no_way_in(queue: str, why: str) -> UnroutableError:
    return UnroutableError(f"{queue}: cannot be delayed into: {why}")


def _rung(level: int) -> Queue:
    return Queue(
        _level_name(level),
        {
            "x-queue-type": "quorum",
            "x-message-ttl": round(2**level * DELAY_UNIT * 1000),
            "x-dead-letter-exchange": _below(level),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",  # at-least-once is silently switched off without it
        },
    )


def _below(level: int) -> str:
    return _level_name(level - 1) if level else DELAY_EXIT


def _level_name(level: int) -> str:
    return f"{PREFIX}delay.{level:02}"
