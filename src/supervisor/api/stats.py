"""Figures of the house and its workers over HTTP, in shapes that other programs know."""

from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath

from supervisor.api.reach import control_of
from supervisor.desks.queues import HouseStats, WorkerStats
from supervisor.ports import Health


@get("/stats")
async def show_house(state: State) -> HouseStats:
    """Show the whole house in numbers: jobs in the ledger, jobs in queues, what is reached."""
    return await control_of(state).queues.house()


@get("/health")
async def show_health(state: State) -> Health:
    """Show the whole house in five numbers."""
    return (await control_of(state).status()).health


@get("/workers/{worker:str}/stats")
async def show_worker(worker: FromPath[str], state: State) -> WorkerStats:
    """Show how busy a worker is."""
    return await control_of(state).queues.worker(worker)


HANDLERS = (show_house, show_health, show_worker)
