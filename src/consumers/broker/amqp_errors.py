"""What the broker's words mean for us: its reply code and text in, one of our errors out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from consumers.errors import BrokerError, ForbiddenError, OccupiedError, UnreachableError

# Each text begins with the name of its code; the client library does not always pass the number.
_CODES = {
    "CONNECTION_FORCED": 320,
    "ACCESS_REFUSED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_LOCKED": 405,
    "PRECONDITION_FAILED": 406,
    "NOT_ALLOWED": 530,
    "NOT_IMPLEMENTED": 540,
    "INTERNAL_ERROR": 541,
}
NOT_FOUND = 404
_FORBIDDEN = frozenset({403, 405, 406, 530})
_ABOUT_A_CHANNEL = frozenset({404, 540})
# Said with 406 too, but nothing that a person has to put right before we try again.
_PASSING = ("acknowledgement on channel", "unknown delivery tag")

_OCCUPIED = "in exclusive use"  # said with 403: by the only consumer a queue may have

LOST = "nothing: we come back by ourselves; if not, look at the broker and the network"
# What to do, by what the broker says; the first that fits. Texts of RabbitMQ 3.10 to 4.0.
_ADVICE = (
    (
        re.compile(
            r"inequivalent arg '(?P<name>[^']+)' for (?P<kind>\w+) '(?P<thing>[^']+)'.*"
            r"received (?P<ours>.+) but current is (?P<theirs>.+)$"
        ),
        "{kind} {thing} exists with {name} = {theirs} and we need {ours}:"
        " delete it when it is empty, or remove the policy that changed it; we make it anew",
    ),
    (
        re.compile(
            r"acknowledgement on channel \d+ timed out\. Timeout value used: (?P<ms>\d+) ms"
        ),
        "a job was in hand for longer than the broker's consumer_timeout of {ms} ms;"
        " it goes on here: set park_after to less than half of that",
    ),
    (
        re.compile(r"access to (?P<kind>\w+) '(?P<thing>[^']*)' in vhost '(?P<vhost>[^']*)'"),
        "give the user its permissions back: rabbitmqctl set_permissions -p {vhost} USER"
        " '.*' '.*' '.*'",
    ),
    (re.compile(r"vhost '?(?P<vhost>\S*?)'? not found"), "make it: rabbitmqctl add_vhost {vhost}"),
    (re.compile(r"no (queue|exchange) '"), "nothing: queues that are missing are made anew"),
)
_BY_CODE = {
    0: LOST,
    320: "nothing: we come back as soon as the broker lets us",
    403: "check user name, password and permissions",
    530: "check the vhost and who may enter it",
    541: "look at the broker's log: it has a fault of its own",
}
FREE = "free memory or disk on the broker's machine; jobs still run and are acked, copies wait"


@dataclass(frozen=True, slots=True)
class Words:
    """What the broker said when it closed a channel or a connection."""

    code: int = 0  # 0 when it did not say
    text: str = ""


def words(said: Sequence[object]) -> Words:
    """Return the code and text among an exception's arguments, in whatever order they come."""
    numbers = [part for part in said if isinstance(part, int) and part]
    texts = [part for part in said if isinstance(part, str) and part]
    text = texts[0] if texts else ""
    return Words(numbers[0] if numbers else _CODES.get(text.partition(" ")[0], 0), text)


def broker_error(said: Words, *, doing: str) -> BrokerError:
    """Return our error for what the broker said while we were ``doing`` something."""
    message = f"{doing}: {_sentence(said)}"
    if _OCCUPIED in said.text:
        return OccupiedError(message)
    hint = advice(said)
    if said.code in _FORBIDDEN and not any(phrase in said.text for phrase in _PASSING):
        return ForbiddenError(message, hint=hint)
    if said.code in _FORBIDDEN | _ABOUT_A_CHANNEL:
        return BrokerError(message, hint=hint)
    return UnreachableError(message, hint=hint)


def advice(said: Words) -> str:
    """Return what an operator should do about the broker's words; nothing if nothing helps."""
    for pattern, told in _ADVICE:
        if found := pattern.search(said.text):
            return told.format(**{name: _plain(text) for name, text in found.groupdict().items()})
    return _BY_CODE.get(said.code, "")


def alarm(reason: str) -> BrokerError:
    """Return how to say that the broker takes no publish; ``reason`` is what it said of it."""
    what = f" ({reason})" if reason else ""
    return UnreachableError(f"the broker has an alarm{what} and takes no publish", hint=FREE)


def _plain(text: str) -> str:
    """Return a value of the broker's without what it says about its type."""
    return text.removeprefix("the value ").partition(" of type ")[0].strip("'")


def _sentence(said: Words) -> str:
    # Without a code it is the library that speaks, and goes on about bytes and objects.
    text = said.text if said.code else said.text.partition(": ")[0].partition(". ")[0]
    return text or "the connection was closed without a word"
