"""Asking the running supervisor, and showing what it says as a table or as JSON."""

import time

from supervisor.cli.asking import supervisor_of
from supervisor.cli.configured import settings
from supervisor.cli.jobs_table import job_card, jobs_table
from supervisor.cli.screen import print_json, screen
from supervisor.cli.status_table import status_table
from supervisor.client import Client
from supervisor.core.records import JobFilter, JobRecord, JobState
from supervisor.ports import Status

_REFRESH = 1.0  # seconds
_MOST_IN_HAND = 1000


def show_status(*, as_json: bool) -> None:
    """Show the state of the house once."""
    with supervisor_of(settings()) as client:
        status = client.status()
        if as_json:
            print_json(status)
        else:
            screen().print(status_table(status, _in_hand(client, status)))


def watch_status() -> None:
    """Show the state of the house until Ctrl-C."""
    from rich.live import Live

    with (
        supervisor_of(settings()) as client,
        Live(console=screen(), auto_refresh=False, screen=screen().is_terminal) as live,
    ):
        while True:
            status = client.status()
            live.update(status_table(status, _in_hand(client, status)), refresh=True)
            time.sleep(_REFRESH)


def list_jobs(wanted: JobFilter, *, as_json: bool) -> None:
    """List jobs."""
    with supervisor_of(settings()) as client:
        found = client.jobs(wanted)
    if as_json:
        print_json(found)
    elif found:
        screen().print(jobs_table(found))
    else:
        screen().print("no such jobs")


def show_job(job_id: str, *, as_json: bool) -> None:
    """Show one job."""
    with supervisor_of(settings()) as client:
        job = client.job(job_id)
    if as_json:
        print_json(job)
    else:
        screen().print(job_card(job))


def _in_hand(client: Client, status: Status) -> dict[str, JobRecord]:
    if not any(worker.job for worker in status.workers):
        return {}
    active = client.jobs(JobFilter(state=JobState.ACTIVE, limit=_MOST_IN_HAND))
    return {job.id: job for job in active}
