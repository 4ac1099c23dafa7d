"""What can go wrong with a job or a broker, sorted by what the caller does differently about it."""

import difflib
from collections.abc import Iterable
from datetime import timedelta


class WorkError(Exception):
    """A job that did not succeed.

    ``code`` is a short word for machines (``not_found``), the message a sentence for the operator,
    ``hint`` what to do about it (may be empty).
    """

    def __init__(self, message: str, *, code: str = "failed", hint: str = "") -> None:
        super().__init__(message)
        # Processors are anybody's: `Reject(error)` says what the error says.
        self.message = str(message)
        self.code = str(code)
        self.hint = str(hint or "")


class RefusedError(WorkError):
    """The job can never succeed: it goes straight to the dead letters."""


class TransientError(WorkError):
    """The job may succeed later: it is tried again by the pool's policy.

    ``after`` overrides the policy's delay, in seconds. With ``counts=False`` it costs no attempt:
    whoever raises it sees to it that this does not go on for ever.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "failed",
        hint: str = "",
        after: float | None = None,
        counts: bool = True,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.after = _seconds(after)
        self.counts = counts


class HostError(WorkError):
    """The machine is at fault, not the job: disk full, folder unwritable, a program missing.

    The job goes back to its queue with no attempt counted, and its worker takes nothing new until
    the machine is well again.
    """


class MalformedError(RefusedError):
    """The message is not a job; ``field`` names the part of it that is wrong."""

    def __init__(self, field: str, why: str) -> None:
        hint = f"correct the message: {_called(field)}"
        super().__init__(f"{field}: {why}", code="bad_message", hint=hint)
        self.field = field


def _seconds(after: object) -> float | None:
    """Return a delay as seconds. Raises TypeError, where it was written: there it can be mended."""
    if after is None:
        return None
    if isinstance(after, timedelta):
        return after.total_seconds()
    if isinstance(after, int | float):
        return float(after)
    message = f"after: must be a number of seconds, like 60, is {after!r:.60}"
    raise TypeError(message)


def _called(field: str) -> str:
    """Return what a part of a message is called by people who publish one."""
    if field == "body":
        return "its body"
    if field.startswith("x-"):
        return f"header {field}"
    return f"fields {field}" if ", " in field else f"field {field}"


class BrokerError(Exception):
    """Something between us and the broker; the message quotes the broker where it spoke.

    ``hint`` is what to do about it (may be empty).
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def advised(self) -> str:
        """Return what went wrong and what to do, in one sentence."""
        return f"{self} ({self.hint})" if self.hint else str(self)


class UnreachableError(BrokerError):
    """No connection could be made, or the one there was is gone: try again with backoff."""


class ForbiddenError(BrokerError):
    """The broker understood and said no (403, 406, 530, TLS): a person must change something."""


class OccupiedError(BrokerError):
    """Somebody else is the only one who may consume this queue: try again later."""


class QueueGoneError(BrokerError):
    """A queue that is consumed was deleted: what was in hand of it will not come again."""


class UnroutableError(BrokerError):
    """A publish was returned or refused: the copy is not stored anywhere."""


class UnsayableError(UnroutableError):
    """The message does not fit the protocol: no queue and no later moment will take it as it is."""


class StaleDeliveryError(BrokerError):
    """The session that brought this delivery has ended; the broker will deliver it again."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean ...?`` for the known word that looks most like it, or nothing."""
    spelt = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), spelt, n=1)
    return f"did you mean {spelt[near[0]]}?" if near else ""
