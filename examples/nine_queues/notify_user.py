"""``user:notification``: a notification handed to the service that knows the users' devices.

Options: those of ``service.py``; ``path`` (``/notifications``).
"""

from typing import Literal

import msgspec

from examples.nine_queues.service import Call, call, check_host
from workers.processor import Job, JobContext, Result
from workers.registry import read

__all__ = ["Request", "check_host", "handle"]


class Request(msgspec.Struct, rename="camel"):
    """What a job says; without ``user_id`` it is for the job's own sender."""

    message: str
    user_id: str = ""
    channel: Literal["push", "sms", "inapp"] = "push"


async def handle(job: Job, context: JobContext) -> Result:
    """Hand one notification over."""
    request = read(Request, job.data)
    body = {
        "userId": request.user_id or job.sender,
        "message": request.message,
        "channel": request.channel,
    }
    path = str(context.options.get("path", "/notifications"))
    answer = await call(job, context, Call("POST", path, body))
    return Result(data={"status": answer.status_code})
