"""Queues over HTTP: what is in them; hold them, empty them, clean up after them."""

from http import HTTPStatus

from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody

from supervisor.api.reach import control_of
from supervisor.desks.queues import (
    Cleaned,
    CleanOrder,
    Drained,
    Pause,
    PauseOrder,
    QueueCard,
    QueueMetrics,
    QueueStats,
    Retried,
    RetryOrder,
)
from supervisor.ports import QueueView

OK = HTTPStatus.OK


@get("/queues")
async def list_queues(state: State) -> tuple[QueueView, ...]:
    """List the queues."""
    return (await control_of(state).status()).queues


@get("/queues/{pool:str}")
async def show_queue(pool: FromPath[str], state: State) -> QueueCard:
    """Show a pool's queue: how many jobs are in which state, how long the oldest has waited."""
    return await control_of(state).queues.show(pool)


@get("/queues/{pool:str}/stats")
async def show_stats(pool: FromPath[str], state: State) -> QueueStats:
    """Show what a pool's queue holds, in five numbers."""
    return await control_of(state).queues.stats(pool)


@get("/queues/{pool:str}/metrics")
async def show_metrics(pool: FromPath[str], state: State) -> QueueMetrics:
    """Show what a pool's queue holds, with its name and whether it is paused."""
    return await control_of(state).queues.metrics(pool)


@post("/queues/pause", status_code=OK)
async def pause_all(state: State, data: JSONBody[PauseOrder | None] = None) -> tuple[Pause, ...]:
    """Take nothing new from any queue."""
    return await control_of(state).queues.pause(None, (data or PauseOrder()).why)


@post("/queues/resume", status_code=OK)
async def resume_all(state: State) -> tuple[Pause, ...]:
    """Consume all queues again."""
    return await control_of(state).queues.resume(None)


@post("/queues/{pool:str}/pause", status_code=OK)
async def pause_queue(
    pool: FromPath[str], state: State, data: JSONBody[PauseOrder | None] = None
) -> Pause:
    """Take nothing new from a pool's queue; jobs in hand go on."""
    (paused,) = await control_of(state).queues.pause(pool, (data or PauseOrder()).why)
    return paused


@post("/queues/{pool:str}/resume", status_code=OK)
async def resume_queue(pool: FromPath[str], state: State) -> Pause:
    """Consume a pool's queue again."""
    (resumed,) = await control_of(state).queues.resume(pool)
    return resumed


@post("/queues/{pool:str}/drain", status_code=OK)
async def drain_queue(
    pool: FromPath[str],
    state: State,
    delayed: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
) -> Drained:
    """Remove what waits, and what is to run later if asked; jobs in hand go on."""
    return await control_of(state).queues.drain(pool, delayed=delayed)


@post("/queues/{pool:str}/clean", status_code=OK)
async def clean_queue(pool: FromPath[str], data: JSONBody[CleanOrder], state: State) -> Cleaned:
    """Remove finished jobs for good, with their history."""
    return await control_of(state).queues.clean(pool, data)


@post("/queues/{pool:str}/retry-failed", status_code=HTTPStatus.ACCEPTED)
async def retry_failed(pool: FromPath[str], data: JSONBody[RetryOrder], state: State) -> Retried:
    """Have failed jobs run again."""
    return await control_of(state).queues.retry_failed(pool, data)


HANDLERS = (
    list_queues,
    show_queue,
    show_stats,
    show_metrics,
    pause_all,
    resume_all,
    pause_queue,
    resume_queue,
    drain_queue,
    clean_queue,
    retry_failed,
)
