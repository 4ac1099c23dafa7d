"""The HTTP API, gathered: each resource has a module of its own, and a line here."""

import asyncio

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException

from consumers.clock import SystemClock
from supervisor.api import (
    bulk,
    events,
    health,
    jobs,
    letters,
    lists,
    logs,
    pools,
    problems,
    queues,
    retries,
    schedules,
    stats,
    workers,
)
from supervisor.api.bodies import examine
from supervisor.api.description import openapi
from supervisor.api.gate import Gate, Rules
from supervisor.api.permits import permitted, understood
from supervisor.core.troubles import StoreError
from supervisor.ports import Control, ControlError

SOCKET = Rules()  # the control socket's
QUIET = 15.0  # seconds of silence before an event stream says that it is still there

_RESOURCES = (
    *jobs.HANDLERS,
    *bulk.HANDLERS,
    *lists.HANDLERS,
    *logs.HANDLERS,
    *workers.HANDLERS,
    *pools.HANDLERS,
    *queues.HANDLERS,
    *letters.HANDLERS,
    *stats.HANDLERS,
    *retries.HANDLERS,
    *schedules.HANDLERS,
    *events.HANDLERS,
    *health.HANDLERS,
)


def build(
    control: Control,
    closing: asyncio.Event | None = None,
    *,
    quiet: float = QUIET,
    rules: Rules = SOCKET,
) -> Gate:
    """Return the ASGI application in front of a coordinator, behind the gate of one door."""
    clock = SystemClock()
    house = {
        "control": control,
        "closing": closing or asyncio.Event(),
        "quiet": quiet,
        "clock": clock,
        "born": clock.monotonic(),
    }
    app = Litestar(
        route_handlers=[Router("/api", route_handlers=_RESOURCES), *health.PROBES],
        state=State(house),
        exception_handlers={
            ControlError: problems.refused,
            StoreError: problems.unstored,
            ValidationException: problems.invalid,
            HTTPException: problems.failed,
            RecursionError: problems.too_deep,
            Exception: problems.broken,
        },
        guards=[permitted, understood],
        before_request=examine,
        openapi_config=openapi(),
        request_max_body_size=None,  # the gate knows better
        logging_config=None,
        debug=False,
    )
    return Gate(app, rules)  # type: ignore[arg-type]  # Litestar types its scope more narrowly
