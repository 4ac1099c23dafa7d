"""A workflow: calls to a service one after another, each with what the one before answered.

Options: those of ``service.py``. What a step answered is kept in the log of the job. An attempt
begins anew with the first step: the service tells by the key of the call that it has done it.
"""

from typing import Annotated

import msgspec

from examples.nine_queues.service import Call, call, check_host, data_of
from workers.processor import Job, JobContext, Result
from workers.registry import read

__all__ = ["Request", "check_host", "handle"]


class Step(msgspec.Struct):
    """One call."""

    path: str
    body: dict[str, object] = {}


class Request(msgspec.Struct):
    """What a job says."""

    steps: Annotated[list[Step], msgspec.Meta(min_length=1, max_length=100)]


async def handle(job: Job, context: JobContext) -> Result:
    """Make every call, and return what the last one answered."""
    steps = read(Request, job.data).steps
    said: dict[str, object] = {}
    for number, step in enumerate(steps, 1):
        body = {**step.body, "previous": said}
        answer = await call(job, context, Call("POST", step.path, body, step=str(number)))
        said = dict(data_of(answer))
        context.log(f"step {number}, {step.path}: {answer.status_code}")
        context.progress(100 * number / len(steps), f"step {number} of {len(steps)}")
    return Result(data={"steps": len(steps), "answer": said})
