"""What travels besides the views: problems (RFC 9457), and the error each of them stands for."""

from http import HTTPStatus

import msgspec

from supervisor.core.records import JobRecord
from supervisor.ports import (
    BadOrderError,
    BadScheduleError,
    BrokerAwayError,
    BusyError,
    ConflictError,
    ControlError,
    ElsewhereError,
    FixedScheduleError,
    Health,
    NoRunError,
    NotNowError,
    TakenError,
    UnknownGroupError,
    UnknownJobError,
    UnknownPageError,
    UnknownPoolError,
    UnknownReplayError,
    UnknownScheduleError,
    UnknownWorkerError,
    WrongStateError,
)

PROBLEM_JSON = "application/problem+json"
EVENT_STREAM = "text/event-stream"
HELLO = ": connected"  # an event stream begins with it: nothing is missed any more
MISSED = "missed"  # an event of the stream itself: so many are lost; null: nobody knows how many
IDEMPOTENCY_KEY = "Idempotency-Key"
LAST_EVENT_ID = "Last-Event-ID"

_KINDS: dict[str, tuple[type[ControlError], HTTPStatus]] = {
    "unknown-pool": (UnknownPoolError, HTTPStatus.NOT_FOUND),
    "unknown-job": (UnknownJobError, HTTPStatus.NOT_FOUND),
    "unknown-worker": (UnknownWorkerError, HTTPStatus.NOT_FOUND),
    "no-run": (NoRunError, HTTPStatus.NOT_FOUND),
    "unknown-page": (UnknownPageError, HTTPStatus.NOT_FOUND),
    "unknown-group": (UnknownGroupError, HTTPStatus.NOT_FOUND),
    "conflict": (ConflictError, HTTPStatus.CONFLICT),
    "elsewhere": (ElsewhereError, HTTPStatus.CONFLICT),
    "busy": (BusyError, HTTPStatus.CONFLICT),
    "wrong-state": (WrongStateError, HTTPStatus.CONFLICT),
    "taken": (TakenError, HTTPStatus.CONFLICT),
    "bad-order": (BadOrderError, HTTPStatus.UNPROCESSABLE_ENTITY),
    "unknown-replay": (UnknownReplayError, HTTPStatus.NOT_FOUND),
    "unknown-schedule": (UnknownScheduleError, HTTPStatus.NOT_FOUND),
    "bad-schedule": (BadScheduleError, HTTPStatus.UNPROCESSABLE_ENTITY),
    "fixed-schedule": (FixedScheduleError, HTTPStatus.CONFLICT),
    "broker-away": (BrokerAwayError, HTTPStatus.SERVICE_UNAVAILABLE),
    "not-now": (NotNowError, HTTPStatus.SERVICE_UNAVAILABLE),
}


class Problem(msgspec.Struct, frozen=True):
    """Why a request was not served; ``detail`` is the sentence for people."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    instance: str = ""  # the path that was asked


class Unready(Problem, frozen=True):
    """Why jobs are not consumed as they should be; ``detail`` is all of it in one line."""

    reasons: tuple[str, ...] = ()


class JobList(msgspec.Struct, frozen=True, rename="camel"):
    """A page of jobs; with ``nextCursor`` as ``cursor`` the next one is asked for."""

    jobs: tuple[JobRecord, ...]
    next_cursor: str | None = None


class Well(msgspec.Struct, frozen=True):
    """What a probe wants to hear."""

    status: str = "ok"


class HealthView(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """That the supervisor is there; ``uptime`` in seconds."""

    status: str  # ok degraded
    uptime: float
    reasons: tuple[str, ...] = ()
    health: Health | None = None


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
