"""Waiting for a job with a live progress bar."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from supervisor.cli.exits import Complaint
from supervisor.cli.screen import screen
from supervisor.client import Client, NoSupervisorError, TooOftenError
from supervisor.core.records import JobRecord, JobState

# Asked for, not listened for: events may be lost, an answer may not.
_LOOK, _FAR_LOOK = 0.2, 1.0  # seconds; over an address it is not for us alone


def wait_for(client: Client, job: JobRecord, *, quiet: bool) -> JobRecord:
    """Return the job once it has ended, showing how far it is unless ``quiet``."""
    try:
        with _bar(screen(), quiet=quiet) as bar:
            task = bar.add_task(_words(job), total=100.0)
            while not job.state.is_final:
                time.sleep(_LOOK if client.is_near else _FAR_LOOK)
                job = _looked_up(client, job)
                _draw(bar, task, job)
    except NoSupervisorError as error:
        message = (
            f"the supervisor went away while job {job.id} was {job.state.value}; the job is kept, "
            f"look for it later with: python -m supervisor show {job.id}"
        )
        raise Complaint(message) from error
    return job


def _looked_up(client: Client, job: JobRecord) -> JobRecord:
    try:
        return client.job(job.id)
    except TooOftenError as error:
        time.sleep(error.seconds)
        return job


def _bar(console: Console, *, quiet: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


def _draw(bar: Progress, task: TaskID, job: JobRecord) -> None:
    bar.update(task, completed=job.progress, description=_words(job))


def _words(job: JobRecord) -> str:
    if job.state is JobState.ACTIVE:
        doing = job.note or "working"
        return f"{job.pool}: {doing}".replace("[", r"\[")
    return f"{job.pool}: {job.state.value}"
