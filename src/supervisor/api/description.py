"""The API's own description (OpenAPI 3.1): what the routes say, and what holds for all of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from typing_extensions import override

from consumers.chains import LONGEST, MOST_STEPS
from supervisor.api.admission import PROBES
from supervisor.api.bounds import NEW_NAME, bound
from supervisor.api.permits import FOR_EVERYBODY
from supervisor.api.reach import control_of
from supervisor.api.wire import PROBLEM_JSON, Problem, title_of
from supervisor.desks.pools import PoolView

_SCHEME = "token"
_REFUSALS = {
    "400": "The request cannot be understood: an unknown field or parameter, or no JSON",
    "401": "A token is needed, or this one is not known",
    "403": "The token has not the role that is needed",
    "404": "There is no such thing",
    "405": "That cannot be done here",
    "408": "The request did not arrive in time",
    "409": "Not as things stand",
    "413": "The body is too long",
    "414": "The address is too long",
    "415": "The body is not JSON",
    "422": "A value cannot be as it is; the detail names the field",
    "429": "Too many requests; Retry-After says when the next is taken",
    "500": "Our own mistake; the supervisor's log says which",
    "503": "Not now: the broker, the ledger or the place is missing; try again",
}
_PART = {"type": "string", "minLength": 1, "pattern": r"^[^\u0000-\u001f\u007f\ue02f]+$"}
_PARTS = {  # of paths, by their names
    "number": {"type": "integer", "minimum": 1},  # of a replay
    "name": {"type": "string", "pattern": NEW_NAME},
}
_NEW = "NewSchedule"
_OPERATIONS = ("get", "post", "put", "patch", "delete")
_TEXT = {"type": ["string", "null"], "maxLength": LONGEST}
_STEP: dict[str, Any] = {  # of a chain, but for its pool
    "type": "object",
    "required": ["pool"],
    "additionalProperties": False,
    "properties": {
        "type": _TEXT | {"description": "Of these jobs, where the pool has several"},
        "each": _TEXT | {"description": "The list in the result whose entries become jobs"},
        "into": _TEXT | {"description": "The field of the next job that has the entry"},
        "data": {"type": ["object", "null"], "description": "Its other fields"},
        "then": {"description": "What follows these jobs, in the same shapes"},
    },
}
_PROBLEM = {
    "type": "object",
    "description": "Why a request was not served (RFC 9457)",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "/problems/NAME, or about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "The sentence for people"},
        "instance": {"type": "string", "description": "The path that was asked"},
        "reasons": {"type": "array", "items": {"type": "string"}},
    },
    "examples": [
        {
            "type": "/problems/unknown-pool",
            "title": "Not Found",
            "status": 404,
            "detail": "no pool 'downlod' is configured; there are: download, cutter, preview; "
            "did you mean download?",
            "instance": "/api/jobs",
        }
    ],
}


class _Whole(OpenAPIRenderPlugin):
    """The description as JSON; the framework's pages load scripts from elsewhere."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)

    @override
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        pools = control_of(request.app.state).pools.views()
        return msgspec.json.encode(described(openapi_schema, pools))


def openapi() -> OpenAPIConfig:
    """Return where and how the API is described: at ``/schema/openapi.json``."""
    router = Router(
        "/schema",
        route_handlers=[],
        include_in_schema=False,
        opt=FOR_EVERYBODY,
        after_request=_as_problem,
    )
    return OpenAPIConfig(
        "Rabbit Supervisor",
        "1",
        render_plugins=(_Whole(),),
        openapi_router=router,
        use_handler_docstrings=True,
    )


def _as_problem(response: Response[Any]) -> Response[Any]:
    """Return the framework's page for what is not there as the problem it is."""
    missing = HTTPStatus.NOT_FOUND
    if response.status_code != missing:
        return response
    problem = Problem(title_of(missing), missing, "there is nothing here; see openapi.json")
    return Response(content=problem, status_code=missing, media_type=PROBLEM_JSON)


def described(schema: dict[str, Any], pools: Collection[PoolView]) -> dict[str, Any]:
    """Return the description of all routes, completed by what holds for the pools there are."""
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["schemas"]["Order"]["properties"]["then"] = _then([pool.name for pool in pools])
    components["responses"] = {status: _refusal(text) for status, text in _REFUSALS.items()}
    components["securitySchemes"] = {
        _SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of the file http.tokens; the control socket asks for none",
        }
    }
    schema["security"] = [{_SCHEME: []}]
    bound(schema, {number for pool in pools for number in pool.priorities})
    _name_new_schedules(schema)
    for path, operation in _operations(schema):
        if path in PROBES:
            operation["security"] = []
        responses = operation.setdefault("responses", {})
        # The framework's own words for a bad request; ours have another shape.
        responses.pop("400", None)
        for status in _REFUSALS:
            responses.setdefault(status, {"$ref": f"#/components/responses/{status}"})
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path":
                parameter["schema"] = _PARTS.get(parameter["name"], _PART)
        body = operation.get("requestBody", {})
        _close(body, components["schemas"])
        if body and _may_be_left_out(body):
            body["required"] = False
    return schema


def _then(pools: Sequence[str]) -> dict[str, Any]:
    """Return what may follow a job, where there are these pools."""
    name = {"type": "string", "enum": list(pools)}
    own = {"pool": name | {"description": "That has the next jobs"}, **_STEP["properties"]}
    step = _STEP | {"properties": own}
    return {
        "description": "What follows it when it is completed: a pool, a step, or a list of them",
        "anyOf": [
            {"type": "null"},
            name,
            step,
            {"type": "array", "items": {"anyOf": [name, step]}, "maxItems": MOST_STEPS},
        ],
        "examples": [*pools[-1:], [{"pool": pool, "data": {"size": 30}} for pool in pools[-1:]]],
    }


def _name_new_schedules(schema: Mapping[str, Any]) -> None:
    """Say of schedules that have no name in their address that their order names them."""
    shapes = schema["components"]["schemas"]
    known = shapes["ScheduleOrder"]
    name = {**known["properties"]["name"], "pattern": NEW_NAME}
    name.pop("default", None)
    shapes[_NEW] = {
        **known,
        "required": sorted({*known["required"], "name"}),
        "properties": {**known["properties"], "name": name},
    }
    body = schema["paths"]["/api/schedules"]["post"]["requestBody"]
    body["content"]["application/json"]["schema"] = {"$ref": f"#/components/schemas/{_NEW}"}


def _may_be_left_out(body: Mapping[str, Any]) -> bool:
    """Answer whether a body may be nothing: then it need not be there."""
    kinds = [kind.get("schema", {}).get("oneOf", ()) for kind in body["content"].values()]
    return any({"type": "null"} in choices for choices in kinds)


def _close(body: Any, schemas: Mapping[str, Any]) -> None:
    """Say of every shape that a body may have that it knows no other fields."""
    match body:
        case {"$ref": str(name)}:
            shape = schemas[name.rpartition("/")[2]]
            if "properties" in shape and "additionalProperties" not in shape:
                shape["additionalProperties"] = False
                _close(shape["properties"], schemas)
        case dict():
            for part in body.values():
                _close(part, schemas)
        case list():
            for part in body:
                _close(part, schemas)
        case _:
            pass


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in schema.get("paths", {}).items():
        for method in _OPERATIONS:
            if method in item:
                yield path, item[method]


def _refusal(text: str) -> dict[str, Any]:
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": text, "content": content}
