"""With which arguments was a queue declared? The broker says so only when it refuses another.

A declaration that differs is answered by 406, and the text names one argument and its value. So
we declare what we know so far, take the argument from the text, and ask again until it fits. What
a policy adds is not seen this way.
"""

import re
from collections.abc import Mapping

from consumers.broker.port import Session
from consumers.errors import BrokerError
from consumers.topology import Layout, Queue

TYPE = "x-queue-type"
DURABLE = "durable"
ROUNDS = 12  # more arguments than there are

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<name>[^']+)' .* but current is (?:the value )?"
    r"(?:none|'(?P<value>.*?)'(?: of type '(?P<type>\w+)')?)(?:$|[ (])"
)
Value = str | int


async def arguments(session: Session, queue: str) -> Mapping[str, Value] | None:
    """Return the arguments a queue was declared with, None if there is no such queue.

    ``durable`` is among them only when it is False, which hides the others.

    Raises:
        BrokerError: the broker said something else than that they differ.
    """
    if await session.look(queue) is None:
        return None
    known: dict[str, Value] = {TYPE: "classic"}
    for _ in range(ROUNDS):
        try:
            await session.lay(Layout(queues=(Queue(queue, known),)))
        except BrokerError as error:
            name, value = _difference(error)
        else:
            break
        if value is None:  # one that we made up
            known.pop(name, None)
            continue
        known[name] = value
        if not name.startswith("x-"):
            break
    return known


def _difference(error: BrokerError) -> tuple[str, Value | None]:
    """Return the argument that a refusal names, and its value if it has any."""
    found = _INEQUIVALENT.search(str(error))
    if found is None:
        raise error
    name, value, kind = found["name"], found["value"], found["type"]
    if value is None:
        return name, None
    if value in {"true", "false"}:
        return name, value == "true"
    is_number = kind != "longstr" and value.lstrip("-").isdigit()
    return name, int(value) if is_number else value
