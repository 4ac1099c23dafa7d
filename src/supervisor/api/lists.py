"""Lists of jobs over HTTP: filtered, sorted, in pages."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.exceptions import ValidationException
from litestar.params import FromPath, FromQuery, QueryParameter

from consumers.jobs import NO_NUL, NUL
from supervisor.api.jobs import AnyRequest, visible
from supervisor.api.permits import FOR_SUBMITTERS
from supervisor.api.reach import control_of, named
from supervisor.api.wire import JobList
from supervisor.core.records import JobFilter, JobState, Relative
from supervisor.ports import UnknownPageError

_CURSOR = re.compile(r"([no])(\d{1,18})")
_SORTS = ("newest", "oldest")

Text = Annotated[str | None, QueryParameter(max_length=200)]
Moment = FromQuery[str | None]


@get("/jobs")
async def list_jobs(  # noqa: PLR0913, PLR0917 - each is a parameter of the address
    request: AnyRequest,
    state: State,
    pool: Text = None,
    named_state: Annotated[str | None, QueryParameter(name="state")] = None,
    name: Text = None,
    sender: Annotated[str | None, QueryParameter(name="from", max_length=200)] = None,
    since: Moment = None,
    until: Moment = None,
    group: Text = None,
    root: Text = None,
    parent: Text = None,
    sort: FromQuery[str] = "newest",
    cursor: Text = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> Response[JobList]:
    """List jobs, the newest first or the oldest, of those that fit all that is asked.

    since and until are moments at which jobs were entered, like 2026-11-22T10:00:00Z; group is a
    group of errors. root is a job of whose chain they are, parent one that they follow. The next
    page is at the address of the Link header.
    """
    is_oldest = _sorting(sort)
    _check_words({"pool": pool, "name": name, "from": sender, "group": group})
    _check_words({"root": root, "parent": parent})
    wanted = JobFilter(
        pool=pool,
        state=_job_state(named_state),
        limit=limit,
        name=name,
        sender=sender,
        since=moment("since", since),
        until=moment("until", until),
        group=group,
        root=await _first_of(state, root),
        parent=await _key_of(state, parent),
        oldest=is_oldest,
        after=None if cursor is None else _number(cursor, oldest=is_oldest),
    )
    return await _page(request, state, wanted)


@get("/jobs/{job_id:str}/children", opt=FOR_SUBMITTERS)
async def list_children(
    request: AnyRequest,
    state: State,
    job_id: FromPath[str],
    cursor: Text = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> Response[JobList]:
    """List the jobs that followed one, the oldest first; they are made of its result.

    The next page is at the address of the Link header.
    """
    job = await visible(request, state, named(job_id))
    after = None if cursor is None else _number(cursor, oldest=True)
    parent = Relative(job.queue, job.id)
    wanted = JobFilter(parent=parent, limit=limit, oldest=True, after=after)
    return await _page(request, state, wanted)


HANDLERS = (list_jobs, list_children)


async def _page(request: AnyRequest, state: State, wanted: JobFilter) -> Response[JobList]:
    page = await control_of(state).page(wanted)
    number = page.next_number
    following = None if number is None else _cursor(number, oldest=wanted.oldest)
    headers = {} if following is None else {"Link": _link(request, following)}
    return Response(
        content=JobList(page.jobs, following), headers=headers, media_type=MediaType.JSON
    )


async def _key_of(state: State, job_id: str | None) -> Relative | None:
    """Return the whole name of a job. Raises UnknownJobError."""
    if job_id is None:
        return None
    job = await control_of(state).job(job_id)
    return Relative(job.queue, job.id)


async def _first_of(state: State, job_id: str | None) -> Relative | None:
    """Return the first job of the chain that a job is of. Raises UnknownJobError."""
    if job_id is None:
        return None
    job = await control_of(state).job(job_id)
    return job.root or Relative(job.queue, job.id)


def _job_state(name: str | None) -> JobState | None:
    try:
        return None if name is None else JobState(name)
    except ValueError as error:
        known = ", ".join(each.value for each in JobState)
        message = f"state: must be one of {known}, is '{name}'"
        raise ValidationException(message) from error


def _check_words(words: Mapping[str, str | None]) -> None:
    for name, word in words.items():
        if word is not None and NUL in word:
            message = f"{name}: {NO_NUL}"
            raise ValidationException(message)


def _sorting(name: str) -> bool:
    if name not in _SORTS:
        message = f"sort: must be newest or oldest, is '{name}'"
        raise ValidationException(message)
    return name == "oldest"


def moment(name: str, text: str | None) -> datetime | None:
    """Return the moment that a parameter says; it says its zone. Raises ValidationException."""
    if text is None:
        return None
    try:
        found = msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        message = f"{name}: must be a moment like 2026-11-22T10:00:00Z, is {text[:40]!r}"
        raise ValidationException(message) from error
    if found.tzinfo is None:
        message = f"{name}: must say its time zone, like 2026-11-22T10:00:00Z"
        raise ValidationException(message)
    return found


def _cursor(number: int, *, oldest: bool) -> str:
    words = f"{'o' if oldest else 'n'}{number}"
    return base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")


def _number(cursor: str, *, oldest: bool) -> int:
    """Return where a page goes on.

    Raises:
        UnknownPageError: we gave nobody such a cursor, or not for this order.
    """
    try:
        words = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        words = ""
    match = _CURSOR.fullmatch(words)
    if match is None or match[1] != ("o" if oldest else "n"):
        message = "cursor: is none that this list gave; take nextCursor as it is, and the same sort"
        raise UnknownPageError(message)
    return int(match[2])


def _link(request: AnyRequest, cursor: str) -> str:
    given = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
    return f'<{request.url.path}?{urlencode([*given, ("cursor", cursor)])}>; rel="next"'
