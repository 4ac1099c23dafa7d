"""Schedules over HTTP: jobs that come by themselves."""

from http import HTTPStatus

from litestar import Response, delete, get, post, put
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from supervisor.api.reach import control_of, location
from supervisor.core.records import JobRecord
from supervisor.desks.schedules import ScheduleOrder, ScheduleView


@get("/schedules")
async def list_schedules(state: State) -> tuple[ScheduleView, ...]:
    """List all schedules, with their next runs and how the last job ended."""
    return await control_of(state).schedules.every()


@post("/schedules", status_code=HTTPStatus.CREATED)
async def add_schedule(data: JSONBody[ScheduleOrder], state: State) -> Response[ScheduleView]:
    """Take a new schedule; a name that is taken already is refused."""
    made = await control_of(state).schedules.add(data)
    return Response(content=made, headers=location("schedules", made.name))


@get("/schedules/{name:str}")
async def show_schedule(name: FromPath[str], state: State) -> ScheduleView:
    """Show one schedule."""
    return await control_of(state).schedules.one(name)


@put(
    "/schedules/{name:str}",
    responses={HTTPStatus.CREATED: ResponseSpec(ScheduleView, generate_examples=False)},
)
async def put_schedule(
    name: FromPath[str], data: JSONBody[ScheduleOrder], state: State
) -> Response[ScheduleView]:
    """Have a schedule be so, whether it was there or not."""
    found, is_new = await control_of(state).schedules.put(name, data)
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return Response(content=found, status_code=status)


@delete("/schedules/{name:str}")
async def remove_schedule(name: FromPath[str], state: State) -> None:
    """Forget a schedule; the jobs it entered stay."""
    await control_of(state).schedules.remove(name)


@post("/schedules/{name:str}/pause", status_code=HTTPStatus.OK)
async def pause_schedule(name: FromPath[str], state: State) -> ScheduleView:
    """Have a schedule not run; what passes meanwhile is not missed."""
    return await control_of(state).schedules.pause(name)


@post("/schedules/{name:str}/resume", status_code=HTTPStatus.OK)
async def resume_schedule(name: FromPath[str], state: State) -> ScheduleView:
    """Have it run again, from its next moment on."""
    return await control_of(state).schedules.resume(name)


@post("/schedules/{name:str}/run", status_code=HTTPStatus.ACCEPTED)
async def run_schedule(name: FromPath[str], state: State) -> Response[JobRecord]:
    """Enter one job of a schedule now; its next moment stays."""
    job = await control_of(state).schedules.run(name)
    return Response(content=job, headers=location("jobs", job.id))


HANDLERS = (
    list_schedules,
    add_schedule,
    show_schedule,
    put_schedule,
    remove_schedule,
    pause_schedule,
    resume_schedule,
    run_schedule,
)
