"""The supervisors that keep jobs in flight at a broker: each is registered there before it does.

AMQP cannot list queues. Without the register nobody could find the jobs of a supervisor that
never comes back.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from consumers import logs
from consumers.broker.port import Delivery, Message, Session
from consumers.errors import OccupiedError, UnroutableError
from consumers.jobs import QUEUE, Properties
from consumers.topology import NODES, PoolQueues, inflight, plain, pool_queues

_PATIENCE = 5.0  # seconds for what is ready to be delivered

log = logs.get(__name__)


class Registration(msgspec.Struct, frozen=True):
    """One supervisor: its id, the machine it ran on, and since when."""

    node: str
    host: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Orphan:
    """A node that is not there, and how many of its jobs wait."""

    registration: Registration
    ready: int


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was moved into which private lane, and how much is not a job and was left."""

    moved: Mapping[str, int]
    left: int
    is_known: bool  # there is a queue of that node


async def enrol(session: Session, node: str, *, now: datetime) -> None:
    """Make sure that the node's queue of jobs in flight exists, and that it is registered.

    In this order: register, then declare. So there is never a queue that nobody knows of.
    """
    if await session.look(inflight(node)) is not None:
        return
    await session.lay(plain(NODES))
    registration = Registration(node, socket.gethostname(), now)
    properties = Properties(content_type="application/json")
    await session.publish(NODES, Message(msgspec.json.encode(registration), properties))
    await session.lay(plain(inflight(node)))


async def registered(session: Session) -> tuple[Registration, ...]:
    """Return every node in the register; the session is to be closed, which puts them back."""
    found = await session.look(NODES)
    if found is None:
        return ()
    deliveries = await _take(session, NODES, found.ready)
    read = (_read(delivery.message.body) for delivery in deliveries)
    return tuple({one.node: one for one in read if one is not None}.values())


async def orphans(session: Session) -> tuple[Orphan, ...]:
    """Return the registered nodes whose jobs nobody looks after; close the session afterwards."""
    found = []
    for one in await registered(session):
        seen = await session.look(inflight(one.node))
        if seen is not None and seen.ready and not seen.consumers:
            found.append(Orphan(one, seen.ready))
    return tuple(found)


async def adopt(session: Session, node: str, pools: Iterable[PoolQueues]) -> Adoption:
    """Move all that a node had parked back to the pools of the jobs.

    Raises:
        OccupiedError: the node is alive.
        BrokerError: as far as it was not moved, it is where it was.
    """
    known = {pool.public: pool for pool in pools}
    moved: Counter[str] = Counter()
    left = 0
    seen = await session.look(inflight(node))
    if seen is not None and seen.consumers:
        alive = f"node {node} is alive: its supervisor looks after its jobs itself"
        raise OccupiedError(alive)
    ready = seen.ready if seen else 0
    for delivery in await _take(session, inflight(node), ready, exclusive=True):
        queue = home(delivery)
        if queue is None:
            left += 1
            continue
        pool = known.get(queue) or pool_queues(queue)
        await send_home(session, delivery, pool)
        moved[pool.priority] += 1
    return Adoption(moved, left, is_known=seen is not None)


async def send_home(session: Session, delivery: Delivery, queues: PoolQueues) -> None:
    """Move a parked copy to its pool's private lane; it is acked once it is stored there.

    Raises:
        BrokerError: it is still where it was.
    """
    try:
        await session.publish(queues.priority, delivery.message)
    except UnroutableError:
        await session.declare(queues)
        await session.publish(queues.priority, delivery.message)
    await session.ack(delivery)


def home(delivery: Delivery) -> str | None:
    """Return the public queue of a parked copy's job, None if it is not one of ours."""
    queue = delivery.message.properties.headers.get(QUEUE)
    return queue if isinstance(queue, str) and queue else None


async def _take(
    session: Session, queue: str, count: int, *, exclusive: bool = False
) -> list[Delivery]:
    """Return what is ready in a queue, for as long as the session lives."""
    if not count:
        return []
    taken: list[Delivery] = []
    all_here = asyncio.Event()

    def receive(delivery: Delivery) -> None:
        taken.append(delivery)
        if len(taken) >= count:
            all_here.set()

    await session.consume(queue, prefetch=count, receive=receive, exclusive=exclusive)
    try:
        await asyncio.wait_for(all_here.wait(), _PATIENCE)
    except TimeoutError:  # somebody else looks at the same moment
        log.debug("not everything came", queue=queue, wanted=count, came=len(taken))
    return taken


def _read(body: bytes) -> Registration | None:
    try:
        return msgspec.json.decode(body, type=Registration)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
