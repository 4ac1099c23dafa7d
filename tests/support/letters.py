"""A desk for dead letters that only remembers: for tests of the doors."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from consumers.jobs import Priority, Properties
from consumers.outcome import Failure
from supervisor.core.records import Attempt, JobRecord, JobState
from supervisor.desks.letters import (
    BadLine,
    Chosen,
    Content,
    EditOrder,
    ErrorGroup,
    Letter,
    LetterCard,
    LetterPage,
    Purged,
    Replay,
    Replayed,
    ReplayOrder,
    Share,
    TakenIn,
    Undone,
)
from supervisor.ports import BadOrderError, UnknownJobError, UnknownReplayError

AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
GROUP = "exception-0a1b2c3d"
ERROR = "ValueError: row 17 is empty"
LINE = b'{"queue":"cutter_queue","id":"dead-1"}\n'


class FakeLetters:
    """Knows one dead letter, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[Chosen] = []
        self.edited: list[tuple[str, EditOrder]] = []
        self.undone: list[int] = []
        self.lines: list[bytes] = []

    async def find(self, chosen: Chosen, *, limit: int, after: int | None) -> LetterPage:
        self.asked.append(chosen)
        if after is not None:
            return LetterPage(())
        letter = Letter(
            *("dead-1", "cutter", "cutter_queue", GROUP, "exception", ERROR),
            sender="ana",
            attempts=3,
            size=42,
            created_at=AT,
            failed_at=AT,
        )
        return LetterPage((letter,)[:limit], "7")

    async def groups(self, chosen: Chosen) -> tuple[ErrorGroup, ...]:
        self.asked.append(chosen)
        place = (GROUP, "cutter_queue", "cutter")
        return (ErrorGroup(*place, 412, AT, AT, "exception", ERROR, "dead-1"),)

    async def show(self, job_id: str) -> LetterCard:
        if job_id != "dead-1":
            message = f"no job {job_id} in the ledger"
            raise UnknownJobError(message)
        job = JobRecord(
            id=job_id,
            pool="cutter",
            queue="cutter_queue",
            state=JobState.FAILED,
            priority=Priority.NORMAL,
            data={"filePath": "a.mp4"},
            attempts=1,
            error=Failure(ERROR, code="exception"),
            history=(Attempt(1, "cutter-1", AT, AT, ERROR, "exception", "Traceback ..."),),
        )
        properties = Properties(message_id=job_id, headers={"mine": "yes"})
        body = Content(text='{"filePath":"a.mp4"}')
        return LetterCard(job, GROUP, 412, body, properties, {"x-job-seq": 2})

    async def replay(self, order: ReplayOrder) -> Replayed:
        self.asked.append(order)
        share = Share("cutter", GROUP, 412, ERROR)
        number = None if order.dry_run else 3
        return Replayed(number, f"group {GROUP}", 412, 41.1, order.rate, (share,), ("a note",))

    async def edit(self, job_id: str, order: EditOrder) -> Replayed:
        await self.show(job_id)
        if "filePath" not in order.data:
            message = "data: filePath is missing"
            raise BadOrderError(message)
        self.edited.append((job_id, order))
        return Replayed(4, f"job {job_id}, edited", 1)

    async def replays(self, limit: int) -> tuple[Replay, ...]:
        states = {"pending": 400, "completed": 12}
        return (Replay(3, f"group {GROUP}", AT, 412, 10.0, states),)[:limit]

    async def undo(self, number: int) -> Undone:
        if number != 3:
            message = f"there is no replay {number}"
            raise UnknownReplayError(message)
        self.undone.append(number)
        return Undone(number, 400, 12)

    async def purge(self, order: Chosen) -> Purged:
        self.asked.append(order)
        return Purged(f"group {GROUP}", 412, (Share("cutter", GROUP, 412, ERROR),))

    async def export(self, chosen: Chosen) -> AsyncIterator[bytes]:
        self.asked.append(chosen)
        for _ in range(min(chosen.limit or 3, 3)):
            yield LINE

    async def take_in(self, lines: Sequence[bytes]) -> TakenIn:
        found = [line for line in lines if line.strip()]
        self.lines += found
        bad = tuple(BadLine(n, "no JSON") for n, line in enumerate(lines, 1) if b"broken" in line)
        return TakenIn(len(found) - len(bad), 0, bad)
