"""What each route asks of its caller: a role, and no parameters that it does not know."""

from collections.abc import Mapping
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from supervisor.api.methods import ASKS
from supervisor.api.reach import caller_of
from supervisor.core.callers import Role

ROLE = "role"  # in a route's `opt`: the role it asks for; without it only admins are served
FOR_SUBMITTERS = {ROLE: Role.SUBMIT}
FOR_RUNNERS = {ROLE: Role.RUN}
FOR_EVERYBODY = {ROLE: None}

AnyConnection = ASGIConnection[Any, Any, Any, Any]


def permitted(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Refuse a caller who has not the role that a route asks for.

    Raises:
        PermissionDeniedException: naming the role.
    """
    role: Role | None = handler.opt.get(ROLE, Role.ADMIN)
    caller = caller_of(connection)
    if role is None or _method(connection) == ASKS or caller.may(role):
        return
    detail = f"this needs the role {role.value}, which the token {caller.name} has not"
    raise PermissionDeniedException(detail)


def understood(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """Refuse query parameters that a route does not know: a slip of the pen would list it all.

    Raises:
        HTTPException: naming the parameter.
    """
    if not connection.query_params or _method(connection) == ASKS:
        return
    known = _parameters(connection)
    unknown = [name for name in connection.query_params if name not in known]
    if unknown:
        there = f"known are {', '.join(sorted(known))}" if known else "there are none here"
        detail = f"{unknown[0]}: is no parameter here; {there}"
        raise HTTPException(status_code=400, detail=detail)


def _parameters(connection: AnyConnection) -> Mapping[str, object]:
    """Return the parameters of this route by name, from its description."""
    model = connection.app.openapi_schema
    template = connection.scope.get("path_template", "")
    item = (model.paths or {}).get(template)
    operation = getattr(item, _method(connection).lower(), None)
    return {
        each.name: each
        for each in (operation.parameters if operation and operation.parameters else ())
        if getattr(each, "param_in", "") == "query"
    }


def _method(connection: AnyConnection) -> str:
    return str(connection.scope.get("method", ""))
