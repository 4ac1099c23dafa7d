"""Errors as clients see them: a problem with one sentence, never a traceback."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import get_args

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, SerializationException, ValidationException

from consumers import logs
from consumers.errors import nearest
from supervisor.api.wire import PROBLEM_JSON, Problem, problem_of, title_of
from supervisor.core.troubles import StoreError
from supervisor.ports import ControlError, NotNowError

AnyRequest = Request[object, object, State]

_UNKNOWN = "contains unknown field"  # msgspec's words, here and below
_STRANGE = re.compile(rf"{_UNKNOWN} `([^`]*)`")
_WHOLE = re.compile(r"Expected `int`(?:, got `\w+`| (?P<sign>[<>]=) (?P<bound>\d+))")

log = logs.get(__name__)


def refused(request: AnyRequest, error: ControlError) -> Response[Problem]:
    """Answer what the coordinator refused."""
    return _answer(request, problem_of(error))


def unstored(request: AnyRequest, error: StoreError) -> Response[Problem]:
    """Answer what the ledger could not take or tell just now."""
    why = f"the ledger cannot be asked now, try again: {error}"
    return _answer(request, problem_of(NotNowError(why)))


def invalid(request: AnyRequest, error: ValidationException) -> Response[Problem]:
    """Answer a request whose body or parameters do not fit, naming the field."""
    faults = error.extra if isinstance(error.extra, list) else []
    # What nobody knows is no request of ours; what is known and does not fit is a bad one.
    is_unknown = any(_UNKNOWN in str(fault) for fault in (faults or [error.detail]))
    detail = "; ".join(_fault(fault, request) for fault in faults) or error.detail
    status = HTTPStatus.BAD_REQUEST if is_unknown else HTTPStatus.UNPROCESSABLE_ENTITY
    return _answer(request, Problem(title_of(status), status, detail))


def failed(request: AnyRequest, error: HTTPException) -> Response[Problem]:
    """Answer what the framework refused: no such path, no such method, not JSON."""
    status = error.status_code
    detail = _sentence(error)
    if status == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path}"
    problem = Problem(title_of(status), status, detail)
    return _answer(request, problem, headers=error.headers)


def too_deep(request: AnyRequest, _: RecursionError) -> Response[Problem]:
    """Answer a body that nobody could mean; nothing of ours calls itself so often."""
    status = HTTPStatus.BAD_REQUEST
    return _answer(request, Problem(title_of(status), status, "the body is nested too deeply"))


def broken(request: AnyRequest, error: Exception) -> Response[Problem]:
    """Answer our own mistake: the details are in the log, not in the answer."""
    log.error("request failed", path=request.url.path, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "something went wrong in the supervisor; its log says what"
    return _answer(request, Problem(title_of(status), status, detail))


def _answer(
    request: AnyRequest, problem: Problem, headers: Mapping[str, str] | None = None
) -> Response[Problem]:
    asked = msgspec.structs.replace(problem, instance=request.url.path)
    return Response(
        content=asked, status_code=problem.status, media_type=PROBLEM_JSON, headers=headers
    )


def _fault(fault: object, request: AnyRequest) -> str:
    match fault:
        case {"key": str(key), "message": str(message)} if found := _STRANGE.search(message):
            return _no_field(key, found[1], request)
        case {"key": str(key), "message": str(message)} if found := _WHOLE.fullmatch(message):
            said = request.query_params.get(key)
            return f"{key}: {message}" if said is None else f"{key}: {_number(found, said)}"
        case {"key": str(key), "message": str(message)}:
            return f"{key}: {message}"
        case {"message": str(message)}:
            return message
        case _:
            return msgspec.json.encode(fault).decode()


def _no_field(key: str, name: str, request: AnyRequest) -> str:
    """Return that there is no such field; the framework's key of a whole body is ``data``."""
    if key != "data":
        return f"{key}.{name}: is no field here"
    said = request.route_handler.parsed_fn_signature.parameters["data"].annotation
    bodies = [kind for kind in (said, *get_args(said)) if hasattr(kind, "__struct_fields__")]
    known = [field.encode_name for kind in bodies for field in msgspec.structs.fields(kind)]
    hint = f"{near} " if (near := nearest(name, known)) else ""
    return f"{name}: is no field here; {hint}allowed are {', '.join(known)}"


def _number(found: re.Match[str], said: str) -> str:
    bounds = {">=": "or more", "<=": "or less"}
    if found["sign"] in bounds:
        return f"must be {found['bound']} {bounds[found['sign']]}, is {said[:40]}"
    return f"must be a whole number, is {said[:40]}"


def _sentence(error: HTTPException) -> str:
    if isinstance(error.__cause__, SerializationException):
        return f"the body is not JSON: {error.__cause__}"
    return error.detail
