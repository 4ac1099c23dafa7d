"""``ai_text_generation``: a prompt to a chat completion service, the common shape of such APIs.

Options: those of ``service.py``; ``model`` for jobs that name none.
"""

from typing import Annotated

import msgspec

from examples.nine_queues.service import Call, call, check_host, data_of
from workers.processor import Job, JobContext, Result, Retry
from workers.registry import read

__all__ = ["Request", "check_host", "handle"]


class Request(msgspec.Struct, rename="camel"):
    """What a job says."""

    prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=100_000)]
    model: str = ""
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: dict[str, object] = {}


async def handle(job: Job, context: JobContext) -> Result:
    """Return the text that was generated; an answer without one is tried again."""
    request = read(Request, job.data)
    body = {
        "model": request.model or context.options.get("model", ""),
        "max_tokens": request.max_tokens,
        "messages": [{"role": "user", "content": request.prompt}],
    }
    answer = await call(job, context, Call("POST", "/chat/completions", body))
    try:
        found = msgspec.convert(data_of(answer), _Completion)
    except msgspec.ValidationError as error:
        says = f"the service answered without a text: {error}"
        raise Retry(says, code="bad_answer") from error
    return Result(data={"text": found.choices[0].message.content, "usage": found.usage})
