"""How jobs look: many in a table, one on a card."""

from collections.abc import Iterable

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from supervisor.cli.screen import moment, size, span, table
from supervisor.core.records import Attempt, JobRecord, JobState

_COLOURS = {
    JobState.COMPLETED: "green",
    JobState.FAILED: "red",
    JobState.ACTIVE: "cyan",
    JobState.DELAYED: "yellow",
    JobState.CANCELLED: "dim",
    JobState.REMOVED: "dim",
}


def jobs_table(jobs: Iterable[JobRecord]) -> Table:
    """Return the jobs, one a line."""
    shown = table()
    for name, width in (("Job", 12), ("Pool", 8), ("State", 9), ("From", 7), ("Created", 19)):
        shown.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    shown.add_column("What came of it")  # the one that gives way: its cells are cut, not wrapped
    for job in jobs:
        state = Text(job.state.value, _COLOURS.get(job.state, ""))
        shown.add_row(
            Text(job.id), job.pool, state, Text(job.sender), moment(job.created_at), _outcome(job)
        )
    return shown


def job_card(job: JobRecord, *, brief: bool = False) -> RenderableType:
    """Return one job; ``brief`` leaves out how it got there."""
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(job, brief=brief):
        if value:
            facts.add_row(name, value)
    title = Text(job.id, "bold").append(f"  {job.state.value}", _COLOURS.get(job.state, ""))
    parts: list[RenderableType] = [title, facts]
    if job.history and not brief:
        parts += [Text(), _history(job.history)]
    if job.lines and not brief:
        parts += [Text(), *(Text(f"  {line}", "dim") for line in job.lines)]
    return Group(*parts)


def _facts(job: JobRecord, *, brief: bool) -> Iterable[tuple[str, Text]]:
    if not brief:
        yield "pool", Text(f"{job.pool}   queue {job.queue}")
        yield "priority", Text(job.priority.word)
        yield "from", Text(job.sender + ("   (noreply)" if job.noreply else ""))
        yield "data", Text(msgspec.json.encode(job.data).decode())
        yield "created", Text(moment(job.created_at))
        yield "due", Text(moment(job.due_at))
    if job.started_at and job.finished_at:
        yield "took", Text(span((job.finished_at - job.started_at).total_seconds()))
    yield "worker", Text(job.worker)
    if job.state is JobState.ACTIVE:
        yield "progress", Text(f"{job.progress:.0f}%  {job.note}")
    if job.attempts or job.crashes:
        yield (
            "failures",
            Text(f"attempts that failed: {job.attempts}, workers that crashed: {job.crashes}"),
        )
    yield from _results(job)
    if job.error:
        yield "error", Text(f"{job.error.message}  ({job.error.code})", "red")
        yield "remedy", Text(job.error.hint)


def _results(job: JobRecord) -> Iterable[tuple[str, Text]]:
    rest = dict(job.result or {})
    files = rest.pop("files", ())
    for file in files if isinstance(files, list) else ():
        yield "file", _file(file)
    if rest:
        yield "result", Text(msgspec.json.encode(rest).decode())


def _file(file: object) -> Text:
    match file:
        case {"path": path, "size": int(count)}:
            return Text(f"{path}  ({size(count)})", "green")
        case _:
            return Text(str(file), "green")


def _history(history: Iterable[Attempt]) -> Table:
    shown = table("Attempt", "Worker", "Started", "Took")
    shown.add_column("How it ended", overflow="fold")
    for run in history:
        took = ""
        if run.finished_at:
            took = span((run.finished_at - run.started_at).total_seconds())
        ended = " ".join(part for part in (run.error, run.exit) if part)
        ended = ended or ("went well" if run.finished_at else "running")
        shown.add_row(str(run.number), run.worker, moment(run.started_at), took, Text(ended))
    return shown


def _outcome(job: JobRecord) -> Text:
    outcome = _in_few_words(job)
    outcome.no_wrap, outcome.overflow = True, "ellipsis"
    return outcome


def _in_few_words(job: JobRecord) -> Text:
    if job.error:
        return Text(job.error.message, "red")
    if job.state is JobState.ACTIVE:
        return Text(f"{job.progress:.0f}%  {job.note}")
    files = (job.result or {}).get("files", ())
    if isinstance(files, list) and files:
        more = f"  and {len(files) - 1} more" if len(files) > 1 else ""
        return _file(files[0]).append(more)
    return Text("")
