"""One HTTP service with an address that is configured: how it is called, what its answers mean.

Options of the pool: ``base_url`` (needed), ``token`` (sent as a bearer token), ``timeout`` in
seconds. Every call carries the job's id as ``Idempotency-Key``, the same on every attempt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from workers.processor import Host, HostError, Job, JobContext, Reject, Retry

LATER = frozenset({408, 425, 429})  # client errors that are about time, not about the job
TIMEOUT = 30.0  # seconds
LONGEST_WAIT = 3600.0  # seconds that a service may ask for


@dataclass(frozen=True, slots=True)
class Call:
    """One request: ``path`` is joined to the base URL, and never leaves it."""

    method: str
    path: str
    body: object = None
    step: str = ""  # tells several calls of one job apart


def check_host(host: Host) -> None:
    """Hold the worker while no address is configured."""
    if urlsplit(_base(host.options)).scheme not in {"http", "https"}:
        says = f"options.base_url: {_base(host.options)!r} is no http address"
        raise HostError(says, code="no_address", hint="set options.base_url of the pool")


async def call(job: Job, context: JobContext, what: Call) -> httpx.Response:
    """Return the answer to one request.

    Raises:
        Reject: the service will never want this, or the path leads elsewhere.
        Retry: no connection, a server error, or a request for patience (``Retry-After``).
    """
    url = address(context.options, what.path)
    headers = {"Idempotency-Key": "/".join(filter(None, (job.queue, job.id, what.step)))}
    if token := context.options.get("token"):
        headers["Authorization"] = f"Bearer {token}"
    patience = float(str(context.options.get("timeout", TIMEOUT)))
    try:
        async with httpx.AsyncClient(timeout=patience, trust_env=False) as client:
            answer = await client.request(what.method, url, json=what.body, headers=headers)
    except httpx.HTTPError as error:
        says = f"{_host(url)} could not be reached: {str(error) or type(error).__name__}"
        raise Retry(says, code="network") from error
    return _judged(answer, url)


def data_of(answer: httpx.Response) -> Mapping[str, object]:
    """Return the JSON object that was answered. Raises Retry for anything else."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        says = "the service answered something else than a JSON object"
        raise Retry(says, code="bad_answer")
    return found


def address(options: Mapping[str, object], path: str) -> str:
    """Return where a path leads. Raises Reject when that is not below the base URL."""
    base = _base(options).rstrip("/") + "/"
    url = urljoin(base, path.lstrip("/"))
    steps = unquote(path).replace("\\", "/").split("/")
    if not url.startswith(base) or ".." in steps:
        says = f"{path!r:.200} leads away from the configured service"
        raise Reject(says, code="elsewhere", hint="name a path of that service")
    return url


def _base(options: Mapping[str, object]) -> str:
    return str(options.get("base_url", ""))


def _judged(answer: httpx.Response, url: str) -> httpx.Response:
    if answer.is_success:
        return answer
    says = f"{_host(url)} answered {answer.status_code} {answer.reason_phrase}"
    if answer.status_code >= 500 or answer.status_code in LATER:
        raise Retry(says, code="server_error", after=_patience(answer))
    raise Reject(says, code="refused", hint="the service will not change its mind: fix the job")


def _patience(answer: httpx.Response) -> float | None:
    asked = answer.headers.get("Retry-After", "")
    is_number = asked.isascii() and asked.isdigit()
    return min(float(asked), LONGEST_WAIT) if is_number else None


def _host(url: str) -> str:
    """Return the part of an address that is safe to show."""
    return urlsplit(url).hostname or "the service"
