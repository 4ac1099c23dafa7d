"""Workers over HTTP: who there is, and what befell them."""

from typing import Annotated

from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter

from supervisor.api.reach import control_of
from supervisor.core.records import Incident
from supervisor.ports import WorkerView


@get("/workers")
async def list_workers(state: State) -> tuple[WorkerView, ...]:
    """List the workers."""
    return (await control_of(state).status()).workers


@get("/incidents")
async def list_incidents(
    state: State,
    worker: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 20,
) -> tuple[Incident, ...]:
    """List why workers were restarted, the newest first, of one worker if asked."""
    return await control_of(state).incidents(worker, limit)


HANDLERS = (list_workers, list_incidents)
