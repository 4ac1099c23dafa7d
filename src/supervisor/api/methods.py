"""What can be done at a path: the answer to OPTIONS, and to a method that is not there."""

from litestar import Request, Response
from litestar.datastructures import State
from litestar.routes import HTTPRoute

AnyRequest = Request[object, object, State]

ASKS = "OPTIONS"


def may(request: AnyRequest) -> Response[None] | None:
    """Answer OPTIONS with all methods of the path; None: something else is asked.

    The framework's own answer forgets those that another function of the same path has.
    """
    if request.method != ASKS:
        return None
    template = request.scope.get("path_template", "")
    methods = {
        str(method)
        for route in request.app.routes
        if isinstance(route, HTTPRoute) and route.path_format == template
        for method in route.methods
    }
    return Response(content=None, status_code=204, headers={"Allow": listed(methods)})


def listed(methods: set[str]) -> str:
    """Return methods as the header Allow has them; what can be got has a head, too."""
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def missing(method: str, allow: str) -> str:
    """Return the sentence for a method that a path has not."""
    there = ", ".join(name for name in allow.split(", ") if name not in {ASKS, "HEAD"})
    return f"{method} is not done here; allowed are {there}"
