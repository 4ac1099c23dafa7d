"""Asking the running supervisor, and showing what it says as a table or as JSON."""

import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from rich.console import RenderableType

from supervisor.cli.asking import supervisor
from supervisor.cli.exits import Complaint
from supervisor.cli.family_tree import below
from supervisor.cli.jobs_table import WIDE, job_card, jobs_table
from supervisor.cli.screen import print_json, screen, show
from supervisor.cli.status_table import status_table, workers_table
from supervisor.cli.typed import past_moment_in
from supervisor.cli.worker_card import worker_card
from supervisor.client import Client, quoted
from supervisor.core.records import JobFilter, JobRecord, JobState, Relative
from supervisor.desks.steering import JobPlace, JobStatus
from supervisor.ports import Status, WorkerView

_REFRESH = 1.0  # seconds
_MOST_IN_HAND = 1000


def show_status(*, as_json: bool) -> None:
    """Show the state of the house once."""
    with supervisor() as client:
        status = client.status()
        if as_json:
            print_json(status)
        else:
            show(status_table(status, _in_hand(client, status)))


def watch_status() -> None:
    """Show the state of the house until Ctrl-C: in place on a terminal, one after another else."""
    from rich.live import Live

    console = screen()
    with supervisor() as client:
        if not console.is_terminal:
            for picture in _pictures(client):
                show(picture)
            return
        with Live(console=console, auto_refresh=False, screen=True) as live:
            for picture in _pictures(client):
                live.update(picture, refresh=True)


def list_workers(*, as_json: bool) -> None:
    """Show all workers."""
    with supervisor() as client:
        workers = client.status().workers
    _show_workers(workers, as_json=as_json)


def _show_workers(workers: tuple[WorkerView, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(workers)
    else:
        show(workers_table(workers))


def show_worker(name: str, limit: int, *, as_json: bool) -> None:
    """Show one worker with its newest incidents, also one that is not there any more.

    The name of a pool is understood too: of that the workers are listed.
    """
    with supervisor() as client:
        workers = {worker.id: worker for worker in client.status().workers}
        of_pool = tuple(worker for worker in workers.values() if worker.pool == name)
        incidents = () if of_pool else client.incidents(name, limit)
    if of_pool:
        _show_workers(of_pool, as_json=as_json)
        return
    worker = workers.get(name)
    if worker is None and not incidents:
        message = f"no worker {name} is known; there are: {', '.join(workers)}"
        raise Complaint(message)
    if as_json:
        print_json({"worker": worker, "incidents": incidents})
    else:
        show(worker_card(name, worker, incidents))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The options of ``jobs`` as they were typed."""

    pool: str | None
    state: str | None
    name: str | None
    sender: str | None
    since: str | None
    until: str | None
    group: str | None
    root: str | None
    parent: str | None
    sort: str
    limit: int


def list_jobs(said: Listing, *, as_json: bool) -> None:
    """List jobs."""
    wanted = JobFilter(
        pool=said.pool,
        state=JobState(said.state) if said.state else None,
        name=said.name,
        sender=said.sender,
        since=past_moment_in(said.since, "--since"),
        until=past_moment_in(said.until, "--until"),
        group=said.group,
        root=_relative(said.root),
        parent=_relative(said.parent),
        oldest=said.sort == "oldest",
        limit=said.limit,
    )
    with supervisor() as client:
        found = client.jobs(wanted)
    if as_json:
        print_json(found)
    elif found:
        show(jobs_table(found, narrow=screen().width < WIDE))
    else:
        show("no such jobs")


def _relative(job_id: str | None) -> Relative | None:
    """Return a job by what was typed of its id; in which queue it is the supervisor finds out."""
    return None if job_id is None else Relative("", job_id)


def show_job(job_id: str, *, as_json: bool) -> None:
    """Show one job, and what came of it."""
    with supervisor() as client:
        job = client.job(job_id)
        family = None if job.root is None else client.family(job.id)
        place = None if as_json else _place(client, job)
    if as_json:
        print_json(msgspec.to_builtins(job) | {"family": family})
        return
    is_narrow = screen().width < WIDE
    came = None if family is None else below(job, family, narrow=is_narrow)
    show(job_card(job, place=place, below=came))


def _place(client: Client, job: JobRecord) -> JobPlace | None:
    """Return where a job stands, if it waits."""
    if job.state is not JobState.WAITING:
        return None
    return client.ask("GET", f"/api/jobs/{quoted(job.id)}/status", JobStatus).place


def _pictures(client: Client) -> Iterator[RenderableType]:
    """Yield the house as it is, again and again; Ctrl-C is obeyed between two pictures.

    In the middle of a library it could be swallowed, by a finalizer for example.
    """
    asked_to_stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: asked_to_stop.set())
    try:
        while not asked_to_stop.is_set():
            status = client.status()
            yield status_table(status, _in_hand(client, status))
            asked_to_stop.wait(_REFRESH)
    finally:
        signal.signal(signal.SIGINT, before)
    raise KeyboardInterrupt


def _in_hand(client: Client, status: Status) -> dict[str, JobRecord]:
    if not any(worker.job for worker in status.workers):
        return {}
    active = client.jobs(JobFilter(state=JobState.ACTIVE, limit=_MOST_IN_HAND))
    return {job.id: job for job in active}
