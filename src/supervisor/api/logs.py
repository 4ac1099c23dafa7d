"""Logs over HTTP: the last lines of all processes, and what came since."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.exceptions import ValidationException
from litestar.params import FromQuery, QueryParameter

from supervisor.api.lists import Moment, moment
from supervisor.api.reach import control_of
from supervisor.core.log_lines import LEVELS, Positions, Sought, positions_in
from supervisor.desks.logs import FEW_LINES, MOST_LINES, LogPage
from supervisor.ports import UnknownPageError

_MANY = 50  # workers named

Named = Annotated[str, msgspec.Meta(min_length=1)]


@get("/logs")
async def list_lines(  # noqa: PLR0913, PLR0917 - each is a parameter of the address
    state: State,
    worker: Annotated[list[Named] | None, QueryParameter(max_items=_MANY)] = None,
    level: FromQuery[str] = LEVELS[0],
    job: Annotated[str, QueryParameter(max_length=200)] = "",
    since: Moment = None,
    after: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=0, le=MOST_LINES)] = FEW_LINES,
) -> LogPage:
    """Show the last lines of the log of this supervisor and its workers, in the order of time.

    worker is a worker, a pool or supervisor, and may be repeated; of a worker the supervisor's
    lines about it are shown too. level is the least; since a moment like 2026-11-22T10:00:00Z.
    With the `next` of an answer as after, only what came since is shown: then without limit, but
    in portions, and `more` says that the next one is there. Passwords and tokens are masked.
    """
    if level not in LEVELS:
        message = f"level: must be one of {', '.join(LEVELS)}, is '{level}'"
        raise ValidationException(message)
    wanted = Sought(frozenset(worker or ()), level, job, moment("since", since))
    desk = control_of(state).logs
    if after is None:
        return await desk.last(wanted, limit)
    return await desk.since(_positions(after), wanted)


def _positions(after: str) -> Positions:
    try:
        return positions_in(after)
    except ValueError as error:
        message = f"after: {error}"
        raise UnknownPageError(message) from error


HANDLERS = (list_lines,)
