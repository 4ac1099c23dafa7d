"""Waiting for a job, and for all that comes of it, with a live progress bar."""

import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from supervisor.cli.exits import Complaint
from supervisor.cli.screen import screen
from supervisor.client import Client, NoSupervisorError, TooOftenError
from supervisor.core.records import Family, JobRecord, JobState

# Asked for, not listened for: events may be lost, an answer may not.
_LOOK, _FAR_LOOK = 0.2, 1.0  # seconds; over an address it is not for us alone


@dataclass(frozen=True, slots=True)
class Ended:
    """A job as it ended, or as it is if nobody waited; ``family`` if others came of it."""

    job: JobRecord
    family: Family | None = None

    @property
    def is_success(self) -> bool:
        """Answer whether nothing went wrong, as far as it was waited for."""
        states = {self.job.state} if self.family is None else set(self.family.chain.states)
        return not any(each.is_final and each is not JobState.COMPLETED for each in states)


def wait_for(client: Client, job: JobRecord, *, quiet: bool) -> Ended:
    """Return the job once all is over that came of it, showing how far it is unless ``quiet``."""
    job = _job_ended(client, job, quiet=quiet)
    if job.state is not JobState.COMPLETED or job.root is None:
        return Ended(job)
    return Ended(job, _family_ended(client, job, quiet=quiet))


def _job_ended(client: Client, job: JobRecord, *, quiet: bool) -> JobRecord:
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


def _family_ended(client: Client, job: JobRecord, *, quiet: bool) -> Family:
    try:
        with _bar(screen(), quiet=quiet) as bar:
            task = bar.add_task("chain", total=100.0)
            while True:
                family = _family(client, job)
                if family is not None and not family.chain.is_open:
                    return family
                if family is not None:
                    _draw_family(bar, task, family)
                time.sleep(_LOOK if client.is_near else _FAR_LOOK)
    except NoSupervisorError as error:
        message = (
            f"the supervisor went away while jobs that came of {job.id} had not ended; they are "
            f"kept, look for them later with: python -m supervisor show {job.id}"
        )
        raise Complaint(message) from error


def _family(client: Client, job: JobRecord) -> Family | None:
    """Return how all that came of a job stands; None when that was asked too often."""
    try:
        return client.family(job.id, limit=0)
    except TooOftenError as error:
        time.sleep(error.seconds)
        return None


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


def _draw_family(bar: Progress, task: TaskID, family: Family) -> None:
    states = family.chain.states
    total = sum(states.values())
    ended = sum(number for state, number in states.items() if state.is_final)
    words = f"chain: {ended:,} of {total:,} jobs have ended"
    bar.update(task, completed=100.0 * ended / max(1, total), description=words)


def _words(job: JobRecord) -> str:
    if job.state is JobState.ACTIVE:
        doing = job.note or "working"
        return f"{job.pool}: {doing}".replace("[", r"\[")
    return f"{job.pool}: {job.state.value}"
