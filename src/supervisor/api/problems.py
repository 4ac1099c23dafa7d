"""Errors as clients see them: a problem with one sentence, never a traceback."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, SerializationException, ValidationException

from consumers import logs
from supervisor.api import misfits
from supervisor.api.methods import listed, missing
from supervisor.api.misfits import in_address
from supervisor.api.wire import PROBLEM_JSON, Problem, problem_of, title_of
from supervisor.core.troubles import StoreError
from supervisor.ports import ControlError, NotNowError

AnyRequest = Request[object, object, State]

log = logs.get(__name__)


def refused(request: AnyRequest, error: ControlError) -> Response[Problem]:
    """Answer what the coordinator refused."""
    return _answer(request, problem_of(error))


def unstored(request: AnyRequest, error: StoreError) -> Response[Problem]:
    """Answer what the ledger could not take or tell just now."""
    why = f"the ledger cannot be asked now, try again: {error}"
    return _answer(request, problem_of(NotNowError(why)))


def invalid(request: AnyRequest, error: ValidationException) -> Response[Problem]:
    """Answer a request whose parameters do not fit, naming the parameter."""
    faults = error.extra if isinstance(error.extra, list) else []
    detail = "; ".join(_fault(fault, request) for fault in faults) or error.detail
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    return _answer(request, Problem(title_of(status), status, detail))


def failed(request: AnyRequest, error: HTTPException) -> Response[Problem]:
    """Answer what the framework refused: no such path, no such method, not JSON."""
    status = error.status_code
    detail = _sentence(error)
    if status == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {request.url.path}; /schema/openapi.json has all paths"
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = listed(set(headers.get("allow", "").split(", ")))
        detail = missing(request.method, headers["allow"])
    problem = Problem(title_of(status), status, detail)
    return _answer(request, problem, headers=headers)


def too_deep(request: AnyRequest, _: RecursionError) -> Response[Problem]:
    """Answer a body that nobody could mean; nothing of ours calls itself so often."""
    return _answer(request, misfits.too_deep())


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
        case {"key": str(key), "message": str(message)}:
            return in_address(key, message, str(request.query_params.get(key, "")))
        case {"message": str(message)}:
            return message
        case _:
            return msgspec.json.encode(fault).decode()


def _sentence(error: HTTPException) -> str:
    if isinstance(error.__cause__, SerializationException):
        return f"the body is not JSON: {error.__cause__}"
    return error.detail
