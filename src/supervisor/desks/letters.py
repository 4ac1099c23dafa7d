"""The desk for dead letters: jobs that failed for good, looked at, sent again, kept or not."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Protocol

import msgspec

from consumers.jobs import Priority, Properties
from consumers.outcome import Failure
from supervisor.core.records import Attempt, Incident, JobRecord

FORMAT = 1  # of an exported line
AT_ONCE = 10_000  # dead letters that one order is about, at the most: it is answered in time

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Said(msgspec.Struct, frozen=True, rename="camel"):
    """All answers: frozen, camelCase on the wire."""


class Chosen(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Which dead letters an order is about: all that fit whatever is said of them.

    ``older`` and ``newer`` are seconds since they failed. ``every``: nothing is said, and all of
    them are meant.
    """

    ids: tuple[str, ...] = ()
    pool: str | None = None
    group: str | None = None
    code: str | None = None
    sender: str | None = msgspec.field(name="from", default=None)
    text: str | None = None
    older: float | None = None
    newer: float | None = None
    every: bool = False
    limit: int | None = None  # at most so many, those that failed first
    dry_run: bool = False  # only say what would happen


class ReplayOrder(Chosen, frozen=True):
    """Which dead letters run again, and how many of them a second."""

    rate: float | None = None  # None: all at once


class EditOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a dead letter is to say instead when it runs again."""

    data: Mapping[str, object]


class Letter(_Said, frozen=True):
    """A dead letter in a list."""

    id: str
    pool: str
    queue: str
    group: str
    code: str
    error: str
    name: str = ""  # its type, where a pool has several
    sender: str = msgspec.field(name="from", default="")
    attempts: int = 0
    crashes: int = 0  # workers it took down
    size: int = 0  # bytes of its body
    created_at: datetime | None = None
    failed_at: datetime | None = None


class LetterPage(_Said, frozen=True):
    """Some dead letters, the newest jobs first; ``nextCursor`` goes on, None on the last page."""

    letters: tuple[Letter, ...]
    next_cursor: str | None = None


class Content(_Said, frozen=True):
    """A body byte for byte: as text, or in base64 where it is none."""

    text: str | None = None
    base64: str | None = None


class LetterCard(_Said, frozen=True):
    """All there is to say of a dead letter."""

    job: JobRecord  # with every attempt
    group: str
    alike: int  # dead letters of its group in its queue, itself included
    body: Content  # as it came, or as it was edited last
    properties: Properties  # as it came
    added: Mapping[str, object]  # headers that we added on its way
    original: Content | None = None  # the body as it first came, if it was edited since
    replay: int | None = None  # the last one it was part of
    deaths: tuple[Incident, ...] = ()  # of workers that had it in hand, the newest first


class ErrorGroup(_Said, frozen=True):
    """Dead letters of one queue whose errors are alike."""

    group: str
    queue: str
    pool: str
    jobs: int
    first: datetime | None
    last: datetime | None
    code: str
    error: str  # of the newest one
    newest: str  # its id


class Share(_Said, frozen=True):
    """How many of the jobs of an order are of one group."""

    pool: str
    group: str
    jobs: int
    error: str  # of one of them


class Replayed(_Said, frozen=True):
    """What an order did, or would do: which jobs run again, the last of them in so many seconds."""

    replay: int | None  # its number, for `undo`; None: nothing was done
    what: str
    jobs: int
    seconds: float = 0.0
    rate: float | None = None
    groups: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()  # what somebody should know before, or afterwards


class Replay(_Said, frozen=True):
    """One replay, and what became of its jobs so far."""

    number: int
    what: str
    created_at: datetime
    jobs: int
    rate: float | None = None
    states: Mapping[str, int] = {}  # of those that were in no later replay
    undone_at: datetime | None = None


class Undone(_Said, frozen=True):
    """How many jobs of a replay are dead letters again, and how many had begun or were changed."""

    replay: int
    jobs: int
    left: int


class Purged(_Said, frozen=True):
    """How many dead letters are gone for good, or would be."""

    what: str
    jobs: int
    groups: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()


class Exported(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A dead letter as one line of a file: all that is needed to have it back as it was."""

    queue: str
    id: str
    pool: str
    body: Content
    properties: Properties
    error: Failure
    failed_at: Moment
    created_at: Moment
    format: int = FORMAT
    started_at: Moment | None = None
    name: str = ""
    priority: Priority = Priority.NORMAL
    sender: str = msgspec.field(name="from", default="")
    noreply: bool = False
    attempts: Count = 0
    crashes: Count = 0
    timeouts: Count = 0
    memory_crashes: Count = 0
    crash: str = ""
    seq: Count = 0
    max_attempts: Count | None = None
    origin: str = ""
    limit_key: str = ""
    parent_queue: str = ""
    parent_id: str = ""
    root_queue: str = ""
    root_id: str = ""
    original: Content | None = None
    history: tuple[Attempt, ...] = ()


class BadLine(_Said, frozen=True):
    """A line that was not taken in, and why."""

    line: int  # the first is 1
    why: str


class TakenIn(_Said, frozen=True):
    """What came of a file: so many are dead letters now, so many were known before."""

    taken: int
    known: int
    refused: tuple[BadLine, ...] = ()


class Letters(Protocol):
    """Who is asked about dead letters. Raises UnknownPoolError, and BadOrderError for nonsense."""

    async def find(self, chosen: Chosen, *, limit: int, after: int | None) -> LetterPage:
        """Return a page of them, the newest jobs first."""

    async def groups(self, chosen: Chosen) -> tuple[ErrorGroup, ...]:
        """Return them by what they died of, the largest group first."""

    async def show(self, job_id: str) -> LetterCard:
        """Return one. Raises UnknownJobError, and WrongStateError if the job has not failed."""

    async def replay(self, order: ReplayOrder) -> Replayed:
        """Have them run again, those that failed first at the head; or say what would happen."""

    async def edit(self, job_id: str, order: EditOrder) -> Replayed:
        """Have one run again with another body; what it said first is kept with it."""

    async def replays(self, limit: int) -> tuple[Replay, ...]:
        """Return what was sent again, the newest first."""

    async def undo(self, number: int) -> Undone:
        """Make what has not begun dead letters again, as they were. Raises UnknownReplayError."""

    async def purge(self, order: Chosen) -> Purged:
        """Throw them away for good, with their history; or say which that would be."""

    def export(self, chosen: Chosen) -> AsyncIterator[bytes]:
        """Yield them as lines of JSON."""

    async def take_in(self, lines: Sequence[bytes]) -> TakenIn:
        """Make dead letters of such lines; what is known already is left as it is."""


def content_of(body: bytes) -> Content:
    """Return bytes so that JSON can say them exactly."""
    try:
        return Content(text=body.decode())
    except UnicodeDecodeError:
        return Content(base64=_as_base64(body))


def body_of(content: Content) -> bytes:
    """Return what ``content_of`` was given.

    Raises:
        ValueError: it holds not just one of both, or no base64.
    """
    match content:
        case Content(text=str(text), base64=None):
            return text.encode()
        case Content(text=None, base64=str(code)):
            return msgspec.json.decode(msgspec.json.encode(code), type=bytes)
        case _:
            raise ValueError("a body must hold either text or base64")


def _as_base64(body: bytes) -> str:
    said: str = msgspec.json.decode(msgspec.json.encode(body))
    return said
