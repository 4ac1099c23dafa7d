"""What the broker's words mean for us: its reply code and text in, one of our errors out."""

from collections.abc import Sequence
from dataclasses import dataclass

from consumers.errors import BrokerError, ForbiddenError, UnreachableError

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
    if said.code in _FORBIDDEN and not any(phrase in said.text for phrase in _PASSING):
        return ForbiddenError(message + _advice(said))
    if said.code in _FORBIDDEN | _ABOUT_A_CHANNEL:
        return BrokerError(message)
    return UnreachableError(message)


def _sentence(said: Words) -> str:
    # Without a code it is the library that speaks, and goes on about bytes and objects.
    text = said.text if said.code else said.text.partition(": ")[0].partition(". ")[0]
    return text or "the connection was closed without a word"


def _advice(said: Words) -> str:
    if said.code == 403:
        return " (check user name, password and permissions)"
    if said.code == 530:
        return " (check the vhost and who may enter it)"
    if "inequivalent arg" in said.text:
        return " (it exists with other arguments: delete it, or declare it alike everywhere)"
    return ""
