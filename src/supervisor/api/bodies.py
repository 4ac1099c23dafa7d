"""Bodies, read to the letter before their routes see them; OPTIONS, answered before it is routed.

The framework would take ``"5"`` for 5 and 0 for false, as it must in addresses. It reads them once
more for the routes: what was read here is not what was sent, where a job's own data says 5.0.
"""

from typing import get_args

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from supervisor.api import methods
from supervisor.api.misfits import absent, unread
from supervisor.api.wire import Problem

_BODY = "data"  # the framework's name for it


async def examine(request: Request[object, object, State]) -> Response[None] | None:
    """Answer what needs no route; None: the route has a body that fits, or takes none.

    Raises:
        HTTPException: saying what does not fit.
    """
    if answer := methods.may(request):
        return answer
    taken = request.route_handler.parsed_fn_signature.parameters.get(_BODY)
    if taken is None:
        return None
    problem = _misfit(await request.body(), taken.annotation)
    if problem is not None:
        raise HTTPException(status_code=problem.status, detail=problem.detail)
    return None


def _misfit(body: bytes, kind: object) -> Problem | None:
    if not body:
        return None if type(None) in get_args(kind) else absent()
    try:
        msgspec.convert(_READER.decode(body), kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        return unread(error, kind)
    return None


def _number(text: str) -> float:
    found = float(text)
    return int(found) if found.is_integer() else found


_READER = msgspec.json.Decoder(float_hook=_number)  # 5.0 is a whole number, in JSON as elsewhere
