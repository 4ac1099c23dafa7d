"""What is dangerous about the way a pool's public queues were declared. Pure.

We declare them without arguments. Whoever made them before us may have asked the broker to throw
messages away; it does so without a word to anybody.
"""

import re
from collections.abc import Iterator, Mapping

from consumers.arguments import DURABLE, TYPE, Value
from consumers.returns import TIRED
from consumers.topology import PoolQueues

DEFAULT_LIMIT = 20  # returns, of quorum queues since RabbitMQ 4.0
UNLIMITED = -1
_REJECTS = frozenset({"reject-publish", "reject-publish-dlx"})
_LENGTHS = {"x-max-length": "messages", "x-max-length-bytes": "bytes"}

Arguments = Mapping[str, Value]


def hazards(pool: PoolQueues, declared: Mapping[str, Arguments], *, peer: str) -> tuple[str, ...]:
    """Return a sentence for each danger.

    Args:
        pool: the pool's queues.
        declared: the arguments of those that exist, by name.
        peer: the broker's product and version.
    """
    found = []
    for queue in (pool.public, pool.dead):
        own = declared.get(queue, {})
        found += [*_losses(queue, own), *_limits(queue, own, peer)]
    return tuple(found)


def _losses(queue: str, own: Arguments) -> Iterator[str]:
    if own.get(DURABLE) is False:
        yield f"{queue} is not durable: it is gone after a restart of the broker, with all in it"
    for name, what in _LENGTHS.items():
        if name not in own:
            continue
        bound = f"{own[name]} {what}"
        if own.get("x-overflow") in _REJECTS:
            yield f"{queue} takes nothing beyond {bound}: the pool stops when it is full"
        else:
            yield f"{queue} throws its oldest away beyond {bound}, without a word"
    if "x-message-ttl" in own:
        yield f"{queue} throws messages away after {_seconds(own['x-message-ttl'])}"
    if "x-expires" in own:
        yield f"{queue} is deleted when unused for {_seconds(own['x-expires'])}, with all in it"


def _limits(queue: str, own: Arguments, peer: str) -> Iterator[str]:
    """Say what a quorum queue does to messages that come back often."""
    limit = own.get("x-delivery-limit")
    if own.get(TYPE) != "quorum":
        return
    if limit is None and _major(peer) < 4:
        return
    said = DEFAULT_LIMIT if limit is None else limit
    if isinstance(said, int) and said <= UNLIMITED:
        return
    by_default = " (the default)" if limit is None else ""
    yield f"{queue} throws a message away that came back more than {said} times{by_default}"
    if isinstance(said, int) and said < TIRED:
        yield f"{queue}: {said} is too few for us to put a copy aside in time"


def _seconds(milliseconds: Value) -> str:
    return f"{milliseconds / 1000:g} s" if isinstance(milliseconds, int) else str(milliseconds)


def _major(peer: str) -> int:
    """Return the broker's major version, 0 when it does not say."""
    found = re.search(r"(\d+)\.", peer)
    return int(found[1]) if found else 0
