"""How an answer is read: as what was asked for, or as the error that it says."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from supervisor_client import errors
from supervisor_client.calls import Call
from supervisor_client.shapes import Event

T = TypeVar("T")

HELLO = ": connected"  # a stream of events begins with it: nothing is missed from there on
_MISSED = "missed"
_HEAD = ("name", "at", "queue", "id", "worker")

_KINDS: dict[int, type[errors.RefusedError]] = {
    HTTPStatus.UNAUTHORIZED: errors.NotAllowedError,
    HTTPStatus.FORBIDDEN: errors.NotAllowedError,
    HTTPStatus.NOT_FOUND: errors.UnknownError,
    HTTPStatus.CONFLICT: errors.ConflictError,
    HTTPStatus.BAD_REQUEST: errors.BadOrderError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.BadOrderError,
    HTTPStatus.UNPROCESSABLE_ENTITY: errors.BadOrderError,
}
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class _Problem(msgspec.Struct, frozen=True):
    """Why a request was refused (RFC 9457)."""

    detail: str
    type: str = ""


def read(call: Call[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """Return what was asked for.

    Raises:
        RefusedError: the supervisor said no.
        ClientError: whoever answered is no supervisor, or one of another version.
    """
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise refusal(status, headers, body)
    try:
        return msgspec.json.decode(body or b"null", type=call.kind)
    except msgspec.MsgspecError as error:
        message = f"the answer to {call.method} {call.path} cannot be read: {error}"
        raise errors.ClientError(message) from error


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> errors.RefusedError:
    """Return the error that an answer says."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = f"the answer was {status}, and not in the words of a supervisor; is it one?"
        return errors.RefusedError(said, status=status)
    kind = problem.type.rpartition("/")[2] if problem.type.startswith("/problems/") else ""
    if status in _LATER:
        after = _seconds(headers.get("retry-after", ""))
        return errors.TryLaterError(problem.detail, status=status, kind=kind, after=after)
    return _KINDS.get(status, errors.RefusedError)(problem.detail, status=status, kind=kind)


class EventReader:
    """Puts the lines of an event stream together."""

    def __init__(self) -> None:
        self._key = ""
        self._name = ""

    def read(self, line: str) -> Event | None:
        """Return the event that is whole with this line, if one is."""
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            self._key = value
        elif field == "event":
            self._name = value
        elif field == "data":
            return self._event(msgspec.json.decode(value, type=dict[str, Any]))
        return None

    def _event(self, fields: dict[str, Any]) -> Event:
        if self._name == _MISSED:
            return Event(_MISSED, data=fields)
        head = {name: fields.pop(name) for name in _HEAD if name in fields}
        return msgspec.convert(head | {"key": self._key, "data": fields}, Event)


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
