"""What does not fit, in words: fields of a body and parameters of an address. Pure.

The framework and msgspec say it in their own words; these are the same for one body and for many.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import get_args

import msgspec

from consumers.errors import nearest
from consumers.reasons import KINDS
from supervisor.api.wire import Problem, title_of

_STRANGE = re.compile(r"Object contains unknown field `(.*)`")  # msgspec's words, here and below
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_WHERE = re.compile(r" - at `\$\.?(.*)`$")
_KIND = re.compile(r"Expected `([\w |]+)`, got `(\w+)`")
_NAMES = KINDS | {"str": "a text"}
_NO_MOMENT = re.compile(r"Invalid RFC3339 encoded datetime|Expected `datetime.*")
_WHOLE = re.compile(r"Expected `int`(?:, got `\w+`| (?P<sign>[<>]=) (?P<bound>\d+))")


def in_address(key: str, message: str, said: str) -> str:
    """Return what is wrong with a parameter that said this."""
    found = _WHOLE.fullmatch(message)
    if found is None:
        return f"{key}: {message}"
    bounds = {">=": "or more", "<=": "or less"}
    if found["sign"] in bounds:
        return f"{key}: must be {found['bound']} {bounds[found['sign']]}, is {said[:40]}"
    return f"{key}: must be a whole number, is {said[:40]}"


def unread(error: Exception, kind: object) -> Problem:
    """Return the problem with a body that is none of this kind, by its reader's error."""
    said = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return _problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {said}")
    place = _WHERE.search(said)
    where, message = (place[1], said[: place.start()]) if place else ("", said)
    # What nobody knows is no request of ours; what is known and does not fit is a bad one.
    is_unknown = _STRANGE.fullmatch(message) is not None
    status = HTTPStatus.BAD_REQUEST if is_unknown else HTTPStatus.UNPROCESSABLE_ENTITY
    return _problem(status, _in_body(where, message, _fields_of(kind)))


def absent() -> Problem:
    """Return the problem with a body that did not come."""
    return _problem(HTTPStatus.BAD_REQUEST, "the body is missing: it must be JSON")


def too_deep() -> Problem:
    """Return the problem with a body that nobody could mean."""
    return _problem(HTTPStatus.BAD_REQUEST, "the body is nested too deeply")


def _in_body(where: str, message: str, known: Sequence[str]) -> str:
    """Return what is wrong at a place of a body; ``known`` are the fields at its top."""
    if found := _MISSING.fullmatch(message):
        return f"{_inside(where)}{found[1]}: is missing"
    if found := _STRANGE.fullmatch(message):
        name = found[1]
        hint = f"{near} " if (near := nearest(name, known)) else ""
        allowed = "" if where else f"; {hint}allowed are {', '.join(known)}"
        return f"{_inside(where)}{name}: is no field here{allowed}"
    return f"{where or 'the body'}: {in_words(message)}"


def in_words(message: str) -> str:
    """Return what the reader says of a value as we say it; what it seldom says stays as it is."""
    if _NO_MOMENT.fullmatch(message):
        return "must be a moment with its zone, like 2026-11-22T10:00:00Z"
    found = _KIND.fullmatch(message)
    wanted = found[1].split(" | ") if found else ()
    if found is None or not {*wanted, found[2]} <= _NAMES.keys():
        return message
    return f"must be {' or '.join(_NAMES[name] for name in wanted)}, is {_NAMES[found[2]]}"


def _inside(where: str) -> str:
    return f"{where}." if where else ""


def _fields_of(kind: object) -> tuple[str, ...]:
    bodies = [each for each in (kind, *get_args(kind)) if hasattr(each, "__struct_fields__")]
    return tuple(field.encode_name for body in bodies for field in msgspec.structs.fields(body))


def _problem(status: HTTPStatus, detail: str) -> Problem:
    return Problem(title_of(status), status, detail)
