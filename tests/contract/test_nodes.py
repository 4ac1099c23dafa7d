"""Nodes that keep jobs in flight at a real broker: registered, found again, kept apart, adopted."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from consumers import copies
from consumers.broker.port import Delivery, Look, Message, Session
from consumers.broker.rabbitmq import RabbitBroker
from consumers.errors import OccupiedError, UnreachableError
from consumers.jobs import Properties
from consumers.topology import NODES, inflight, pool_queues
from supervisor import nodes
from tests.support.talk import depth_becomes

pytestmark = pytest.mark.rabbitmq

POOL = pool_queues("clips")
OTHERS = pool_queues("pool of nobody here")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
NODE = "n1"


@pytest.fixture
async def session(any_vhost_url: str) -> AsyncIterator[Session]:
    opened = await RabbitBroker(any_vhost_url).connect()
    yield opened
    await opened.close()


async def park(session: Session, *, queue: str, body: bytes = b"{}") -> None:
    message = copies.again(Message(body, Properties()), job_id="j", seq=1, attempts=0)
    await session.publish(inflight(NODE), copies.parked(message, queue=queue))


async def test_a_node_is_registered_once(session: Session) -> None:
    assert await nodes.registered(session) == ()
    assert await session.look(inflight(NODE)) is None

    await nodes.enrol(session, NODE, now=NOW)
    await nodes.enrol(session, NODE, now=NOW)

    assert await session.look(NODES) == Look(ready=1, consumers=0)
    assert await session.look(inflight(NODE)) == Look(ready=0, consumers=0)
    (found,) = await nodes.registered(session)
    assert (found.node, found.since) == (NODE, NOW)


async def test_what_the_register_holds_stays_in_it(session: Session, any_vhost_url: str) -> None:
    await nodes.enrol(session, NODE, now=NOW)
    reader = await RabbitBroker(any_vhost_url).connect()
    await nodes.registered(reader)

    await reader.close()

    assert await depth_becomes(session, NODES, 1)


@pytest.mark.invariant(4)
async def test_the_jobs_of_a_node_are_in_one_hand(session: Session, any_vhost_url: str) -> None:
    await nodes.enrol(session, NODE, now=NOW)
    await session.consume(inflight(NODE), prefetch=10, receive=_ignore, exclusive=True)
    second = await RabbitBroker(any_vhost_url).connect()

    with pytest.raises(OccupiedError):
        await second.consume(inflight(NODE), prefetch=10, receive=_ignore, exclusive=True)

    assert isinstance(await second.ended(), OccupiedError)
    with pytest.raises(UnreachableError):
        await second.depth(NODES)
    await second.close()
    assert await session.look(inflight(NODE)) == Look(ready=0, consumers=1)


async def test_jobs_that_nobody_looks_after_are_found_and_moved_to_their_pools(
    session: Session, any_vhost_url: str
) -> None:
    await nodes.enrol(session, NODE, now=NOW)
    await park(session, queue=POOL.public)
    await park(session, queue=OTHERS.public)
    await session.publish(inflight(NODE), Message(b"of another program", Properties()))
    looking = await RabbitBroker(any_vhost_url).connect()
    (orphan,) = await nodes.orphans(looking)
    await looking.close()
    assert (orphan.registration.node, orphan.ready) == (NODE, 3)

    adopting = await RabbitBroker(any_vhost_url).connect()
    adoption = await nodes.adopt(adopting, NODE, [POOL])
    await adopting.close()

    assert adoption.moved == {POOL.priority: 1, OTHERS.priority: 1}
    assert (adoption.left, adoption.is_known) == (1, True)
    assert await session.depth(POOL.priority) == 1
    assert await depth_becomes(session, inflight(NODE), 1)


async def test_a_node_that_is_alive_is_no_orphan_and_not_adopted(
    session: Session, any_vhost_url: str
) -> None:
    await nodes.enrol(session, NODE, now=NOW)
    await session.consume(inflight(NODE), prefetch=10, receive=_ignore, exclusive=True)
    await park(session, queue=POOL.public)
    other = await RabbitBroker(any_vhost_url).connect()

    with pytest.raises(OccupiedError, match="n1 is alive"):
        await nodes.adopt(other, NODE, [POOL])

    assert await nodes.orphans(other) == ()
    await other.close()


async def test_a_node_that_was_never_here_is_not_known(session: Session) -> None:
    adoption = await nodes.adopt(session, "unheard of", [POOL])

    assert not adoption.is_known
    assert not adoption.moved


def _ignore(_: Delivery) -> None:
    """Hold it."""
