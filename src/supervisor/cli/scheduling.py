"""Asking for schedules, and showing them as a table or as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import click
import msgspec
from rich.table import Table
from rich.text import Text

from supervisor.cli.asking import supervisor
from supervisor.cli.chaining import followed
from supervisor.cli.confirming import confirm
from supervisor.cli.jobs_table import WIDE
from supervisor.cli.request import data_of, seconds_of
from supervisor.cli.screen import moment, print_json, screen, short_moment, span, table
from supervisor.cli.screen import show as draw
from supervisor.cli.typed import level_in
from supervisor.client import quoted
from supervisor.core.records import JobRecord, JobState
from supervisor.core.schedules import Missed
from supervisor.desks.schedules import ScheduleOrder, ScheduleView

_ALL = "/api/schedules"
_LONG, _SHORT = "%a %Y-%m-%d %H:%M:%S %z", "%m-%d %H:%M:%S %z"  # of the next runs
_COLOURS = {JobState.COMPLETED: "green", JobState.FAILED: "red", JobState.ACTIVE: "cyan"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of ``schedule add`` as they were typed."""

    name: str
    pool: str
    cron: str | None = None
    every: str | None = None
    zone: str = "UTC"
    data: str = "{}"
    then: tuple[str, ...] = ()
    priority: str = "normal"
    missed: str = "skip"
    at_most: int = 100
    replace: bool = False


def list_schedules(*, as_json: bool) -> None:
    """Show all schedules."""
    with supervisor() as client:
        found = client.ask("GET", _ALL, tuple[ScheduleView, ...])
    if as_json:
        print_json(found)
    elif found:
        draw(schedules_table(found, narrow=screen().width < WIDE))
    else:
        click.echo("there are no schedules; add one with: schedule add NAME POOL --cron ...")


def show_schedule(name: str, *, as_json: bool) -> None:
    """Show one schedule."""
    with supervisor() as client:
        found = client.ask("GET", f"{_ALL}/{quoted(name)}", ScheduleView)
    if as_json:
        print_json(found)
    else:
        draw(schedule_card(found))


def add_schedule(wanted: Wanted, *, as_json: bool) -> None:
    """Add a schedule and show when it runs."""
    order = ScheduleOrder(
        pool=wanted.pool,
        name=wanted.name,
        data=followed(data_of(wanted.data), wanted.then),
        cron=wanted.cron,
        every=None if wanted.every is None else seconds_of(wanted.every, "--every"),
        zone=wanted.zone,
        priority=level_in(wanted.priority),
        missed=Missed(wanted.missed),
        at_most=wanted.at_most,
    )
    with supervisor() as client:
        if wanted.replace:
            made = client.ask("PUT", f"{_ALL}/{quoted(wanted.name)}", ScheduleView, body=order)
        else:
            made = client.ask("POST", _ALL, ScheduleView, body=order)
    if as_json:
        print_json(made)
    else:
        draw(schedule_card(made))


def pause_schedule(name: str, *, as_json: bool) -> None:
    """Have a schedule not run."""
    found = _change(name, "pause")
    if as_json:
        print_json(found)
    else:
        click.echo(f"schedule {name} is paused")


def resume_schedule(name: str, *, as_json: bool) -> None:
    """Have it run again."""
    found = _change(name, "resume")
    if as_json:
        print_json(found)
        return
    click.echo(f"schedule {name} runs next at {found.next_runs[0] if found.next_runs else 'never'}")


def run_schedule(name: str, *, as_json: bool) -> None:
    """Enter one of its jobs now."""
    with supervisor() as client:
        job = client.ask("POST", f"{_ALL}/{quoted(name)}/run", JobRecord)
    if as_json:
        print_json(job)
    else:
        click.echo(f"job {job.id} is {job.state.value} in {job.queue}")


def remove_schedule(name: str, *, is_sure: bool, as_json: bool) -> None:
    """Forget a schedule, when whoever asks is sure."""
    confirm(f"remove schedule {name}", is_sure=is_sure)
    with supervisor() as client:
        client.ask("DELETE", f"{_ALL}/{quoted(name)}", type(None))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        click.echo(f"schedule {name} is removed")


def schedules_table(found: Sequence[ScheduleView], *, narrow: bool = False) -> Table:
    """Return the schedules, one a line, and their next runs below each other.

    ``narrow`` shortens moments for a small terminal; names, which other verbs take, stay whole.
    """
    shown = table("Schedule", "Pool", "Runs", "Zone", "Next", "Last job", "Ended")
    shown.columns[0].min_width = max(map(len, (each.name for each in found)), default=0)
    for each in found:
        state = each.last_state
        ended = Text(state.value, _COLOURS.get(state, "")) if state else Text(_unkept(each))
        zone = each.zone if each.cron else ""
        last = short_moment(each.last_at) if narrow else moment(each.last_at)
        coming = _coming(each, _SHORT if narrow else _LONG)
        cells = (each.name, each.pool, _rhythm(each), zone, coming, last)
        shown.add_row(*map(Text, cells), ended)
    return shown


def schedule_card(found: ScheduleView) -> Table:
    """Return one schedule, a fact a line."""
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(found):
        if value:
            facts.add_row(name, Text(value))
    return facts


def _facts(found: ScheduleView) -> Iterator[tuple[str, str]]:
    yield "schedule", found.name
    yield "pool", found.pool
    yield "runs", f"{_rhythm(found)} {found.zone}" if found.cron else _rhythm(found)
    yield "next", _coming(found, _LONG)
    yield "missed runs", _missed(found)
    yield "priority", found.priority.word
    yield "data", msgspec.json.encode(found.data).decode()
    yield "last run", moment(found.last_at)
    state = found.last_state.value if found.last_state else _unkept(found)
    yield "last job", f"{found.last_job} {state}" if found.last_job else ""
    yield "from", "supervisor.yaml" if found.source == "config" else "added while it ran"
    yield "look", "; ".join(found.warnings)


def _rhythm(found: ScheduleView) -> str:
    return found.cron or f"every {span(found.every or 0)}"


def _coming(found: ScheduleView, pattern: str) -> str:
    if found.paused:
        return "paused"
    if not found.next_runs:
        return "; ".join(found.warnings) or "never"
    # Moments of the schedule's own zone, with their offset.
    return "\n".join(datetime.fromisoformat(said).strftime(pattern) for said in found.next_runs)


def _missed(found: ScheduleView) -> str:
    is_skipping = found.missed is Missed.SKIP
    return "skipped" if is_skipping else f"caught up with, {found.at_most} at most"


def _unkept(found: ScheduleView) -> str:
    return "not kept" if found.last_job else ""


def _change(name: str, verb: str) -> ScheduleView:
    with supervisor() as client:
        return client.ask("POST", f"{_ALL}/{quoted(name)}/{verb}", ScheduleView)
