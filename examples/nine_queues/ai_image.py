"""``ai_image_generation``: a prompt to an image service; the picture is kept in the media folder.

Options: those of ``service.py``; ``model`` for jobs that name none.
"""

import base64
import binascii
import hashlib
from typing import Annotated

import msgspec

from examples.nine_queues.places import whole
from examples.nine_queues.service import Call, call, check_host, data_of
from workers.processor import Job, JobContext, Result, Retry
from workers.registry import read

__all__ = ["Request", "check_host", "handle"]


class Request(msgspec.Struct):
    """What a job says."""

    prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]
    model: str = ""
    size: Annotated[str, msgspec.Meta(pattern=r"^\d{2,4}x\d{2,4}\Z")] = "1024x1024"


class _Picture(msgspec.Struct):
    b64_json: str


class _Pictures(msgspec.Struct):
    data: Annotated[list[_Picture], msgspec.Meta(min_length=1)]


async def handle(job: Job, context: JobContext) -> Result:
    """Return where the picture is; an answer without one is tried again."""
    request = read(Request, job.data)
    body = {
        "model": request.model or context.options.get("model", ""),
        "prompt": request.prompt,
        "size": request.size,
        "response_format": "b64_json",
    }
    answer = await call(job, context, Call("POST", "/images/generations", body))
    try:
        found = msgspec.convert(data_of(answer), _Pictures)
        picture = base64.b64decode(found.data[0].b64_json, validate=True)
    except (msgspec.ValidationError, binascii.Error) as error:
        says = f"the service answered without a picture: {error}"
        raise Retry(says, code="bad_answer") from error
    # Ids may be alike in two queues, and need not be fit for a file's name.
    mark = hashlib.sha256(f"{job.queue}\n{job.id}".encode()).hexdigest()[:32]
    name = f"images/{mark}.png"
    with whole(context, name) as path:
        path.write_bytes(picture)
    return Result(data={"file": name, "size": len(picture)})
