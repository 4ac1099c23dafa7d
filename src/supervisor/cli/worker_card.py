"""How one worker looks: what it does now, and what befell it, with the stacks it hung in."""

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from supervisor.cli.screen import moment, span
from supervisor.cli.status_table import loop_words, memory_words, state_words
from supervisor.core.records import Incident
from supervisor.ports import WorkerView


def worker_card(
    name: str, worker: WorkerView | None, incidents: Sequence[Incident]
) -> RenderableType:
    """Return one worker (None: there is none of that name now) and its newest incidents."""
    parts: list[RenderableType] = []
    if worker is None:
        parts.append(Text(name, "bold").append("  is not there now", "dim"))
    else:
        parts += [Text(name, "bold").append("  ").append(state_words(worker)), _facts(_of(worker))]
    if not incidents:
        parts += [Text(), Text("no incidents")]
    for incident in incidents:
        parts += [Text(), *_incident(incident)]
    return Group(*parts)


def _of(worker: WorkerView) -> Iterable[tuple[str, Text]]:
    yield "pool", Text(worker.pool)
    if worker.pid is not None:
        yield "process", Text(f"pid {worker.pid}, up for {span(worker.uptime)}")
        yield "uses", memory_words(worker).append(f"   {worker.cpu:.0f}% of a processor")
    for name, why in worker.holds.items():
        yield "held", Text(f"{name}: {why}", "yellow")
    yield "jobs", Text(", ".join(worker.jobs))
    done = f"{worker.jobs_successful:,} well, {worker.jobs_failed:,} failed"
    yield "done", Text(done if worker.jobs_processed else "")
    yield "restarts", Text(f"{worker.restarts}, crashes {worker.crash_count}")
    yield "", Text(loop_words(worker), "red")
    if worker.unreadable_frames:
        yield "unreadable", Text(f"{worker.unreadable_frames:,} messages made no sense", "yellow")


def _incident(incident: Incident) -> Iterable[RenderableType]:
    yield Text(moment(incident.at)).append("  ").append(incident.cause, "yellow")
    yield _facts(
        [
            ("why", Text(incident.why)),
            ("exit", Text(incident.exit if incident.exit != incident.why else "")),
            ("pid", Text(str(incident.pid or ""))),
            ("jobs", Text(", ".join(incident.jobs))),
        ]
    )
    if incident.stack:
        yield Padding(Text(incident.stack.rstrip(), "dim"), (0, 0, 0, 2))


def _facts(pairs: Iterable[tuple[str, Text]]) -> Table:
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            facts.add_row(name, value)
    return facts
