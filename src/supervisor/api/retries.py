"""Retries over HTTP: after how many attempts the jobs of a pool end."""

from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath

from supervisor.api.reach import control_of
from supervisor.desks.retries import RetriesView


@get("/queues/{pool:str}/retries")
async def show_retries(pool: FromPath[str], state: State) -> RetriesView:
    """Show how many jobs ended after 1, 2, 3 ... attempts, and which attempt others wait for."""
    return await control_of(state).retries.of(pool)


HANDLERS = (show_retries,)
