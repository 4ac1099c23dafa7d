"""``cache:warm``: pages of a service are asked for once, so that the next reader finds them ready.

Options: those of ``service.py``. A page that fails does not keep the others cold; if all of them
fail, so does the job.
"""

from typing import Annotated

import msgspec

from examples.nine_queues.service import Call, call, check_host
from workers.processor import Job, JobContext, Reject, Result, Retry
from workers.registry import read

__all__ = ["Request", "check_host", "handle"]


class Request(msgspec.Struct):
    """What a job says."""

    paths: Annotated[list[str], msgspec.Meta(min_length=1, max_length=10_000)]


async def handle(job: Job, context: JobContext) -> Result:
    """Ask for every page, and return how many came."""
    paths = read(Request, job.data).paths
    cold: list[str] = []
    for number, path in enumerate(paths, 1):
        try:
            await call(job, context, Call("GET", path))
        except (Reject, Retry) as error:
            if len(cold) + 1 == len(paths):
                raise
            cold.append(f"{path}: {error}")
        context.progress(100 * number / len(paths), path)
    return Result(data={"warm": len(paths) - len(cold)}, warnings=tuple(cold))
