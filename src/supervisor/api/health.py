"""How the house stands, over HTTP: for people, and for what probes it."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State

from supervisor.api.permits import FOR_EVERYBODY
from supervisor.api.reach import caller_of, control_of
from supervisor.api.wire import PROBLEM_JSON, HealthView, Unready, Well, title_of
from supervisor.core.readiness import Condition, is_ready
from supervisor.ports import Status


@get("/status")
async def show_status(state: State) -> Status:
    """Show workers, queues, broker and health."""
    return await control_of(state).status()


@get("/livez", opt=FOR_EVERYBODY)
async def livez() -> Well:
    """Answer that the coordinator is alive, whatever the broker does."""
    return Well()


@get("/readyz", opt=FOR_EVERYBODY)
async def readyz(request: Request[object, object, State]) -> Response[Well | Unready]:
    """Answer whether jobs are being consumed as they should be; if not, every reason."""
    return _readiness(request)


@get("/healthz", opt=FOR_EVERYBODY)
async def healthz(request: Request[object, object, State]) -> Response[Well | Unready]:
    """Answer as readyz does, for those who know it by this name."""
    return _readiness(request)


@get("/health", opt=FOR_EVERYBODY)
async def show_health(request: Request[object, object, State], state: State) -> HealthView:
    """Answer that the supervisor is there and since when; to admins also how the house stands.

    The status is ok, or degraded while jobs are not consumed as they should be.
    """
    control = control_of(state)
    found = control.conditions()
    status = "ok" if is_ready(found) else "degraded"
    view = HealthView(status, round(state.clock.monotonic() - state.born, 3))
    if not caller_of(request).is_admin:
        return view
    health = (await control.status()).health
    return msgspec.structs.replace(view, reasons=_reasons(found), health=health)


def _readiness(request: Request[object, object, State]) -> Response[Well | Unready]:
    found = control_of(request.app.state).conditions()
    if is_ready(found):
        return Response(content=Well())
    # Strangers learn that it is so, not why: reasons name hosts and folders.
    reasons = _reasons(found) if caller_of(request).roles else ()
    unavailable = HTTPStatus.SERVICE_UNAVAILABLE
    detail = "; ".join(reasons) or "jobs are not consumed as they should be"
    problem = Unready(
        title_of(unavailable), unavailable, detail, instance=request.url.path, reasons=reasons
    )
    return Response(content=problem, status_code=unavailable, media_type=PROBLEM_JSON)


def _reasons(found: Sequence[Condition]) -> tuple[str, ...]:
    return tuple(each.sentence for each in found if not each.is_wanted)


HANDLERS = (show_status,)
PROBES = (
    livez,
    readyz,
    healthz,
    show_health,
)  # not below /api: whoever probes knows these paths by heart
