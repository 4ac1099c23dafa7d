"""How jobs look: many in a table, one on a card."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePath

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from supervisor.cli.screen import cut, moment, short_moment, size, span, table
from supervisor.core.records import Attempt, JobRecord, JobState
from supervisor.desks.steering import JobPlace

COLOURS = {
    JobState.COMPLETED: "green",
    JobState.FAILED: "red",
    JobState.ACTIVE: "cyan",
    JobState.DELAYED: "yellow",
    JobState.CANCELLED: "dim",
    JobState.REMOVED: "dim",
}
_SHORT_ID = 12  # characters; `show` takes them for the whole id
_ENDINGS = {  # of runs without an error, by their codes
    "": "went well",
    "cancelled": "cancelled",
    "interrupted": "broken off, not its fault",
}
_LONGEST = 2000  # characters of data and result on a card
LONG_ID = 64  # characters of an id, in any list: those of other programs may have 200
WIDE = 120  # columns that hold whole ids and moments


def jobs_table(jobs: Sequence[JobRecord], *, narrow: bool = False) -> Table:
    """Return the jobs, one a line; ``narrow`` shortens ids and moments for a small terminal."""
    shown = table()
    length = telling_length({job.id for job in jobs}) if narrow else None
    least = min(length or _SHORT_ID, LONG_ID)  # an id that is cut further is of no use to anybody
    columns = [("Job", least), ("Pool", 8), ("State", 9), ("From", 7), ("Created", 11)]
    has_types = any(job.name for job in jobs)
    if has_types:
        columns.insert(2, ("Type", 8))
    for name, width in columns:
        longest = LONG_ID if name == "Job" else None
        shown.add_column(
            name, no_wrap=True, overflow="ellipsis", min_width=width, max_width=longest
        )
    # The one that gives way: its cells are cut, not wrapped.
    shown.add_column("Outcome" if has_types else "What came of it")
    for job in jobs:
        state = Text(job.state.value, COLOURS.get(job.state, ""))
        created = short_moment(job.created_at) if narrow else moment(job.created_at)
        outcome = outcome_of(job, narrow=narrow)
        known_as = Text(job.id[:length])
        kind = [Text(job.name)] if has_types else []
        shown.add_row(known_as, job.pool, *kind, state, Text(job.sender), created, outcome)
    return shown


def telling_length(ids: Set[str]) -> int:
    """Return how many characters tell these ids apart, the usual number or more."""
    longest = max(map(len, ids), default=_SHORT_ID)
    lengths = range(_SHORT_ID, longest)
    return next((n for n in lengths if len({one[:n] for one in ids}) == len(ids)), longest)


@dataclass(frozen=True, slots=True)
class Below:
    """What a card says of the jobs that came of its job."""

    facts: Sequence[tuple[str, Text]]
    tree: RenderableType | None


def job_card(
    job: JobRecord,
    *,
    brief: bool = False,
    place: JobPlace | None = None,
    below: Below | None = None,
) -> RenderableType:
    """Return one job; ``brief`` leaves out how it got there, ``below`` is what came of it."""
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    standing = below.facts if below else ()
    for name, value in (*_facts(job, brief=brief), *_standing(place), *standing):
        if value:
            facts.add_row(name, value)
    title = Text(job.id, "bold").append(f"  {job.state.value}", COLOURS.get(job.state, ""))
    parts: list[RenderableType] = [title, facts]
    if below and below.tree is not None:
        parts += [Text(), below.tree]
    if job.history and not brief:
        parts += [Text(), _history(job.history), *_tracebacks(job.history)]
    if job.lines and not brief:
        parts += [Text(), *(Text(f"  {line}", "dim") for line in job.lines)]
    return Group(*parts)


def _standing(place: JobPlace | None) -> Iterable[tuple[str, Text]]:
    if place is None or place.position is None:
        return
    about = "~" if place.is_approximate else ""
    begins = f"   begins ~{moment(place.starts_at)}" if place.starts_at else ""
    yield "position", Text(f"{about}{place.position}{begins}")


def _facts(job: JobRecord, *, brief: bool) -> Iterable[tuple[str, Text]]:
    if not brief:
        yield "pool", Text(f"{job.pool}   queue {job.queue}")
        yield "type", Text(job.name)
        yield from _relatives(job)
        yield "priority", Text(job.priority.word)
        yield "from", Text(job.sender + ("   (noreply)" if job.noreply else ""))
        yield "data", Text(_json(job.data))
        yield "created", Text(moment(job.created_at))
        yield "due", Text(moment(job.due_at))
    if job.started_at and job.finished_at:
        yield "took", Text(span((job.finished_at - job.started_at).total_seconds()))
    yield "worker", Text(job.worker)
    if job.state is JobState.ACTIVE:
        yield "progress", Text(f"{job.progress:.0f}%  {job.note}")
    if job.attempts or job.crashes or job.memory_crashes:
        yield "failures", Text(_failures(job))
    yield from _results(job)
    if job.error:
        yield "error", Text(f"{job.error.message}  ({job.error.code})", "red")
        yield "remedy", Text(job.error.hint)


def _relatives(job: JobRecord) -> Iterable[tuple[str, Text]]:
    """Yield what a job followed, and what all of it began with."""
    if job.parent is None:
        return
    yield "parent", Text(f"{job.parent.id}   of {job.parent.queue}")
    if job.root is not None and job.root != job.parent:
        yield "root", Text(f"{job.root.id}   of {job.root.queue}")


def _failures(job: JobRecord) -> str:
    said = f"attempts that failed: {job.attempts}, workers that crashed: {job.crashes}"
    if job.memory_crashes:
        said = f"{said}, that needed too much memory: {job.memory_crashes}"
    return said


def _results(job: JobRecord) -> Iterable[tuple[str, Text]]:
    rest = dict(job.result or {})
    files = rest.pop("files", ())
    for file in files if isinstance(files, list) else ():
        yield "file", _file(file)
    warnings = rest.pop("warnings", ())
    for warning in warnings if isinstance(warnings, list) else ():
        yield "warning", Text(cut(str(warning), _LONGEST), "yellow")
    if rest:
        yield "result", Text(_json(rest))


def _json(data: object) -> str:
    return cut(msgspec.json.encode(data).decode(), _LONGEST)


def _file(file: object, *, narrow: bool = False) -> Text:
    match file:
        case {"path": str(path), "size": int(count)}:
            shown = PurePath(path).name if narrow else path
            return Text(f"{shown}  ({size(count)})", "green")
        case _:
            return Text(str(file), "green")


def _history(history: Iterable[Attempt]) -> Table:
    shown = table("Run", "Worker", "Started", "Took")
    shown.add_column("How it ended", overflow="fold")
    for number, run in enumerate(history, 1):  # run.number counts failures, so it may repeat
        took = ""
        if run.finished_at:
            took = span((run.finished_at - run.started_at).total_seconds())
        shown.add_row(str(number), run.worker, moment(run.started_at), took, Text(_ending(run)))
    return shown


def _ending(run: Attempt) -> str:
    if run.error:  # says how the worker died, if it did
        return run.error
    if run.finished_at is None:
        return "running"
    return run.exit or _ENDINGS.get(run.code, run.code)


def _tracebacks(history: Iterable[Attempt]) -> Iterable[RenderableType]:
    for number, run in enumerate(history, 1):
        if run.traceback:
            yield Text(f"\nrun {number} failed at", "dim")
            yield Padding(Text(run.traceback.rstrip(), "dim"), (0, 0, 0, 2))


def outcome_of(job: JobRecord, *, narrow: bool) -> Text:
    """Return what came of a job, in one line that is cut where there is no room."""
    outcome = _in_few_words(job, narrow=narrow)
    outcome.no_wrap, outcome.overflow = True, "ellipsis"
    return outcome


def _in_few_words(job: JobRecord, *, narrow: bool) -> Text:
    if job.error:
        return Text(job.error.message, "red")
    if job.state is JobState.ACTIVE:
        return Text(f"{job.progress:.0f}%  {job.note}")
    files = (job.result or {}).get("files", ())
    if isinstance(files, list) and files:
        more = f"  and {len(files) - 1} more" if len(files) > 1 else ""
        return _file(files[0], narrow=narrow).append(more)
    return Text("")
