"""Dead letters over HTTP: listed, grouped, shown, sent again, taken back, kept, thrown away."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from supervisor.api.lists import Text
from supervisor.api.reach import control_of, named
from supervisor.desks.letters import (
    Chosen,
    EditOrder,
    ErrorGroup,
    LetterCard,
    LetterPage,
    Purged,
    Replay,
    Replayed,
    ReplayOrder,
    TakenIn,
    Undone,
)
from supervisor.ports import BadOrderError, UnknownPageError, UnknownReplayError

LINES = "application/x-ndjson"  # one dead letter a line
MOST_LINES = 1_000  # in one request
OK = HTTPStatus.OK

_DIGITS = re.compile(r"[0-9]{1,18}")  # of numbers that the ledger can have given
Seconds = FromQuery[float | None]


def choose(  # noqa: PLR0913, PLR0917 - each is a parameter of the address
    pool: Text = None,
    group: Text = None,
    code: Text = None,
    sender: Annotated[str | None, QueryParameter(name="from", max_length=200)] = None,
    text: Text = None,
    older: Seconds = None,
    newer: Seconds = None,
) -> Chosen:
    """Return which dead letters are asked for; older and newer are seconds since they failed."""
    return Chosen(
        pool=pool, group=group, code=code, sender=sender, text=text, older=older, newer=newer
    )


def gather(  # noqa: PLR0913, PLR0917 - each is a parameter of the address
    pool: Text = None,
    group: Text = None,
    code: Text = None,
    sender: Annotated[str | None, QueryParameter(name="from", max_length=200)] = None,
    older: Seconds = None,
    newer: Seconds = None,
) -> Chosen:
    """Return of which dead letters the groups are asked for."""
    return Chosen(pool=pool, group=group, code=code, sender=sender, older=older, newer=newer)


_CHOOSES = {"chosen": Provide(choose, sync_to_thread=False)}
_GATHERS = {"chosen": Provide(gather, sync_to_thread=False)}
Which = NamedDependency[Chosen]


@dataclass
class _LinesOperation(Operation):
    """The operation with its kinds of bodies; they are not read by the framework."""

    def __post_init__(self) -> None:
        lines = Schema(type=OpenAPIType.STRING, description="One dead letter a line, as exported")
        # What is none is refused by its line, in the answer.
        letter = Schema(description="A dead letter, as exported")
        array = Schema(type=OpenAPIType.ARRAY, items=letter, max_items=MOST_LINES)
        content = {LINES: OpenAPIMediaType(lines), "application/json": OpenAPIMediaType(array)}
        self.request_body = RequestBody(content, required=True)


@get("/letters", dependencies=_CHOOSES)
async def list_letters(
    state: State,
    chosen: Which,
    cursor: Text = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> LetterPage:
    """List dead letters, the newest jobs first; nextCursor as cursor asks for the next page."""
    after = _number(cursor)
    return await control_of(state).letters.find(chosen, limit=limit, after=after)


@get("/letters/groups", dependencies=_GATHERS)
async def list_groups(state: State, chosen: Which) -> tuple[ErrorGroup, ...]:
    """List what dead letters died of: errors that are alike are one group, the largest first."""
    return await control_of(state).letters.groups(chosen)


@get("/letters/export", dependencies=_CHOOSES, media_type=LINES)
async def export_letters(
    state: State,
    chosen: Which,
    limit: Annotated[int | None, QueryParameter(ge=1, le=100_000)] = None,
) -> Stream:
    """Give dead letters as lines of JSON (application/x-ndjson), bodies byte for byte."""
    found = msgspec.structs.replace(chosen, limit=limit)
    lines = control_of(state).letters.export(found)
    # The first is fetched before anything is answered: what is refused is refused in the status.
    first = await anext(lines, b"")
    return Stream(_after(first, lines), media_type=LINES)


@post("/letters/import", operation_class=_LinesOperation, status_code=OK)
async def import_letters(request: Request[Any, Any, State], state: State) -> TakenIn:
    """Make dead letters of exported lines, or of an array of them.

    Jobs that are known are left as they are. What is refused is named by its line.
    """
    lines = _lines(await request.body(), request.headers.get("content-type", ""))
    if len(lines) > MOST_LINES:
        message = f"{MOST_LINES:,} lines can be taken in at once, these are {len(lines):,}"
        raise BadOrderError(message)
    return await control_of(state).letters.take_in(lines)


@post("/letters/replay", status_code=HTTPStatus.ACCEPTED)
async def replay_letters(data: JSONBody[ReplayOrder], state: State) -> Replayed:
    """Have dead letters run again, at a rate if one is given; dryRun only says which."""
    return await control_of(state).letters.replay(data)


@post("/letters/purge", status_code=OK)
async def purge_letters(data: JSONBody[Chosen], state: State) -> Purged:
    """Throw dead letters away for good, with their history; dryRun only says which."""
    return await control_of(state).letters.purge(data)


@get("/letters/replays")
async def list_replays(
    state: State, limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 20
) -> tuple[Replay, ...]:
    """List what was sent again, the newest first, and what became of it."""
    return await control_of(state).letters.replays(limit)


@post("/letters/replays/{number:str}/undo", status_code=OK)
async def undo_replay(number: FromPath[str], state: State) -> Undone:
    """Make those jobs of a replay dead letters again that have not begun, as they were."""
    if not _DIGITS.fullmatch(number):
        message = f"there is no replay {named(number)[:40]}: a replay is called by its number"
        raise UnknownReplayError(message)
    return await control_of(state).letters.undo(int(number))


@get("/letters/{job_id:str}")
async def show_letter(job_id: FromPath[str], state: State) -> LetterCard:
    """Show a dead letter: its bytes as they came, every attempt, and which workers it took down."""
    return await control_of(state).letters.show(named(job_id))


@post("/letters/{job_id:str}/edit", status_code=HTTPStatus.ACCEPTED)
async def edit_letter(job_id: FromPath[str], data: JSONBody[EditOrder], state: State) -> Replayed:
    """Have a dead letter run again with other data; what it said first is kept with it."""
    return await control_of(state).letters.edit(named(job_id), data)


HANDLERS = (
    *(list_letters, list_groups, export_letters, import_letters, replay_letters, purge_letters),
    *(list_replays, undo_replay, show_letter, edit_letter),
)


def _lines(body: bytes, kind: str) -> Sequence[bytes]:
    if "ndjson" in kind.lower():
        return body.removesuffix(b"\n").split(b"\n")
    try:
        return [bytes(each) for each in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"the body is no JSON array of dead letters: {error}"
        raise HTTPException(status_code=HTTPStatus.BAD_REQUEST, detail=detail) from error


async def _after(first: bytes, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for line in lines:
        yield line


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not _DIGITS.fullmatch(cursor):
        message = "cursor: is none that this list gave; take nextCursor as it is"
        raise UnknownPageError(message)
    return int(cursor)
