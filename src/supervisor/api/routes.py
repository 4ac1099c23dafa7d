"""The HTTP API: jobs in, views out. Everything it knows it asks of the Control port."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Litestar, Response, Router, get, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi import OpenAPIConfig
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream

from supervisor.api import problems
from supervisor.api.stream import stream
from supervisor.api.wire import EVENT_STREAM, IDEMPOTENCY_KEY, PROBLEM_JSON, Unready, title_of
from supervisor.core.readiness import is_ready
from supervisor.core.records import Incident, JobFilter, JobRecord, JobState
from supervisor.core.troubles import StoreError
from supervisor.ports import (
    BadOrderError,
    Control,
    ControlError,
    Order,
    QueueView,
    Status,
    WorkerView,
)

QUIET = 15.0  # seconds of silence before an event stream says that it is still there


def build(
    control: Control, closing: asyncio.Event | None = None, *, quiet: float = QUIET
) -> Litestar:
    """Return the ASGI application in front of a coordinator."""
    house = {"control": control, "closing": closing or asyncio.Event(), "quiet": quiet}
    jobs = [create_job, list_jobs, show_job]
    views = [show_status, list_workers, list_incidents, list_queues, follow_events]
    return Litestar(
        route_handlers=[Router("/api", route_handlers=[*jobs, *views]), livez, readyz],
        state=State(house),
        exception_handlers={
            ControlError: problems.refused,
            StoreError: problems.unstored,
            ValidationException: problems.invalid,
            HTTPException: problems.failed,
            Exception: problems.broken,
        },
        openapi_config=OpenAPIConfig(title="Rabbit Supervisor", version="1"),
        logging_config=None,
        debug=False,
    )


@post("/jobs", status_code=HTTPStatus.ACCEPTED)
async def create_job(
    data: JSONBody[Order],
    state: State,
    key: Annotated[str | None, HeaderParameter(name=IDEMPOTENCY_KEY)] = None,
) -> Response[JobRecord]:
    """Take a job; it is stored when this answers. The same id again answers the same job."""
    job = await _control(state).submit(_identified(data, key))
    return Response(content=job, headers={"Location": f"/api/jobs/{job.id}"})


@get("/jobs")
async def list_jobs(
    state: State,
    pool: FromQuery[str | None] = None,
    named_state: Annotated[str | None, QueryParameter(name="state")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> tuple[JobRecord, ...]:
    """List the newest jobs, of one pool or in one state if asked."""
    wanted = JobFilter(pool=pool, state=_job_state(named_state), limit=limit)
    return await _control(state).jobs(wanted)


@get("/jobs/{job_id:path}")  # an id from elsewhere may hold slashes
async def show_job(state: State, job_id: FromPath[str]) -> JobRecord:
    """Show one job with its history."""
    return await _control(state).job(job_id.removeprefix("/"))


@get("/status")
async def show_status(state: State) -> Status:
    """Show workers, queues, broker and health."""
    return await _control(state).status()


@get("/workers")
async def list_workers(state: State) -> tuple[WorkerView, ...]:
    """List the workers."""
    return (await _control(state).status()).workers


@get("/incidents")
async def list_incidents(
    state: State,
    worker: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 20,
) -> tuple[Incident, ...]:
    """List why workers were restarted, the newest first, of one worker if asked."""
    return await _control(state).incidents(worker, limit)


@get("/queues")
async def list_queues(state: State) -> tuple[QueueView, ...]:
    """List the queues."""
    return (await _control(state).status()).queues


@get("/events")
async def follow_events(state: State) -> Stream:
    """Stream what happens from now on, until the supervisor stops."""
    events: AsyncIterator[str] = stream(
        _control(state).events(), state.closing, keep_alive=state.quiet
    )
    return Stream(events, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})


@get("/livez")
async def livez() -> dict[str, str]:
    """Answer that the coordinator is alive, whatever the broker does."""
    return {"status": "ok"}


@get("/readyz")
async def readyz(state: State) -> Response[dict[str, str] | Unready]:
    """Answer whether jobs are being consumed as they should be; if not, every reason."""
    found = _control(state).conditions()
    if is_ready(found):
        return Response(content={"status": "ok"})
    reasons = tuple(each.sentence for each in found if not each.is_wanted)
    unavailable = HTTPStatus.SERVICE_UNAVAILABLE
    detail = "; ".join(reasons)
    problem = Unready(title_of(unavailable), unavailable, detail, reasons=reasons)
    return Response(content=problem, status_code=unavailable, media_type=PROBLEM_JSON)


def _control(state: State) -> Control:
    control: Control = state.control
    return control


def _job_state(name: str | None) -> JobState | None:
    known = [each.value for each in JobState]
    if name is not None and name not in known:
        message = f"state: must be one of {', '.join(known)}, is '{name}'"
        raise ValidationException(message)
    return None if name is None else JobState(name)


def _identified(order: Order, key: str | None) -> Order:
    """Return the order with the id its header gave it."""
    if key is None or key == order.id:
        return order
    if order.id is not None:
        message = f"id: is {order.id}, but {IDEMPOTENCY_KEY} says {key}; they are the same thing"
        raise BadOrderError(message)
    return msgspec.structs.replace(order, id=key)
