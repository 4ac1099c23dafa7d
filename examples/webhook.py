"""A processor of one's own: it posts each job's data as JSON to a URL.

In supervisor.yaml::

    workers:
      hooks:
        queue: hooks_queue
        processor: examples.webhook          # or examples.webhook:handle
        retry: {attempts: 5, backoff: exponential, delay: 1s}
        options: {url: https://example.org/hook, timeout: 10}

A job may bring its own address: ``{"url": "https://...", "payload": {...}}``; without ``payload``
the whole body is posted. The receiver sees the job's id as ``Idempotency-Key``, the same on every
attempt, and answers 2xx when it has the job, 4xx when it never wants it, 5xx to be asked again.
"""

from urllib.parse import urlsplit

import httpx
import msgspec

from workers.processor import Job, JobContext, Reject, Result, Retry

LATER = frozenset({408, 425, 429})  # client errors that are about time, not about the job
TIMEOUT = 10.0  # seconds


class Request(msgspec.Struct):
    """What a job may say; anything else in its body is posted along with it."""

    url: str | None = None
    payload: dict[str, object] | None = None


async def handle(job: Job, context: JobContext) -> Result:
    """Post one job and return the status that took it.

    Raises:
        Reject: no address to post to, or an answer that will not change.
        Retry: no connection, a server error, or a request for patience.
    """
    request = msgspec.convert(job.data, Request)
    url = request.url or str(context.options.get("url", ""))
    if urlsplit(url).scheme not in {"http", "https"}:
        says = f"url: {url!r} is not an http address"
        raise Reject(says, hint="set options.url or the job's")
    body = request.payload if request.payload is not None else job.data
    patience = float(str(context.options.get("timeout", TIMEOUT)))
    async with httpx.AsyncClient(timeout=patience) as client:
        answer = await _post(client, url, body, job)
    return _judged(answer, url)


async def _post(client: httpx.AsyncClient, url: str, body: object, job: Job) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{job.queue}/{job.id}"}
    try:
        return await client.post(url, content=msgspec.json.encode(body), headers=headers)
    except httpx.HTTPError as error:
        says = f"{_host(url)} could not be reached: {str(error) or type(error).__name__}"
        raise Retry(says, code="network") from error


def _judged(answer: httpx.Response, url: str) -> Result:
    says = f"{_host(url)} answered {answer.status_code} {answer.reason_phrase}"
    if answer.is_success:
        return Result(data={"status": answer.status_code})
    if answer.status_code >= 500 or answer.status_code in LATER:
        raise Retry(says, code="server_error", after=_patience(answer))
    raise Reject(says, code="refused", hint="the receiver will not change its mind: fix the job")


def _patience(answer: httpx.Response) -> float | None:
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isascii() and asked.isdigit() else None


def _host(url: str) -> str:
    """Return the part of an address that is safe to show: the rest may carry a token."""
    return urlsplit(url).hostname or "the receiver"
