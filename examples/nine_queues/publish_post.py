"""``scheduled_publish``: a post that goes out when its job runs; when that is, the job says.

Hand it in with a delay, or by a schedule. Options: those of ``service.py``.
"""

from typing import Annotated

import msgspec

from examples.nine_queues.service import Call, call, check_host, data_of
from workers.processor import Job, JobContext, Result
from workers.registry import read

__all__ = ["Request", "check_host", "handle"]


class Request(msgspec.Struct):
    """What a job says."""

    content: Annotated[str, msgspec.Meta(min_length=1)]
    channel: str = "blog"


async def handle(job: Job, context: JobContext) -> Result:
    """Publish one post; the key of the call keeps a second attempt from publishing it twice."""
    request = read(Request, job.data)
    body = {"content": request.content, "channel": request.channel}
    answer = await call(job, context, Call("POST", "/posts", body))
    return Result(data={"post": data_of(answer).get("id")})
