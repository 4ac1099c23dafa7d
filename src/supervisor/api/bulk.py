"""Many jobs in one request: each is judged by itself, and all that are accepted are stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)

from supervisor.api.misfits import too_deep, unread
from supervisor.api.permits import FOR_SUBMITTERS
from supervisor.api.reach import caller_of, control_of
from supervisor.api.wire import Problem, problem_of
from supervisor.ports import BadOrderError, ControlError, Entered, Order

PATH = "/api/jobs/bulk"
MOST = 1000  # jobs in one request
LINES = "application/x-ndjson"  # one job a line


class BulkItem(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What came of one job: 202 it is stored, 200 it was there before, else a problem."""

    index: int  # in the request, from 0
    status: int
    id: str = ""
    problem: Problem | None = None


class BulkAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What came of all of them."""

    accepted: int
    refused: int
    items: tuple[BulkItem, ...]


@dataclass
class _TwoKinds(Operation):
    """The operation with its kinds of bodies; they are not read by the framework."""

    def __post_init__(self) -> None:
        order = Reference("#/components/schemas/Order")
        # Each is judged by itself: what is no order is refused in the answer, not as a request.
        item = Schema(any_of=[order, Schema(description="Anything else is refused by itself")])
        array = Schema(type=OpenAPIType.ARRAY, items=item, min_items=1, max_items=MOST)
        lines = Schema(type=OpenAPIType.STRING, pattern=r"\S", description="One job a line")
        content = {"application/json": OpenAPIMediaType(array), LINES: OpenAPIMediaType(lines)}
        self.request_body = RequestBody(content, required=True)


@post(
    "/jobs/bulk",
    operation_class=_TwoKinds,
    status_code=HTTPStatus.ACCEPTED,
    opt=FOR_SUBMITTERS,
    responses={
        207: ResponseSpec(BulkAnswer, description="Some were refused", generate_examples=False)
    },
)
async def create_jobs(request: Request[Any, Any, State], state: State) -> Response[BulkAnswer]:
    """Take many jobs, as a JSON array or one a line (application/x-ndjson).

    All that are accepted are stored when this answers. 207 says that some were refused: each item
    has a status of its own, and a problem if it was refused.
    """
    found = list(_orders(await request.body(), request.headers.get("content-type", "")))
    orders = [order for order in found if isinstance(order, Order)]
    origin = caller_of(request).origin
    answers = iter(await control_of(state).submit_many(orders, origin=origin))
    items = tuple(
        _item(index, next(answers) if isinstance(order, Order) else order)
        for index, order in enumerate(found)
    )
    refused = sum(item.problem is not None for item in items)
    answer = BulkAnswer(len(items) - refused, refused, items)
    status = HTTPStatus.MULTI_STATUS if refused else HTTPStatus.ACCEPTED
    return Response(content=answer, status_code=status, media_type=MediaType.JSON)


HANDLERS = (create_jobs,)


def _orders(body: bytes, kind: str) -> Iterator[Order | Problem]:
    parts = _lines(body) if "ndjson" in kind.lower() else _array(body)
    if not 0 < len(parts) <= MOST:
        message = f"1 to {MOST:,} jobs can be taken at once, these are {len(parts):,}"
        raise BadOrderError(message)
    for part in parts:
        try:
            yield msgspec.json.decode(part, type=Order)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield unread(error, Order)
        except RecursionError:
            yield too_deep()


def _array(body: bytes) -> Sequence[msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"the body is no JSON array of jobs: {error}"
        raise HTTPException(status_code=HTTPStatus.BAD_REQUEST, detail=detail) from error


def _lines(body: bytes) -> Sequence[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def _item(index: int, answer: Entered | ControlError | Problem) -> BulkItem:
    match answer:
        case Entered(id=job_id, is_new=is_new):
            status = HTTPStatus.ACCEPTED if is_new else HTTPStatus.OK
            return BulkItem(index, status, job_id)
        case Problem() as found:
            problem = msgspec.structs.replace(found, instance=PATH)
            return BulkItem(index, problem.status, problem=problem)
        case refusal:
            return _item(index, problem_of(refusal))
