"""Jobs over HTTP: hand one in, show it, steer it."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.datastructures import State
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from supervisor.api.permits import FOR_SUBMITTERS
from supervisor.api.reach import caller_of, control_of, location, named
from supervisor.api.wire import IDEMPOTENCY_KEY
from supervisor.core.records import Family, JobRecord
from supervisor.desks.steering import JobStatus, PriorityOrder
from supervisor.ports import ConflictError, Order, UnknownJobError, taken

AnyRequest = Request[Any, Any, State]

_BULK = "bulk"  # many are handed in there, and a job may be called so


@post("/jobs", status_code=HTTPStatus.ACCEPTED, opt=FOR_SUBMITTERS)
async def create_job(
    data: JSONBody[Order],
    request: AnyRequest,
    state: State,
    key: Annotated[str | None, HeaderParameter(name=IDEMPOTENCY_KEY)] = None,
) -> Response[JobRecord]:
    """Take a job; it is stored when this answers. The same id again answers the same job."""
    origin = caller_of(request).origin
    job = await control_of(state).submit(_identified(data, key), origin=origin)
    if origin and job.origin != origin:
        raise taken(job.id)
    return Response(content=job, headers=location("jobs", job.id))


@get("/jobs/{job_id:str}", opt=FOR_SUBMITTERS)
async def show_job(request: AnyRequest, state: State, job_id: FromPath[str]) -> JobRecord:
    """Show one job with its history."""
    return await visible(request, state, named(job_id))


@get(f"/jobs/{_BULK}", opt=FOR_SUBMITTERS)
async def show_namesake(request: AnyRequest, state: State) -> JobRecord:
    """Show the job whose id is the name of a path."""
    return await visible(request, state, _BULK)


@get("/jobs/{job_id:str}/chain", opt=FOR_SUBMITTERS)
async def show_family(
    request: AnyRequest,
    state: State,
    job_id: FromPath[str],
    limit: Annotated[int, QueryParameter(ge=0, le=1000)] = 50,
) -> Family:
    """Show how a job and all that came of it stand, and the tree of it.

    Of the tree as many jobs as limit says, those next to the job first; besides it some that
    failed, wherever they are.
    """
    job = await visible(request, state, named(job_id))
    return await control_of(state).family(job.id, limit=limit)


@get("/jobs/{job_id:str}/status", opt=FOR_SUBMITTERS)
async def job_status(request: AnyRequest, state: State, job_id: FromPath[str]) -> JobStatus:
    """Show one job in few words, and where it stands in its queue while it waits."""
    await visible(request, state, named(job_id))
    return await control_of(state).steering.status(named(job_id))


@post("/jobs/{job_id:str}/retry", status_code=HTTPStatus.ACCEPTED)
async def retry_job(state: State, job_id: FromPath[str]) -> JobRecord:
    """Run a failed or cancelled job again, with a clean count of attempts and crashes."""
    return await control_of(state).steering.retry(named(job_id))


@post("/jobs/{job_id:str}/cancel", status_code=HTTPStatus.OK)
async def cancel_job(state: State, job_id: FromPath[str]) -> JobRecord:
    """Cancel a job that waits or runs; answers when it is, or still active after 20 seconds."""
    return await control_of(state).steering.cancel(named(job_id))


@post("/jobs/{job_id:str}/promote", status_code=HTTPStatus.ACCEPTED)
async def promote_job(state: State, job_id: FromPath[str]) -> JobRecord:
    """Run a delayed job now."""
    return await control_of(state).steering.promote(named(job_id))


@put("/jobs/{job_id:str}/priority")
async def reprioritize_job(
    state: State, job_id: FromPath[str], data: JSONBody[PriorityOrder]
) -> JobRecord:
    """Make a job that waits more urgent, or less."""
    return await control_of(state).steering.reprioritize(named(job_id), data.priority)


@delete("/jobs/{job_id:str}", status_code=HTTPStatus.OK)
async def remove_job(state: State, job_id: FromPath[str]) -> JobRecord:
    """Remove a job that waits or is over; answers the job as it was last."""
    return await control_of(state).steering.remove(named(job_id))


@delete(f"/jobs/{_BULK}", status_code=HTTPStatus.OK)
async def remove_namesake(state: State) -> JobRecord:
    """Remove the job whose id is the name of a path."""
    return await control_of(state).steering.remove(_BULK)


HANDLERS = (
    *(show_namesake, remove_namesake),
    *(create_job, show_job, show_family, job_status),
    *(retry_job, cancel_job, promote_job, reprioritize_job, remove_job),
)


async def visible(request: AnyRequest, state: State, job_id: str) -> JobRecord:
    """Return a job; to those who may not see all, only one of their own, by its whole id.

    What came of a job of theirs is theirs too. Raises UnknownJobError.
    """
    control = control_of(state)
    job = await control.job(job_id)
    origin = caller_of(request).origin
    if not origin:
        return job
    first = None if job.root is None else await control.job_at(job.root)
    owners = {job.origin} if first is None else {job.origin, first.origin}
    if origin not in owners or job.id != job_id:
        message = f"no job {job_id} of yours is known"
        raise UnknownJobError(message)
    return job


def _identified(order: Order, key: str | None) -> Order:
    """Return the order with the id its header gave it. Raises ConflictError."""
    if key is None or key == order.id:
        return order
    if order.id is not None:
        message = f"id: is {order.id}, but {IDEMPOTENCY_KEY} says {key}; they are the same thing"
        raise ConflictError(message)
    return msgspec.structs.replace(order, id=key)
