"""Where the queues of a long run are: on a private RabbitMQ of some version, or embedded."""

import contextlib
from collections.abc import Iterator

from tests.support.installations import debian_12, debian_13
from tests.support.rabbitmq import PrivateRabbit

EMBEDDED = "embedded"
NODES = {"3.10": debian_12, "4.0": debian_13}
NAMES = (*NODES, EMBEDDED)


@contextlib.contextmanager
def lent(name: str) -> Iterator[PrivateRabbit | None]:
    """Lend a node of that version; none for the embedded queues."""
    if name == EMBEDDED:
        yield None
        return
    installation = NODES[name]()
    if not installation.is_there:
        message = f"RabbitMQ {name} is not installed: `make chaos` sets it up, as root on Debian"
        raise SystemExit(message)
    with PrivateRabbit(installation) as node:
        yield node
