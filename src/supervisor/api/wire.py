"""What travels besides the views: problems (RFC 9457), and the error each of them stands for."""

from http import HTTPStatus

import msgspec

from supervisor.ports import (
    BadOrderError,
    ControlError,
    NotNowError,
    UnknownJobError,
    UnknownPoolError,
)

PROBLEM_JSON = "application/problem+json"
EVENT_STREAM = "text/event-stream"
HELLO = ": connected"  # an event stream begins with it: nothing is missed any more
IDEMPOTENCY_KEY = "Idempotency-Key"

_KINDS: dict[str, tuple[type[ControlError], HTTPStatus]] = {
    "unknown-pool": (UnknownPoolError, HTTPStatus.NOT_FOUND),
    "unknown-job": (UnknownJobError, HTTPStatus.NOT_FOUND),
    "bad-order": (BadOrderError, HTTPStatus.UNPROCESSABLE_ENTITY),
    "not-now": (NotNowError, HTTPStatus.SERVICE_UNAVAILABLE),
}


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not served; ``detail`` is the sentence for people."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class Unready(Problem, frozen=True):
    """Why jobs are not consumed as they should be; ``detail`` is all of it in one line."""

    reasons: tuple[str, ...] = ()


def problem_of(error: ControlError) -> Problem:
    """Return a refusal of the coordinator as a problem."""
    for name, (kind, status) in _KINDS.items():
        if isinstance(error, kind):
            return Problem(title_of(status), status, str(error), type=f"/problems/{name}")
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return Problem(title_of(status), status, str(error))


def error_of(problem: Problem) -> ControlError:
    """Return the refusal that a problem stands for."""
    kind, _ = _KINDS.get(problem.type.rpartition("/")[2], (ControlError, None))
    return kind(problem.detail)


def title_of(status: int) -> str:
    """Return the standard words for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
