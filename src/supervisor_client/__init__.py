"""A small client for programs that hand in jobs: plain and async, over HTTP, a socket or AMQP.

It needs nothing of the supervisor itself, and loads httpx or aio-pika when it first talks to one.
"""

from supervisor_client.awaiting import AsyncClient, AsyncJob, AsyncQueue, AsyncSchedule
from supervisor_client.errors import (
    BadOrderError,
    ChainFailedError,
    ClientError,
    ConflictError,
    JobFailedError,
    NotAllowedError,
    NotOverAmqpError,
    RefusedError,
    StillRunningError,
    TryLaterError,
    UnknownError,
    UnreachableError,
)
from supervisor_client.orders import Options, ScheduleOptions
from supervisor_client.plain import Client, Job, Queue, Schedule

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncQueue",
    "AsyncSchedule",
    "BadOrderError",
    "ChainFailedError",
    "Client",
    "ClientError",
    "ConflictError",
    "Job",
    "JobFailedError",
    "NotAllowedError",
    "NotOverAmqpError",
    "Options",
    "Queue",
    "RefusedError",
    "Schedule",
    "ScheduleOptions",
    "StillRunningError",
    "TryLaterError",
    "UnknownError",
    "UnreachableError",
]
