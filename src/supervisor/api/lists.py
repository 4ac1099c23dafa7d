"""Lists of jobs over HTTP: filtered, sorted, in pages."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.exceptions import ValidationException
from litestar.params import FromQuery, QueryParameter

from consumers.jobs import NO_NUL, NUL
from supervisor.api.reach import control_of
from supervisor.api.wire import JobList
from supervisor.core.records import JobFilter, JobState

_CURSOR = re.compile(r"([no])(\d{1,18})")
_SORTS = ("newest", "oldest")

Text = Annotated[str | None, QueryParameter(max_length=200)]
Moment = FromQuery[datetime | None]


@get("/jobs")
async def list_jobs(  # noqa: PLR0913, PLR0917 - each is a parameter of the address
    request: Request[Any, Any, State],
    state: State,
    pool: Text = None,
    named_state: Annotated[str | None, QueryParameter(name="state")] = None,
    name: Text = None,
    sender: Annotated[str | None, QueryParameter(name="from", max_length=200)] = None,
    since: Moment = None,
    until: Moment = None,
    group: Text = None,
    sort: FromQuery[str] = "newest",
    cursor: Text = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> Response[JobList]:
    """List jobs, the newest first or the oldest, of those that fit all that is asked.

    since and until are moments at which jobs were entered, like 2026-11-22T10:00:00Z; group is a
    group of errors. The next page is at the address of the Link header.
    """
    is_oldest = _sorting(sort)
    _check_words({"pool": pool, "name": name, "from": sender, "group": group})
    wanted = JobFilter(
        pool=pool,
        state=_job_state(named_state),
        limit=limit,
        name=name,
        sender=sender,
        since=_aware("since", since),
        until=_aware("until", until),
        group=group,
        oldest=is_oldest,
        after=None if cursor is None else _number(cursor, oldest=is_oldest),
    )
    page = await control_of(state).page(wanted)
    following = None if page.next_number is None else _cursor(page.next_number, oldest=is_oldest)
    headers = {} if following is None else {"Link": _link(request, following)}
    return Response(
        content=JobList(page.jobs, following), headers=headers, media_type=MediaType.JSON
    )


HANDLERS = (list_jobs,)


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


def _aware(name: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        message = f"{name}: must say its time zone, like 2026-11-22T10:00:00Z"
        raise ValidationException(message)
    return moment


def _cursor(number: int, *, oldest: bool) -> str:
    words = f"{'o' if oldest else 'n'}{number}"
    return base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")


def _number(cursor: str, *, oldest: bool) -> int:
    """Return where a page goes on.

    Raises:
        ValidationException: we gave nobody such a cursor, or not for this order.
    """
    try:
        words = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        words = ""
    match = _CURSOR.fullmatch(words)
    if match is None or match[1] != ("o" if oldest else "n"):
        message = "cursor: is none that this list gave; take nextCursor as it is, and the same sort"
        raise ValidationException(message)
    return int(match[2])


def _link(request: Request[Any, Any, State], cursor: str) -> str:
    given = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
    return f'<{request.url.path}?{urlencode([*given, ("cursor", cursor)])}>; rel="next"'
