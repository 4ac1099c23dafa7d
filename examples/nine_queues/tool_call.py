"""A job posted to a service as it is: tool calls, webhooks, whatever has no type of its own.

Options: those of ``service.py``; ``path`` (``/``), to which the job's ``path`` is joined.
"""

import msgspec

from examples.nine_queues.service import Call, call, check_host
from workers.processor import Job, JobContext, Result
from workers.registry import read

__all__ = ["Request", "check_host", "handle"]


class Request(msgspec.Struct):
    """What a job may say; all of its data is posted."""

    path: str = ""


async def handle(job: Job, context: JobContext) -> Result:
    """Post one job and keep what was answered, if it is JSON."""
    path = read(Request, job.data).path or str(context.options.get("path", "/"))
    answer = await call(job, context, Call("POST", path, dict(job.data)))
    is_json = answer.headers.get("Content-Type", "").startswith("application/json")
    kept = {"answer": answer.json()} if is_json and answer.content else {}
    return Result(data={"status": answer.status_code} | kept)
