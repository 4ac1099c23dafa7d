"""Pools over HTTP: more workers or fewer, new processes, and work done on demand."""

from http import HTTPStatus
from typing import Annotated

from litestar import Response, get, post, put
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from supervisor.api.permits import FOR_RUNNERS
from supervisor.api.reach import control_of
from supervisor.core.on_demand import Summary, Wish
from supervisor.desks.pools import AnyWish, Instances, Pools, PoolView, Restarted

BEGUN = {
    202: ResponseSpec(Summary, description="The run has begun", generate_examples=False)
}  # by status, what else a run is answered with
Waits = Annotated[bool, QueryParameter(name="wait")]


@get("/pools")
async def list_pools(state: State) -> tuple[PoolView, ...]:
    """List the pools."""
    return _pools(state).views()


@get("/pools/{pool:str}")
async def show_pool(pool: FromPath[str], state: State) -> PoolView:
    """Show one pool."""
    return _pools(state).view(pool)


@put("/pools/{pool:str}/instances")
async def scale_pool(pool: FromPath[str], data: JSONBody[Instances], state: State) -> PoolView:
    """Have a pool be of so many workers, until the supervisor ends; the others leave in peace."""
    return await _pools(state).scale(pool, data.instances)


@post("/pools/{pool:str}/restart", status_code=HTTPStatus.ACCEPTED)
async def restart_pool(pool: FromPath[str], state: State) -> Restarted:
    """Replace every worker of a pool once its jobs are done."""
    return await _pools(state).restart_all(pool)


@post("/workers/{worker:str}/restart", status_code=HTTPStatus.ACCEPTED)
async def restart_worker(worker: FromPath[str], state: State) -> Restarted:
    """Replace one worker once its jobs are done."""
    return await _pools(state).restart(worker)


@post("/pools/{pool:str}/run", status_code=HTTPStatus.OK, opt=FOR_RUNNERS, responses=BEGUN)
async def run_pool(
    pool: FromPath[str],
    state: State,
    data: JSONBody[Wish | None] = None,
    wait: Waits = True,  # noqa: FBT002 - a query parameter
) -> Response[Summary]:
    """Work a pool off and answer what came of it; with ``wait=false`` answer at once (202)."""
    return await _run(_pools(state), pool, data or Wish(), wait=wait)


@post("/workers", status_code=HTTPStatus.OK, opt=FOR_RUNNERS, responses=BEGUN)
async def run_workers(
    state: State,
    data: JSONBody[AnyWish | None] = None,
    wait: Waits = True,  # noqa: FBT002 - a query parameter
) -> Response[Summary]:
    """Work off the pool that is named, the only one, or the only one without workers."""
    wish = data or AnyWish()
    return await _run(_pools(state), _pools(state).meant(wish.pool), wish, wait=wait)


@get("/pools/{pool:str}/run", opt=FOR_RUNNERS)
async def show_run(pool: FromPath[str], state: State) -> Summary:
    """Show how far the run of a pool is, or what came of the last one."""
    return _pools(state).last_run(pool)


async def _run(pools: Pools, pool: str, wish: Wish, *, wait: bool) -> Response[Summary]:
    if wait:
        return Response(content=await pools.run(pool, wish))
    begun = pools.begin(pool, wish)
    headers = {"Location": f"/api/pools/{pool}/run"}
    return Response(content=begun, status_code=HTTPStatus.ACCEPTED, headers=headers)


def _pools(state: State) -> Pools:
    return control_of(state).pools


HANDLERS = (
    list_pools,
    show_pool,
    scale_pool,
    restart_pool,
    restart_worker,
    run_pool,
    show_run,
    run_workers,
)
