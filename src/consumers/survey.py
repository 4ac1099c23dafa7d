"""A look at a pool's queues as they are, for what may lose its messages."""

from consumers.arguments import arguments
from consumers.broker.port import Session
from consumers.hazards import hazards
from consumers.topology import PoolQueues


async def survey(session: Session, pool: PoolQueues) -> tuple[str, ...]:
    """Return a sentence for each danger in the pool's public queues. Raises BrokerError."""
    declared = {}
    for queue in (pool.public, pool.dead):
        own = await arguments(session, queue)
        if own is not None:
            declared[queue] = own
    return hazards(pool, declared, peer=session.peer)
